"""Which host goes on with a training, where hosts are of several classes."""

from __future__ import annotations

import pytest

from ecoml.energy import Provenance
from ecoml.searcher.hosts.host import Host, RemoteAccount, RemoteRun, RemoteWorker, seat_for
from ecoml.searcher.hosts.messages import About
from ecoml.searcher.workers import Seat
from ecoml.trial import Trial


def worker(name: str, kind: str, *, movable: bool) -> RemoteWorker:
    return RemoteWorker(Host(name, about=About(1, kind, Provenance.MEASURED, movable=movable)), 0, nobody)


def nobody(host, name, trial):
    raise ConnectionError


@pytest.mark.parametrize("movable", [True, False])
def test_the_first_step_of_a_class_goes_on_with_a_training_that_another_has_begun(movable):
    old, new = worker("a", "fast", movable=movable), worker("b", "slow", movable=movable)
    theirs, strange = Seat(old, RemoteAccount()), Seat(new, RemoteAccount())
    run = RemoteRun(Trial(0, {}), new, nobody)
    run.host = old.host
    assert seat_for(run, [theirs, strange], {"fast"}) is (strange if movable else theirs)
    known = {"fast", "slow"}
    assert seat_for(run, [theirs, strange], known) is theirs
    assert seat_for(None, [strange, theirs], known) is strange, "a new training goes where there is room"
    assert seat_for(run, [strange], known) is (strange if movable else None)
