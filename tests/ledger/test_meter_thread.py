"""The heartbeat's observations: the trace, and others on the metered devices."""

from __future__ import annotations

import math
import time
from types import SimpleNamespace

import pytest
from rigs.meter import FakeMeter

from ecoml.energy import Energy, EnergyByDomain, Provenance, Purpose
from ecoml.ledger.accounts.meter_thread import HOST, OBSERVE_S, Watch
from ecoml.ledger.accounts.metered import MeteredAccount
from ecoml.ledger.accounts.sharing import Sharing
from ecoml.meter.base import DeviceState, Process
from ecoml.metric import ACCURACY
from ecoml.run.storage.snapshot import read_trace
from ecoml.run.storage.store import Store


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "ledger.sqlite", create=True)
    yield store
    store.close()


def metering(observed, neighbours=()):
    calls = []

    def observe():
        calls.append(1)
        return observed

    return SimpleNamespace(observe=observe, neighbours=neighbours, calls=calls)


def at(purpose, trial):
    sharing = Sharing()
    sharing.host = purpose, trial
    return sharing


def piece(energy_j, edge_j=1.0):
    half = edge_j / 2
    return EnergyByDomain(
        {"gpu:0": Energy(energy_j, 0.05 * energy_j + edge_j, Provenance.MEASURED, edge_j, half, half)}
    )


def test_the_trace_holds_every_joule_and_what_the_device_told(store):
    state = DeviceState(utilisation=0.9, temperature_c=61.0, clock_mhz=1700.0)
    watch = Watch(metering({"gpu:0": state}), store, 0.0, trace=True)
    spent_j = 0.0
    for beat in range(1, 6):
        for energy_j in (30.0, 70.0 * beat):
            watch.add(piece(energy_j))
            spent_j += energy_j
        watch.observe(float(beat))
        watch.keep(float(beat), at(Purpose.TRAINING, 3))
    samples = read_trace(store.path)
    assert math.fsum(sample.power_w * sample.seconds for sample in samples) == pytest.approx(spent_j)
    assert [sample.seconds for sample in samples] == [1.0] * 5
    last = samples[-1]
    assert (last.domain, last.trial, last.purpose, last.provenance) == ("gpu:0", 3, "training", Provenance.MEASURED)
    assert (last.utilisation, last.temperature_c, last.clock_mhz) == (0.9, 61.0, 1700.0)
    assert last.uncertainty_w == pytest.approx(0.05 * 380 + 1.0)  # the edge between its pieces cancels


def test_the_trace_holds_what_closing_the_account_took_as_well(store):
    meter = FakeMeter(power_w=1000.0)
    window = meter.window()
    watch = Watch(meter, store, time.monotonic(), trace=True)
    account = MeteredAccount(store, window, watch=watch)
    account.close()
    traced_j = math.fsum(sample.power_w * sample.seconds for sample in read_trace(store.path))
    assert traced_j == pytest.approx(account.spent_j)


def test_without_a_trace_no_power_is_kept_and_devices_are_asked_now_and_then(store):
    meter = metering({})
    watch = Watch(meter, store, 0.0, trace=False)
    for second in range(1, 41):
        watch.add(piece(10.0))
        watch.observe(float(second))
        watch.keep(float(second), at(Purpose.TRAINING, 0))
    assert read_trace(store.path) == []
    assert len(meter.calls) <= 40 / OBSERVE_S + 1


def test_others_on_the_device_and_other_meters_of_the_host_are_kept_with_their_time(store):
    other = {"gpu:0": DeviceState(processes=(Process(77, "python"), Process(78)))}
    watch = Watch(metering(other, neighbours=(4321,)), store, 0.0, trace=True)
    for second in range(1, 5):
        watch.observe(float(second))
        watch.keep(float(second), Sharing())
    found = {(shared.domain, shared.pid): shared for shared in store.snapshot(ACCURACY).shared}
    assert set(found) == {("gpu:0", 77), ("gpu:0", 78), (HOST, 4321)}
    assert found["gpu:0", 77].seconds == pytest.approx(3.0)
    assert (found["gpu:0", 77].name, found["gpu:0", 78].name) == ("python", "")


def test_a_meter_of_ones_own_that_shows_no_devices_will_do(store):
    watch = Watch(SimpleNamespace(), store, 0.0, trace=True)
    watch.observe(1.0)
    watch.keep(1.0, Sharing())
    assert store.snapshot(ACCURACY).shared == ()
