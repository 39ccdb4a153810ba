"""Suspended trainings stay on the device while memory allows, and go on as if they had never been left either way."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing.connection import Connection
from typing import Any

import pytest
from rigs.images import Book, rest, workload

from ecoml.training.images.worker.residents import MOST, MOST_RECORDED, Residents
from ecoml.training.images.worker.server import TrainingServer
from ecoml.training.images.worker.shared import SharedWorker, WorkerRun
from ecoml.trial import Trial

SMALL = {"width": 4, "depth": 1, "batch_size": 128, "epochs": 4}


class Left:
    """A suspended training, as far as it matters here."""

    def __init__(self, epoch=1, *, recorded=False):
        self.epoch = epoch
        self.recorded = recorded
        self.released = False

    def release(self):
        self.recorded, self.released = False, True


def suspended(**how) -> Any:
    return Left(**how)


def test_the_training_that_was_used_longest_ago_leaves_first():
    residents = Residents()
    left: dict[int, Any] = {run: suspended() for run in range(4)}
    for run, training in left.items():
        residents.keep(run, training)
    taken: Any = residents.take(0, 1)
    assert taken is left[0]
    residents.keep(0, taken)
    free = [10, 15, 25]
    residents.make_room(10, lambda: free.pop(0))
    assert [training.released for training in left.values()] == [False, True, True, False]
    residents.make_room(10, lambda: None)
    assert len(residents) == 0, "where nobody knows what is free, none stays"


def test_a_network_of_ones_own_gets_the_device_to_itself():
    residents = Residents()
    residents.keep(0, suspended())
    residents.make_room(None, lambda: 1 << 60)
    assert len(residents) == 0


def test_a_training_that_went_on_elsewhere_is_not_the_one_that_stayed():
    residents = Residents()
    left = suspended(epoch=2)
    residents.keep(7, left)
    assert residents.take(7, 3) is None
    assert left.released
    assert residents.take(7, 2) is None


def test_there_are_no_more_recordings_than_streams_and_no_more_trainings_than_may_stay():
    residents = Residents()
    left = [suspended(recorded=True) for _ in range(MOST + 5)]
    for run, training in enumerate(left):
        residents.keep(run, training)
    residents.make_room(1, lambda: 1 << 60)
    assert len(residents) == MOST
    assert sum(training.recorded for training in left[5:]) == MOST_RECORDED - 1, "and one for the next"
    assert all(training.recorded for training in left[-(MOST_RECORDED - 1) :]), "those that were used last"


class NoConnection(Connection):
    def __init__(self):
        """It has no descriptor."""

    def __del__(self):
        """Nothing is to be closed."""

    def send(self, message):
        pass

    def recv(self):
        return True


def test_a_worker_goes_on_with_what_stayed_and_reads_the_file_only_of_what_left(tmp_path, monkeypatch):
    server = TrainingServer(NoConnection())
    of = workload("digits")
    for run in (0, 1):
        server.hold(of, run, run, SMALL, 0, None)
        server.advance(of)
        server.checkpoint(tmp_path / f"{run}")
    server.hold(of, 0, 0, SMALL, 1, tmp_path / "none")
    assert server._training is not None
    assert server._training.epoch == 1
    server.checkpoint(tmp_path / "0")
    monkeypatch.setattr("ecoml.training.images.worker.device.free_bytes", lambda device: 0)
    server.hold(of, 2, 2, SMALL, 0, None)
    with pytest.raises(FileNotFoundError):
        server.hold(of, 1, 1, SMALL, 1, tmp_path / "none")
    server.hold(of, 1, 1, SMALL, 1, tmp_path / "1")
    assert server._training.epoch == 1


def test_trainings_whose_worker_died_while_they_waited_have_the_curves_of_trainings_that_were_never_left():
    worker = SharedWorker()

    def run(number):
        return WorkerRun(worker, workload("digits"), Trial(number, SMALL), Book(), 60.0)

    alone = [rest(run(number)) for number in range(3)]
    runs = [run(number) for number in range(3)]
    together = [[next(of).score] for of in runs]
    pid = worker.pid
    assert pid is not None
    next(run(3))  # so that those three are suspended
    os.kill(pid, signal.SIGKILL)
    while worker.pid is not None:
        time.sleep(0.01)
    for _ in range(3):
        for number, of in enumerate(runs):
            together[number].append(next(of).score)
    assert together == alone
    for of in runs:
        of.close()
    worker.stop()
