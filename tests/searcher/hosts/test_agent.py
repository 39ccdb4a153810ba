"""One agent alone: allowances, leases that run out, orders that come twice or late, a new incarnation."""

from __future__ import annotations

import threading
import time
from typing import Any

import cloudpickle
import pytest
from rigs.meter import FakeMeter

import ecoml
from ecoml.energy import Purpose
from ecoml.errors import BudgetExhausted
from ecoml.searcher.hosts.agent import Agent
from ecoml.searcher.hosts.messages import Lease, Orders, Setup, versions
from ecoml.trial import Measurement

SPACE = ecoml.Space({"joules": ecoml.Float(1.0, 1000.0)})
METERS: dict[str, FakeMeter] = {}


class Spending:
    """Trains by spending `joules`, one at a time, with a look before each."""

    def prepare(self, space):
        pass

    def describe(self):
        return {"kind": "spending"}

    def start(self, trial, account):
        return Run(trial, account)


class Run:
    def __init__(self, trial, account):
        self.trial, self.account = trial, account

    def __next__(self):
        for _ in range(round(self.trial.config["joules"])):
            self.account.check_budget()
            METERS["here"].spend(1.0)
        return Measurement(0.5)

    def close(self):
        pass


@pytest.fixture
def start(tmp_path, monkeypatch):
    monkeypatch.setattr("ecoml.ledger.accounts.metered.LONGEST_BLIND_S", 0.0)  # joules here take no time
    METERS["here"] = FakeMeter()
    agents = []

    def start(lease_s=20.0, opened=True, executor=Spending):
        setup = Setup(
            "run", cloudpickle.dumps(executor()), cloudpickle.dumps(SPACE), False, False, lease_s, 1e6, versions()
        )
        agent = Agent(setup, tmp_path / "spool.sqlite", "node", meter=METERS["here"])
        if opened:
            agent.open()
        agents.append(agent)
        return agent

    yield start
    for agent in agents:
        agent.close()


def lease(number=1, joules=10.0, **given: Any):
    return Lease(number, 0, number, {"joules": joules}, 0, **{"allowance_j": 100.0, **given})


def until(agent, holds, timeout_s=10.0):
    """The first report of which something holds."""
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        report = agent.next_report(0.05)
        if holds(report):
            return report
    raise AssertionError("nothing of the kind was reported")


def counted_j(report, trial):
    return report.statement.counters[Purpose.TRAINING, trial].energy_j


def test_a_lease_is_made_once_however_often_it_is_ordered(start):
    agent = start()
    for _ in range(3):
        agent.take(Orders(1, (lease(),)))
    report = until(agent, lambda report: report.outcomes)
    agent.take(Orders(1, (lease(),)))
    agent.take(Orders(2, (lease(),)))
    again = agent.next_report(0.05)
    assert report.outcomes == again.outcomes, "it is told until it is acknowledged"
    assert report.outcomes[0]().score == 0.5
    assert report.outcomes[0].step.energy.energy_j == pytest.approx(10.0)
    agent.take(Orders(3, acknowledged=again.statement.sequence))
    agent.take(Orders(2, (lease(),)))  # late
    last = agent.next_report(0.05)
    assert not last.outcomes
    assert METERS["here"].spent_j == 10.0
    assert (Purpose.TRAINING, 1) not in last.statement.counters, "what is acknowledged is told no more"


def test_at_its_allowance_a_step_waits_for_more_and_ends_where_there_is_none(start):
    agent = start()
    agent.take(Orders(1, (lease(joules=30.0, allowance_j=10.0),)))
    report = until(agent, lambda report: report.short)
    assert METERS["here"].spent_j == pytest.approx(10.0, abs=1.0)
    agent.take(Orders(2, (lease(joules=30.0, allowance_j=20.0),)))
    until(agent, lambda report: report.short and METERS["here"].spent_j > 15.0)
    assert METERS["here"].spent_j == pytest.approx(20.0, abs=1.0)
    agent.take(Orders(3, (lease(joules=30.0, allowance_j=20.0, final=True),)))
    report = until(agent, lambda report: report.outcomes)
    with pytest.raises(BudgetExhausted):
        report.outcomes[0]()
    assert counted_j(report, 1) == pytest.approx(20.0, abs=1.0)


def test_without_word_from_the_driver_it_stops_and_closes_its_account(start):
    agent = start(lease_s=0.5)
    agent.take(Orders(1, (lease(joules=1e3, allowance_j=10.0),)))
    report = until(agent, lambda report: report.closed)
    assert agent.over
    assert METERS["here"].spent_j == pytest.approx(10.0, abs=1.0)
    assert counted_j(report, 1) == METERS["here"].spent_j
    agent.take(Orders(2, (lease(number=2),)))
    assert until(agent, lambda report: report.closed).running == ()


class Preparing(Spending):
    begun, may_end = threading.Event(), threading.Event()

    def prepare(self, space):
        METERS["here"].spend(1.0)
        self.begun.set()
        assert self.may_end.wait(10.0)
        METERS["here"].spend(2.0)


def test_released_while_it_prepares_it_closes_its_account_with_what_that_took(start):
    agent = start(opened=False, executor=Preparing)
    opening = threading.Thread(target=agent.open)
    opening.start()
    assert Preparing.begun.wait(10.0)
    agent.take(Orders(1, released=True))
    assert not agent.next_report(0.05).closed
    Preparing.may_end.set()
    report = until(agent, lambda report: report.closed)
    opening.join()
    assert report.statement.counters[Purpose.OVERHEAD, None].energy_j == pytest.approx(3.0)


def test_a_new_incarnation_tells_what_the_one_before_has_counted(start):
    first = start()
    first.take(Orders(1, (lease(),)))
    told = until(first, lambda report: report.outcomes)
    first.close()
    second = start()
    report = second.next_report(0.05)
    assert report.statement.spool == told.statement.spool
    assert report.statement.incarnation == told.statement.incarnation + 1
    assert counted_j(report, 1) == pytest.approx(10.0)
