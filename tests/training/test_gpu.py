"""The training on a GPU: what ends a trial ends no other, a budget is kept, meters agree. `pytest -m gpu`.

Where there is none these are left out; `ECOML_TEST_DEVICE=cpu` runs them on the CPU, with CUDA's faults played.
"""

from __future__ import annotations

import os
import signal
import time

import pytest
from rigs.images import rest, start

import ecoml
from ecoml.training.images.worker.shared import shared_worker
from ecoml.trial import TrialState

DEVICE = os.environ.get("ECOML_TEST_DEVICE", "cuda")
CONFIG = {"width": 8, "depth": 2, "batch_size": 128, "epochs": 4}


def _there() -> bool:
    if not DEVICE.startswith("cuda"):
        return "ECOML_TEST_DEVICE" in os.environ
    import torch

    return torch.cuda.is_available()


pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not _there(), reason="there is no GPU here")]


def faulty(config):
    """A network that does what its configuration says at its third pass in training."""
    import torch

    class Faulty(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
            self.passes = 0

        def forward(self, images):
            logits = self.layers(images)
            self.passes += self.training
            if self.passes == 3 and config["fault"] == "assertion":
                if not images.is_cuda:
                    raise torch.AcceleratorError("CUDA error: device-side assert triggered")
                return logits[torch.full((len(images),), 1 << 20, device=images.device)]
            if self.passes == 3 and config["fault"] == "memory":
                torch.empty(1 << 48, device=images.device)
            return logits + logits.sum().item() * 0 if config["fault"] == "waits" else logits

    return Faulty()


@pytest.fixture(scope="module")
def own():
    executor = ecoml.CnnTraining("digits", device=DEVICE, threads=1, model=faulty)
    executor.prepare()
    return executor


@pytest.fixture(scope="module")
def built_in():
    executor = ecoml.CnnTraining("digits", device=DEVICE, threads=1)
    executor.prepare()
    return executor


@pytest.mark.parametrize(("fault", "kind"), [("assertion", ChildProcessError), ("memory", MemoryError)])
def test_a_fault_of_the_device_ends_its_trial_and_no_other(own, fault, kind):
    left = start(own, {"fault": "none", "epochs": 2}, 1)
    first = next(left).score
    with pytest.raises(kind):
        rest(start(own, {"fault": fault, "epochs": 2}, 2))
    assert next(left).score >= first - 0.1, "a suspended trial goes on"
    left.close()


def test_a_model_that_waits_for_the_device_is_trained_step_by_step_and_the_result_says_so(own, tmp_path):
    space = ecoml.Space({"fault": ecoml.Choice(["waits"]), "epochs": ecoml.Int(7, 8)})
    result = ecoml.Searcher(space, own, budget_j=1e5, max_trials=1, strategy="random", directory=tmp_path / "r").run()
    assert result.trials[0].state is TrialState.FINISHED
    said = [gap for gap in result.energy.gaps if gap.startswith("steps were not recorded for the GPU")]
    assert len(said) == (1 if DEVICE.startswith("cuda") else 0)


def test_a_worker_that_is_killed_takes_its_trial_with_it_and_suspended_ones_go_on(built_in):
    left, held = start(built_in, CONFIG, 1), start(built_in, CONFIG, 2)
    curve = [next(left).score]
    next(held)
    pid = shared_worker().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while shared_worker().pid is not None:
        time.sleep(0.01)
    with pytest.raises(ChildProcessError):
        next(held)
    curve += rest(left)
    assert len(curve) == CONFIG["epochs"]
    assert max(curve) > 0.3, "it has learnt"


def test_trainings_in_turns_stay_on_the_device_and_have_the_curves_of_trainings_alone(built_in):
    alone = [rest(start(built_in, CONFIG, number)) for number in range(3)]
    runs = [start(built_in, CONFIG, number) for number in range(3)]
    together = [[next(run).score for run in runs] for _ in range(CONFIG["epochs"])]
    for number, run in enumerate(runs):
        assert [scores[number] for scores in together] == pytest.approx(alone[number], abs=0.05)
        run.close()


def test_a_budget_is_kept(tmp_path):
    training = ecoml.CnnTraining("digits", device=DEVICE)
    budget_j = 2000.0 if DEVICE.startswith("cuda") else 20.0
    searcher = ecoml.Searcher(
        ecoml.load_space("cnn-small"), training, budget_j=budget_j, strategy="random", directory=tmp_path / "r"
    )
    energy = searcher.run().energy
    assert energy.total_j <= budget_j
    assert sum(part.energy_j for part in energy.by_purpose.values()) == pytest.approx(energy.total_j)


@pytest.mark.skipif(not DEVICE.startswith("cuda"), reason="needs a counter")
def test_the_meters_check_out():
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-m", "ecoml", "meters", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
