"""What users' programs do to the built-in training: each of these has ended a search, or spoilt another one."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import ecoml
from ecoml.training.images.worker.shared import shared_worker

SPACE = ecoml.Space({"learning_rate": ecoml.Float(0.01, 0.4, log=True), "width": 4, "depth": 1, "epochs": 3})


def curves(folder, training, seed=0, **options):
    """What a search of two trials found."""
    given = {"budget_j": 1e6, "strategy": "random", "max_trials": 2, "seed": seed, "directory": folder, **options}
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
