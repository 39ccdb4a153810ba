"""What users' programs do to the built-in training: each of these has ended a search, or spoilt another one."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from rigs.images import Book
from rigs.scripts import Script

import ecoml
from ecoml.errors import StorageError
from ecoml.training.images.data.loader import load
from ecoml.training.images.worker.shared import shared_worker

SPACE = ecoml.Space({"learning_rate": ecoml.Float(0.01, 0.4, log=True), "width": 4, "depth": 1, "epochs": 3})


def curves(folder, training, seed=0, **options):
    """What a search of two trials found."""
    given: dict[str, Any] = {
        "budget_j": 1e6,
        "strategy": "random",
        "max_trials": 2,
        "seed": seed,
        "directory": folder,
        **options,
    }
    result = ecoml.Searcher(SPACE, training, **given).run()
    assert result.recommended is not None
    assert result.recommended.test_score is not None, "its model was kept, and tested"
    return [[point.score for point in trial.curve] for trial in result.trials]


def test_searches_in_threads_find_what_they_find_one_after_the_other(tmp_path):
    seeds = 0, 1, 2
    alone = [curves(tmp_path / f"alone-{seed}", ecoml.CnnTraining(threads=1), seed) for seed in seeds]
    with ThreadPoolExecutor(3) as pool:
        found = [
            pool.submit(curves, tmp_path / f"together-{seed}", ecoml.CnnTraining(threads=1), seed) for seed in seeds
        ]
    assert [future.result() for future in found] == alone
    assert alone[0] != alone[1]


def test_one_training_serves_searches_of_different_seeds_at_once(tmp_path):
    training = ecoml.CnnTraining(threads=1)
    alone = [curves(tmp_path / f"alone-{seed}", ecoml.CnnTraining(threads=1), seed) for seed in (0, 5)]
    searchers = [
        ecoml.Searcher(
            SPACE, training, budget_j=1e6, strategy="random", max_trials=2, seed=seed, directory=tmp_path / f"{seed}"
        )
        for seed in (0, 5)
    ]
    with ThreadPoolExecutor(2) as pool:
        results = [future.result() for future in [pool.submit(searcher.run) for searcher in searchers]]
    assert [[[p.score for p in trial.curve] for trial in result.trials] for result in results] == alone
    assert training.seed == 0
    assert results[1].settings["executor"]["seed"] == 5


def test_a_path_object_among_the_places_of_modules(tmp_path):
    """`sys.path.append(Path(…))`, as notebooks do; the model's module is there."""
    (tmp_path / "mine").mkdir()
    source = "import torch.nn as nn\ndef build(config):\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
    (tmp_path / "mine" / "my_networks.py").write_text(source)
    code = f"""
import sys
from pathlib import Path
sys.path += [{str(tmp_path / "mine")!r}, Path({str(tmp_path)!r})]
import ecoml, my_networks
training = ecoml.CnnTraining("digits", threads=1, model=my_networks.build)
space = ecoml.Space({{"learning_rate": 0.1, "epochs": 1}})
result = ecoml.search(space, training, budget_j=1e5, strategy="random", max_trials=1, directory={str(tmp_path / "r")!r})
print(result.recommended.score)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0.1


def setting(what):
    """A model whose function leaves some of torch's global state behind, and its class, at every pass, too."""

    def build(config):
        import numpy
        import torch

        settings = {
            "gradients": lambda: torch.set_grad_enabled(False),
            "dtype": lambda: torch.set_default_dtype(torch.float64),
            "device": lambda: torch.set_default_device("meta"),
            "inference": lambda: torch.inference_mode().__enter__(),
            "precision": lambda: torch.set_float32_matmul_precision("medium"),
            "determinism": lambda: torch.use_deterministic_algorithms(True),
            "anomalies": lambda: torch.autograd.set_detect_anomaly(True),
            "numpy": lambda: numpy.seterr(all="raise"),
        }

        class Own(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.linear = torch.nn.Linear(64, 10)

            def forward(self, images):
                shift = torch.zeros(10) if what == "dtype" else 0  # of the type that is the default
                logits = self.linear(images.flatten(1)) + shift
                if self.training and what not in ("gradients", "inference", "device"):
                    settings[what]()
                return logits

        if what == "dtype":
            settings[what]()
        own = Own()
        settings[what]()
        return own

    return build


@pytest.mark.parametrize(
    "what", ["gradients", "dtype", "device", "inference", "precision", "determinism", "anomalies", "numpy"]
)
def test_what_a_model_sets_for_all_of_torch_is_set_back(tmp_path, what):
    pid = shared_worker().pid
    expected = curves(tmp_path / "before", ecoml.CnnTraining(threads=1))
    own = ecoml.CnnTraining(threads=1, model=setting(what))
    assert min(min(curve) for curve in curves(tmp_path / "own", own, max_parameters=1000)) > 0.3, "it learns"
    assert curves(tmp_path / "after", ecoml.CnnTraining(threads=1)) == expected
    assert pid in (None, shared_worker().pid), "in the same worker"
    model = ecoml.load_model(tmp_path / "own", 0, model=setting(what))
    assert model(torch.rand(2, 1, 8, 8)).dtype == (torch.float64 if what == "dtype" else torch.float32)
    assert (torch.is_grad_enabled(), torch.get_default_dtype()) == (True, torch.float32), "nor here"
    assert not torch.is_inference_mode_enabled()
    assert torch.zeros(1).device.type == "cpu"


def odd(kind):
    """A model with state that is no plain tensor; each pass changes it, and the logits depend on it."""

    def build(config):
        import numpy as np
        import torch

        class Odd(torch.nn.Module):
            count: Any
            grid: Any
            turn: Any
            whole: Any

            def __init__(self):
                super().__init__()
                self.first = torch.nn.Linear(64, 64, bias=False)
                self.second = torch.nn.Linear(64, 64, bias=False)
                self.last = torch.nn.Linear(64, 10)
                self.passes = 0
                self.seen: Any = {
                    "mean": torch.zeros(64),
                    "limits": (0.0, np.float32(1)),
                    3: [None, "three", np.arange(3)],
                }
                if kind == "tied":
                    self.second.weight = self.first.weight
                elif kind == "view":
                    self.register_buffer("whole", torch.arange(128.0).view(2, 64) / 128)
                    self.register_buffer("part", self.whole[1])
                elif kind == "spread":
                    self.register_buffer("ones", torch.ones(1).expand(64))
                elif kind == "sparse":
                    self.register_buffer("grid", torch.eye(64).to_sparse())
                elif kind == "compressed":
                    self.register_buffer("grid", torch.eye(64).to_sparse_csr())
                elif kind == "complex":
                    self.register_buffer("turn", torch.ones(64, dtype=torch.complex128))
                elif kind == "not persistent":
                    self.register_buffer("count", torch.zeros(()), persistent=False)

            def forward(self, images):
                x = self.second(self.first(images.flatten(1)))
                if self.training:
                    self.passes += 1
                    self.seen["mean"] = 0.9 * self.seen["mean"] + 0.1 * x.detach().mean(0)
                    if kind == "not persistent":
                        self.count += 1
                if kind == "sparse":
                    x = (self.grid @ x.T).T
                elif kind == "complex":
                    x = (x * self.turn).abs().float()
                elif kind == "extra":
                    x = x - self.seen["mean"] * float(self.seen["limits"][1])
                return self.last(x) * (1 + self.passes * ("extra" in kind) / 1000)

            def get_extra_state(self):
                return (self.passes, self.seen) if kind == "extra" else {"passes": self.passes, "of": object}

            def set_extra_state(self, state):
                if kind == "extra":
                    self.passes, self.seen = state
                else:
                    self.passes = state["passes"]

        if "extra" not in kind:
            del Odd.get_extra_state, Odd.set_extra_state
        return Odd()

    return build


ODD = ["tied", "view", "spread", "sparse", "compressed", "complex", "not persistent", "extra"]


@pytest.mark.filterwarnings("ignore:Sparse CSR:UserWarning")
@pytest.mark.parametrize("kind", [*ODD, "extra of any class"])
def test_a_model_with_odd_state_is_suspended_kept_and_loaded(tmp_path, kind, caplog):
    training = ecoml.CnnTraining(threads=1, model=odd(kind))
    space = ecoml.Space({"learning_rate": ecoml.Float(0.01, 0.03), "epochs": 4})
    given: dict[str, Any] = {"budget_j": 1e6, "max_trials": 2, "strategy": "random"}
    straight = ecoml.search(space, training, directory=tmp_path / "straight", **given)
    assert not [gap for gap in straight.energy.gaps if "network" in gap], "all could be kept"
    assert len(straight.front) == len(list((tmp_path / "straight" / "models").iterdir()))
    best: Any = straight.recommended
    model: Any = ecoml.load_model(straight, best, model=odd(kind))
    data = load("digits").test
    with torch.inference_mode():
        right = (model(torch.from_numpy(data.images)).argmax(1).numpy() == data.labels).mean()
    assert right == pytest.approx(best.test_score, abs=0.003)
    assert ("a dict, could not be saved" in caplog.text) == (kind == "extra of any class")

    runs = [training.start(trial, Book()) for trial in straight.trials]
    curves = [[next(run).score for run in runs] for _ in range(4)]
    assert [list(curve) for curve in zip(*curves, strict=True)] == [
        [point.score for point in trial.curve] for trial in straight.trials
    ]


def test_a_model_that_no_file_can_hold_is_searched_all_the_same(tmp_path):
    def build(config):
        import torch

        class Own(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.linear = torch.nn.Linear(64, 10)

            def forward(self, images):
                return self.linear(images.flatten(1))

            def state_dict(self, *args, **kwargs):
                raise NotImplementedError("this one is not to be saved")

        return Own()

    training = ecoml.CnnTraining(threads=1, model=build)
    given: dict[str, Any] = {"budget_j": 1e6, "max_trials": 3, "strategy": "random", "directory": tmp_path / "r"}
    result: Any = ecoml.search(SPACE, training, **given)
    assert [len(trial.curve) for trial in result.trials] == [3, 3, 3]
    assert result.recommended.test_score is None
    (gap,) = [gap for gap in result.energy.gaps if "not to be saved" in gap]
    assert gap.startswith("networks could not be saved, from trial 0 on")


def test_a_full_folder_of_temporary_files_ends_the_search_by_its_name_and_no_trial(tmp_path, monkeypatch):
    def in_turns():
        configs = [SPACE.decode(np.array([share])) for share in (0.2, 0.8)]
        begun = [ecoml.Start(config, 1) for config in configs]
        return Script([*begun, ecoml.Continue(0, 1), ecoml.Continue(1, 1)])

    given = {"budget_j": 1e4, "directory": tmp_path / "r", "strategy": in_turns()}
    monkeypatch.setattr(shared_worker(), "_folders", {})
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(StorageError, match=r"gone: a suspended training cannot be stored there .* set TMPDIR"):
        ecoml.Searcher(SPACE, ecoml.CnnTraining(threads=1), **given).run()
    monkeypatch.setattr(tempfile, "tempdir", None)
    kept = ecoml.Result.load(tmp_path / "r")
    assert not any(trial.end.failed for trial in kept.trials if trial.end)
    assert kept.trials[0].step == 1
    given |= {"strategy": in_turns(), "directory": tmp_path / "s"}
    again = ecoml.Searcher(SPACE, ecoml.CnnTraining(threads=1), **given)
    assert [trial.step for trial in again.run().trials] == [2, 2]
