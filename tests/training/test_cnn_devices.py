"""The built-in training on several devices: a worker each, and trials that go from one to the other."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

import ecoml
from ecoml.errors import UsageError
from ecoml.meter import open_meter
from ecoml.testing.hosts import SimulatedHost
from ecoml.training.base import NoAccount
from ecoml.training.images.worker.shared import shared_worker
from ecoml.training.images.worker.worker import ImageWorker
from ecoml.trial import Trial, TrialState

CONFIG = {"width": 8, "depth": 1, "batch_size": 128, "learning_rate": 0.1, "epochs": 4}


class OnCpu(ecoml.CnnTraining):
    """Its workers have the names of GPUs and train on the CPU, as there is no GPU to test on."""

    def _worker(self, workload, device):
        return ImageWorker(replace(workload, device="cpu"), shared_worker(device), self.patience_s)


@pytest.fixture
def on_two():
    training = OnCpu("digits", device="cuda:0,cuda:1", threads=1)
    yield training
    for worker in training.workers():
        worker.process.stop()


def test_a_device_of_torch_is_its_name():
    assert ecoml.CnnTraining("digits", device=torch.device("cuda", 1)).gpus() == (1,)


def test_several_gpus_are_named_by_their_numbers():
    training = ecoml.CnnTraining("digits", device="cuda:0, cuda:2")
    assert training.gpus() == (0, 2)
    assert training.workers() == (), "not before they are prepared"
    assert training.describe()["device"] == "cuda:0, cuda:2"


@pytest.mark.parametrize(
    ("device", "says"),
    [
        ("cuda:0,cpu", "'cpu' is not a GPU with a number"),
        ("cuda,cuda:1", "'cuda' is not a GPU"),
        ("cuda:1,cuda:1", "twice"),
    ],
)
def test_what_cannot_be_used_together_is_refused(device, says):
    with pytest.raises(UsageError, match=says):
        ecoml.CnnTraining("digits", device=device)


@pytest.mark.slow
def test_a_training_that_goes_on_elsewhere_has_the_same_curve(on_two):
    on_two.prepare()
    one, other = on_two.workers()
    assert one.process is not other.process
    trial = Trial(3, CONFIG)
    whole = one.start(trial, NoAccount())
    expected = _all(whole)
    run = one.start(trial, NoAccount())
    found = [next(run).score, next(run).score]
    one.suspend(run)
    other.take_over(run, NoAccount())
    found += _all(run)
    assert found == expected
    assert len(found) == 4


@pytest.mark.slow
def test_two_workers_train_at_once_within_one_search(on_two, tmp_path, monkeypatch):
    host = SimulatedHost(tmp_path / "host")
    host.add_package(power_w=50.0)
    for _ in range(2):
        host.add_gpu(power_w=200.0)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    together: list[int] = []
    space = ecoml.Space({"learning_rate": ecoml.Float(0.01, 0.1, log=True), "width": 8, "depth": 1, "epochs": 4})

    @contextmanager
    def watched(search):
        search.listeners.append(lambda _: host.advance(0.05))
        search.listeners.append(
            lambda _: together.append(sum(search.trials[n].state is TrialState.RUNNING for n in search.runs))
        )
        yield

    with open_meter(root=host.root, nvml=host.nvml, gpus=(0, 1)) as meter:
        searcher = ecoml.Searcher(
            space,
            on_two,
            budget_j=1e9,
            max_trials=5,
            strategy="mo-asha",
            directory=tmp_path / "run",
            meter=meter,
            show=watched,
        )
        result = searcher.run()
    assert max(together) == 2, "one trains while the other's step is recorded"
    assert len(result.trials) == 5
    assert {trial.state for trial in result.trials} <= {TrialState.FINISHED, TrialState.STOPPED}
    assert result.recommended is not None
    assert list((tmp_path / "run" / "models").iterdir()), "models of the front were kept"


def _all(run):
    found = []
    while True:
        try:
            found.append(next(run).score)
        except StopIteration:
            return found
