"""The account: purposes, looks, the overshoot bound."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rigs.meter import FakeMeter

from ecoml.energy import Purpose
from ecoml.errors import BudgetExhausted
from ecoml.ledger.accounts.metered import MeteredAccount
from ecoml.metric import ACCURACY
from ecoml.run.storage.in_flight import read_in_flight_j
from ecoml.run.storage.store import Store
from ecoml.trial import Trial


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def opened(tmp_path):
    accounts: list[tuple[MeteredAccount, Store]] = []

    def open_account(meter, clock=time.monotonic, heartbeat_s=1.0, kind=MeteredAccount):
        store = Store(tmp_path / f"ledger-{len(accounts)}.sqlite", create=True)
        store.add_trial(Trial(0, {}))
        account = kind(store, meter.window(), clock=clock, heartbeat_s=heartbeat_s)
        accounts.append((account, store))
        return account, store

    yield open_account
    for account, store in accounts:
        account.close()
        store.close()


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(list(Purpose)), st.integers(0, 1000)), max_size=40))
def test_purposes_sum_to_the_meter_and_each_gets_its_own(tmp_path_factory, spendings):
    meter = FakeMeter()
    store = Store(tmp_path_factory.mktemp("ledger") / "l.sqlite", create=True)
    account = MeteredAccount(store, meter.window())
    expected = dict.fromkeys(Purpose, 0)
    for purpose, energy_j in spendings:
        account.enter(purpose)
        meter.spend(energy_j)
        expected[purpose] += energy_j
    account.close()
    found = {purpose: energy.energy_j for purpose, energy in store.snapshot(ACCURACY).by_purpose.items()}
    store.close()
    assert found == expected
    assert account.spent_j == meter.spent_j


def test_a_training_that_still_runs_adds_nothing_once_the_account_is_closed(opened, meter):
    class Interrupted(MeteredAccount):
        """Between the last entry and the end another thread enters a purpose."""

        def settle(self):
            super().settle()
            meter.spend(1.0)
            thread = threading.Thread(target=self.enter, args=(Purpose.EVALUATION,), daemon=True)
            thread.start()
            thread.join(0.1)

    account, store = opened(meter, kind=Interrupted)
    meter.spend(2.0)
    account.close()
    time.sleep(0.05)
    account.settle()
    assert account.spent_j == store.snapshot(ACCURACY).spent_j == 2.0


def test_a_step_knows_its_evaluation(opened, meter):
    account, _ = opened(meter)
    account.enter(Purpose.TRAINING, 0)
    meter.spend(10)
    account.enter(Purpose.EVALUATION)
    meter.spend(2)
    with account.end_of_step(0) as step:
        assert (step.energy.energy_j, step.evaluation_j) == (12, 2)
    account.enter(Purpose.TRAINING, 0)
    meter.spend(1)
    with account.end_of_step(0) as step:
        assert step.energy.energy_j == 1


@settings(max_examples=30)
@given(st.floats(0.1, 500), st.floats(0.001, 2), st.integers(1, 400))
def test_looking_between_batches_bounds_the_overshoot(tmp_path_factory, power_w, batch_s, limit_batches):
    """However rarely the meter is read, spending passes the limit by less than the bound that is printed."""
    meter, clock = FakeMeter(), Clock()
    store = Store(tmp_path_factory.mktemp("ledger") / "l.sqlite", create=True)
    account = MeteredAccount(store, meter.window(), clock=clock)
    account.limit_j = limit_batches * power_w * batch_s
    account.enter(Purpose.TRAINING)
    batches = 0
    with pytest.raises(BudgetExhausted):
        while batches < 2 * limit_batches + 10:
            account.check_budget()
            meter.spend(power_w * batch_s)
            clock.now_s += batch_s
            batches += 1
    account.close()
    store.close()
    assert account.spent_j <= account.limit_j + account.unwatched_j * (1 + 1e-9)
    assert account.unwatched_j == pytest.approx(power_w * batch_s, rel=1e-6)


def test_what_was_spent_before_the_account_is_charged_but_says_nothing_of_power(opened, meter):
    clock = Clock()
    window = meter.window()
    meter.spend(1000)
    meter.window = lambda: window
    account, store = opened(meter, clock)
    clock.now_s += 1.0
    meter.spend(5)
    account.settle()
    assert store.snapshot(ACCURACY).by_purpose[Purpose.OVERHEAD].energy_j == 1005
    assert account.power_w == pytest.approx(5)
    assert account.unwatched_j == 5


def test_looking_far_from_the_end_rarely_reads_the_meter(opened, meter):
    clock = Clock()
    account, _ = opened(meter, clock)
    reads: list[float] = []
    now_j = meter.now_j

    def counted():
        reads.append(now_j())
        return reads[-1]

    meter.now_j = counted
    account.limit_j = 1e9
    account.enter(Purpose.TRAINING)
    for _ in range(10_000):
        account.check_budget()
        meter.spend(0.1)
        clock.now_s += 0.001
    assert len(reads) < 100


def test_the_heartbeat_puts_a_long_step_on_disk(opened, meter):
    account, store = opened(meter, heartbeat_s=0.02)
    account.enter(Purpose.TRAINING, 0)
    meter.spend(9)
    deadline = time.monotonic() + 5
    while not read_in_flight_j(store.path) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert read_in_flight_j(store.path) == 9
    assert store.snapshot(ACCURACY).spent_j == 0


def test_staying_with_a_purpose_reads_no_meter(opened, meter):
    account, _ = opened(meter, heartbeat_s=1e3)
    account.enter(Purpose.TRAINING, 0)
    before_j = account.spent_j
    meter.spend(3)
    account.enter(Purpose.TRAINING, 0)
    account.enter(Purpose.TRAINING)
    assert account.spent_j == before_j
    account.enter(Purpose.OVERHEAD)
    assert account.spent_j == before_j + 3
