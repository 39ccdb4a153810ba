"""Which host goes on with a training, where hosts are of several classes."""

from __future__ import annotations

from typing import Any

import pytest

from ecoml.energy import Provenance
from ecoml.searcher.hosts.host import Host, RemoteAccount, RemoteRun, RemoteWorker
from ecoml.searcher.hosts.messages import About
from ecoml.searcher.hosts.stepper import HostStepper
from ecoml.searcher.hosts.transport import LocalAgents
from ecoml.searcher.workers import Seat
from ecoml.trial import Trial


def seat(name: str, kind: str, *, movable: bool) -> tuple[Host, Seat]:
    host = Host(name, about=About(1, kind, Provenance.MEASURED, movable=movable))
    return host, Seat(RemoteWorker(host, 0, nobody), RemoteAccount())


def nobody(host, name, trial):
    raise ConnectionError


@pytest.fixture
def stepper(tmp_path):
    nothing: Any = None
    return HostStepper(LocalAgents(1), nothing, nothing, tmp_path, nothing)


@pytest.mark.parametrize("movable", [True, False])
def test_the_first_step_of_a_class_goes_on_with_a_training_that_another_has_begun(stepper, movable):
    old, theirs = seat("a", "fast", movable=movable)
    _, strange = seat("b", "slow", movable=movable)
    run = RemoteRun(Trial(0, {}), strange.worker, nobody)
    run.host = old
    stepper._kinds = {"fast"}
    assert stepper.seat_for(run, [theirs, strange]) is (strange if movable else theirs)
    stepper._kinds = {"fast", "slow"}
    assert stepper.seat_for(run, [theirs, strange]) is theirs
    assert stepper.seat_for(None, [strange, theirs]) is strange, "a new training goes where there is room"
    assert stepper.seat_for(run, [strange]) is (strange if movable else None)
