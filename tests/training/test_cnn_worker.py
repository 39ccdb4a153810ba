"""The worker: what kills a trial kills only that trial."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from rigs.images import Book, rest, start, workload

import ecoml
from ecoml.endings import FailureKind
from ecoml.errors import DataError, UsageError
from ecoml.training.images import CnnTraining
from ecoml.training.images.worker.shared import SharedWorker, WorkerRun, shared_worker
from ecoml.trial import Trial

SMALL = {"width": 4, "depth": 1, "batch_size": 128, "epochs": 3}


def kill_the_worker():
    """As the kernel does when memory is gone."""
    pid = shared_worker().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def faulty(config):
    """A model that does what its configuration says, at its second forward pass."""
    import os
    import time

    import torch

    class Faulty(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
            self.passes = 0

        def forward(self, images):
            self.passes += 1
            logits = self.layers(images)
            if self.passes == 2:
                match config["fault"]:
                    case "raise":
                        raise RuntimeError("a model that does not work")
                    case "NaN":
                        return logits * float("nan")
                    case "exit":
                        os._exit(7)
                    case "system exit":
                        raise SystemExit(3)
                    case "killed":
                        os.kill(os.getpid(), 9)
                    case "hang":
                        time.sleep(1000)
                    case "memory":
                        torch.empty(1 << 50)
                    case "device":  # as CUDA does after an address that is none, and from then on at every call
                        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nCompile …")
                    case "end of an iterator":
                        raise StopIteration
                    case "own error":
                        raise type("OwnError", (Exception,), {})("of a class that only the worker knows")
            return logits

    return Faulty()


@pytest.fixture(scope="module")
def own():
    executor = CnnTraining("digits", threads=1, model=faulty, patience_s=3.0)
    executor.prepare()
    return executor


ENDS = {
    "device": (ChildProcessError, r"^the device failed, and the training's worker with it \(CUDA.* encountered\)\n"),
    "raise": (RuntimeError, "a model that does not work"),
    "NaN": (FloatingPointError, "the loss became NaN in epoch 1"),
    "exit": (ChildProcessError, r"ended unexpectedly \(exit code 7\)"),
    "system exit": (SystemExit, "3"),
    "killed": (ChildProcessError, "ended by SIGKILL"),
    "hang": (TimeoutError, "no batch was finished within 3 s"),
    "memory": (MemoryError, "memory"),
    "end of an iterator": (RuntimeError, "StopIteration"),
    "own error": (RuntimeError, "OwnError: of a class that only the worker knows"),
}


@pytest.mark.parametrize("fault", ENDS)
def test_a_fault_ends_its_trial_and_no_other(own, fault):
    left = start(own, {"fault": "none", "epochs": 2}, 1)
    expected = rest(start(own, {"fault": "none", "epochs": 2}, 1))
    curve = [next(left).score]
    kind, why = ENDS[fault]
    with pytest.raises(kind, match=why):
        next(start(own, {"fault": fault, "epochs": 2}, 2))
    assert [*curve, next(left).score] == expected, "a suspended trial goes on as if nothing had been"
    left.close()


def test_a_device_that_failed_gets_another_worker(own):
    with pytest.raises(ChildProcessError) as caught:
        before = shared_worker().pid
        next(start(own, {"fault": "device"}))
    assert "AcceleratorError" in "".join(caught.value.__notes__)
    assert shared_worker().pid not in (before, None), "CUDA does nothing more for a process whose context is damaged"


def test_the_traceback_of_the_worker_is_not_lost(own):
    with pytest.raises(RuntimeError) as caught:
        next(start(own, {"fault": "raise"}))
    assert "in forward" in "".join(caught.value.__notes__)


def test_a_training_that_was_held_by_a_worker_that_died_is_lost(own):
    run = start(own, {"fault": "none", "epochs": 3})
    next(run)
    kill_the_worker()
    with pytest.raises(ChildProcessError):
        next(run)
    with pytest.raises(ChildProcessError, match="has died since"):
        next(run)
    run.close()
    assert len(rest(start(own, {"fault": "none", "epochs": 1}))) == 1


@pytest.mark.parametrize("moment_s", [pytest.param(0.0, marks=pytest.mark.slow), 0.1])
def test_killed_from_outside_in_the_middle_of_a_trial_the_search_goes_on(tmp_path, moment_s):
    class Killer:
        killed = 0

        def __init__(self, space, seed):
            self.space, self.asked = space, 0

        def ask(self):
            self.asked += 1
            if self.asked == 2:
                threading.Timer(moment_s, kill_the_worker).start()
            if self.asked > 3:
                return ecoml.End("enough")
            return ecoml.Start({"width": 8, "epochs": 40 if self.asked == 2 else 1})

        def tell(self, trial):
            pass

    space = ecoml.Space({"width": 8, "epochs": ecoml.Int(1, 40)})
    searcher = ecoml.Searcher(
        space, CnnTraining(threads=1), budget_j=1e5, strategy=Killer(space, 0), directory=tmp_path / "r"
    )
    result = searcher.run()
    states = [trial.state.value for trial in result.trials]
    assert states == ["finished", "failed", "finished"]
    end = result.trials[1].end
    assert end is not None
    assert end.reason is FailureKind.WORKER_LOST
    assert "SIGKILL" in end.details["message"]
    assert result.trials[1].energy_j > 0, "its joules are charged"
    assert sum(energy.energy_j for energy in result.energy.by_purpose.values()) == pytest.approx(result.energy.total_j)


def test_a_search_with_faults_comes_to_its_end(tmp_path):
    faults = ["raise", "exit", "NaN"]
    space = ecoml.Space({"fault": ecoml.Choice([*faults, "none"]), "epochs": 2})
    searcher = ecoml.Searcher(
        space,
        CnnTraining(threads=1, model=faulty, patience_s=2.0),
        budget_j=1e5,
        strategy="grid",
        directory=tmp_path / "r",
    )
    result = searcher.run()
    ends = {trial.config["fault"]: trial.state.value for trial in result.trials}
    assert ends == dict.fromkeys(faults, "failed") | {"none": "finished"}
    assert all(trial.energy_j > 0 for trial in result.trials)
    assert result.recommended is not None
    network: Any = ecoml.load_model(result, result.recommended, model=faulty)
    assert network.classes == tuple("0123456789")
    with pytest.raises(UsageError, match=r"faulty built this network; pass that function as model="):
        ecoml.load_model(result, result.recommended)
    with pytest.raises(UsageError, match=r"faulty builds this run's networks"):
        ecoml.Searcher.resume(tmp_path / "r", budget_j=2e5)


def test_an_interrupted_step_ends_the_worker_and_the_next_one_starts_another(own):
    class Interrupting(Book):
        def check_budget(self):
            super().check_budget()
            if self.checks == 3:
                raise KeyboardInterrupt

    before = shared_worker().pid
    with pytest.raises(KeyboardInterrupt):
        next(start(own, {"fault": "none"}, book=Interrupting()))
    assert len(rest(start(own, {"fault": "none", "epochs": 1}))) == 1
    assert shared_worker().pid != before


def test_the_worker_ends_with_its_host(tmp_path):
    import subprocess
    import sys

    code = (
        "import os, signal; from ecoml.training.images import CnnTraining;"
        " from ecoml.training.images.worker.shared import shared_worker; CnnTraining().prepare();"
        " print(shared_worker().pid, flush=True);"
        " os.kill(os.getpid(), signal.SIGKILL)"
    )
    pid = int(subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=False).stdout)
    deadline = time.monotonic() + 20
    while _alive(pid):
        assert time.monotonic() < deadline, "it outlives its host"
        time.sleep(0.02)


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_what_was_suspended_is_deleted_at_the_end():
    worker = SharedWorker()
    runs = [WorkerRun(worker, workload("digits"), Trial(number, SMALL), Book(), 60.0) for number in range(3)]
    for run in runs:
        next(run)
    (folder,) = worker._folders.values()
    assert sorted(path.name for path in folder.iterdir()) == sorted(str(run.number) for run in runs[:2])
    runs[0].close()
    assert len(list(folder.iterdir())) == 1
    next(runs[1])
    assert [path.name for path in folder.iterdir()] == [str(runs[2].number)], "a restored checkpoint is deleted"
    worker.stop()
    worker.stop()
    assert not folder.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_leaves_the_worker_and_the_checkpoints_of_its_parent_alone(own):
    runs = [start(own, {"fault": "none", "epochs": 2}, number) for number in (0, 1)]
    for run in runs:
        next(run)
    before = shared_worker().pid
    child = os.fork()
    if child == 0:
        status = 0 if shared_worker().pid is None else 1
        shared_worker().stop()
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "the worker is the parent's"
    for run in runs:
        next(run)
    assert shared_worker().pid == before


def test_a_model_that_cannot_be_used():
    name: Any = "resnet"
    with pytest.raises(UsageError, match="model is a str"):
        CnnTraining(model=name)
    lock: Any = threading.Lock()
    with pytest.raises(UsageError, match="model cannot be sent to the training's process"):
        CnnTraining(model=lambda config: lock).prepare()
    absent: Any = None
    nothing = CnnTraining(model=lambda config: absent)
    with pytest.raises(UsageError, match=r"model returned a NoneType; it must return a torch\.nn\.Module"):
        next(start(nothing, {}))


def test_errors_of_the_data_are_those_of_this_process(tmp_path):
    np = pytest.importorskip("numpy")
    np.savez(tmp_path / "one.npz", x=np.zeros((4, 8, 8), np.uint8), y=np.zeros(4, int))
    with pytest.raises(DataError, match="only one class"):
        CnnTraining(tmp_path / "one.npz").prepare()
