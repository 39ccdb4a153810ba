"""Which host goes on with a training, where hosts are of several classes."""

from __future__ import annotations

import pytest

from ecoml.energy import Provenance
from ecoml.searcher.hosts.host import Host, RemoteAccount, RemoteRun, RemoteWorker, seat_for
from ecoml.searcher.hosts.messages import About
from ecoml.searcher.workers import Seat
from ecoml.trial import Trial


def seat(name: str, kind: str, *, movable: bool) -> tuple[Host, Seat]:
    host = Host(name, about=About(1, kind, Provenance.MEASURED, movable=movable))
    return host, Seat(RemoteWorker(host, 0, nobody), RemoteAccount())


def nobody(host, name, trial):
    raise ConnectionError


@pytest.mark.parametrize("movable", [True, False])
def test_the_first_step_of_a_class_goes_on_with_a_training_that_another_has_begun(movable):
    old, theirs = seat("a", "fast", movable=movable)
    _, strange = seat("b", "slow", movable=movable)
    run = RemoteRun(Trial(0, {}), strange.worker, nobody)
    run.host = old
    assert seat_for(run, [theirs, strange], {"fast"}) is (strange if movable else theirs)
    known = {"fast", "slow"}
    assert seat_for(run, [theirs, strange], known) is theirs
    assert seat_for(None, [strange, theirs], known) is strange, "a new training goes where there is room"
    assert seat_for(run, [strange], known) is (strange if movable else None)
