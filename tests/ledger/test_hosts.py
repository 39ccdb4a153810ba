"""The hosts' part of a ledger: counters that may come twice, late or never, and what is in doubt."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ecoml.carbon.spec import grid_of
from ecoml.energy import Energy, EnergyByDomain, Provenance, Purpose
from ecoml.ledger.accounts.attribution import Step
from ecoml.ledger.accounts.sharing import Activity
from ecoml.ledger.gram_counter import GramCounter
from ecoml.ledger.hosts import HostAccounts, Told
from ecoml.ledger.statement import Statement
from ecoml.metric import ACCURACY
from ecoml.run.storage.store import Store
from ecoml.trial import Trial

TRAINING: Activity = (Purpose.TRAINING, 0)
OVERHEAD: Activity = (Purpose.OVERHEAD, None)


def statement(sequence, training_j, overhead_j=0.0, *, incarnation=1, spool="one", power_w=0.0):
    counters = {
        activity: EnergyByDomain({"cpu:0": Energy(joules, 0.1 * joules, Provenance.MEASURED, 0.0)})
        for activity, joules in ((TRAINING, training_j), (OVERHEAD, overhead_j))
    }
    return Statement("node", spool, incarnation, sequence, counters, power_w=power_w)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "ledger.sqlite", create=True)
    store.set("budget_j", 1e6)
    store.add_trial(Trial(0, {"x": 1}))
    yield store
    store.close()


def test_whatever_becomes_of_messages_each_joule_is_charged_once(store):
    hosts = HostAccounts(store)
    said = [statement(number, 10.0 * number, 3.0 * number) for number in range(1, 9)]
    for number in (0, 0, 2, 1, 6, 4, 6, 5):  # repeated, late, and two that never come
        hosts.take(said[number])
    assert hosts.spent_j == pytest.approx(70.0 + 21.0)
    assert store.snapshot(ACCURACY).spent_j == pytest.approx(91.0)
    assert hosts.steps.charged_j[0] == pytest.approx(70.0)


def test_a_new_incarnation_goes_on_where_the_old_one_was(store):
    hosts = HostAccounts(store)
    assert hosts.take(statement(50, 10.0))
    assert hosts.take(statement(1, 25.0, incarnation=2)), "sequence numbers begin anew"
    assert not hosts.take(statement(51, 12.0)), "the dead one has nothing more to say"
    assert hosts.spent_j == pytest.approx(25.0)


def test_a_new_spool_begins_at_nothing(store):
    hosts = HostAccounts(store)
    hosts.take(statement(1, 10.0))
    hosts.take(statement(1, 4.0, spool="another"))
    assert hosts.spent_j == pytest.approx(14.0)


def test_allowances_of_a_lost_host_are_in_doubt_until_its_spool_returns(store):
    hosts = HostAccounts(store, lease_s=10.0)
    hosts.take(statement(1, 10.0, power_w=50.0))
    hosts.enrol("one")
    assert hosts.unseen_j == 500.0, "its highest power until it stops by itself"
    hosts.opened("one", 200.0)
    assert hosts.unseen_j == 500.0, "what is open is counted by trial"
    hosts.lose("one")
    assert hosts.doubt_j == hosts.unseen_j == 700.0
    again = HostAccounts(store, lease_s=10.0)  # the driver was killed, and resumed
    assert again.doubt_j == 700.0
    assert again.spent_j == 10.0
    again.take(statement(1, 120.0, incarnation=2))
    again.enrol("one")
    assert (again.doubt_j, again.unseen_j, again.spent_j) == (0.0, 500.0, 120.0)
    again.release("one")
    assert again.unseen_j == 0.0


def test_a_host_that_is_lost_before_its_first_report_is_in_doubt_until_it_reports(store):
    hosts = HostAccounts(store, lease_s=5.0)
    hosts.take(statement(1, 10.0, power_w=40.0))
    hosts.lose_unreported("other")
    assert hosts.doubt_j == 200.0
    again = HostAccounts(store, lease_s=5.0)
    again.enrol("one")
    assert again.doubt_j == 200.0, "it is on disk"
    again.take(replace(statement(1, 3.0, spool="two"), host="other"))
    assert again.doubt_j == 0.0
    assert again.by_host_j["other"] == pytest.approx(3.0)


def test_a_step_has_the_joules_that_its_host_says_it_had(store):
    hosts = HostAccounts(store)
    hosts.take(statement(1, 10.0))
    hosts.take(statement(2, 15.0))
    own = EnergyByDomain({"cpu:0": Energy(15.0, 0.5, Provenance.MEASURED)})
    hosts.step_ended(0, Told(Step(own), "fast"))
    with hosts.end_of_step(0) as step:
        assert step.energy is own
    assert 0 not in hosts
    hosts.take(statement(3, 17.0))
    assert hosts.steps.charged_j[0] == pytest.approx(2.0)


def test_what_hosts_spend_stands_for_co2e_on_the_grid_of_the_driver(store):
    grams = GramCounter(grid_of(360.0))  # 1e-4 g a joule
    hosts = HostAccounts(store, co2e=grams)
    hosts.take(statement(1, 1e4, 5e3))
    hosts.take(statement(1, 1e4, 5e3))  # again
    hosts.take(statement(2, 3e4, 5e3))
    assert grams.spent_g == pytest.approx(3.5)
    with hosts.end_of_step(0) as step:
        assert step.co2e_g == pytest.approx(3.0)
    hosts.take(statement(3, 4e4, 5e3))
    with hosts.end_of_step(0) as step:
        assert step.co2e_g == pytest.approx(1.0), "that of the step before is not its own"
    footprint = store.snapshot(ACCURACY).co2e
    assert footprint.co2e_g == pytest.approx(4.5)
    assert footprint.by_purpose[Purpose.OVERHEAD] == pytest.approx(0.5)
    assert footprint.unknown_j == 0.0
