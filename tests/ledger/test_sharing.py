"""Whose the joules of a piece are where several trials run at once."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecoml.energy import Energy, EnergyByDomain, Provenance, Purpose
from ecoml.ledger.accounts.sharing import Sharing

TRAINING, EVALUATION = Purpose.TRAINING, Purpose.EVALUATION


def joules(energy_j, provenance=Provenance.MEASURED):
    return Energy(energy_j, 0.05 * energy_j, provenance, 0.01 * energy_j)


def test_alone_everything_is_what_the_host_is_at():
    sharing = Sharing(["gpu:0", "gpu:1"])
    sharing.host = Purpose.OPTIMISER, None
    piece = EnergyByDomain({"gpu:0": joules(5.0), "cpu:0": joules(1.0)}, ("a gap",))
    assert sharing.divide(piece) == {(Purpose.OPTIMISER, None): piece}


def test_a_device_belongs_to_its_trial_and_the_rest_is_divided():
    sharing = Sharing(["gpu:0", "gpu:1", "gpu:2"])
    sharing.busy = {0: (TRAINING, 7), 1: (EVALUATION, 8)}
    domains = {"gpu:0": joules(5.0), "gpu:1": joules(6.0), "gpu:2": joules(0.5), "cpu:0": joules(2.0)}
    divided = sharing.divide(EnergyByDomain(domains, ("a gap",)))
    assert {activity: energy.by_domain for activity, energy in divided.items()} == {
        (TRAINING, 7): {"gpu:0": 5.0, "cpu:0": 1.0},
        (EVALUATION, 8): {"gpu:1": 6.0, "cpu:0": 1.0},
        (Purpose.OVERHEAD, None): {"gpu:2": 0.5},
    }
    share = divided[TRAINING, 7].domains["cpu:0"]
    assert share.uncertainty_j == pytest.approx(1.0 + 0.05), "it may be nothing, or all of it"
    assert sum(energy.gaps == ("a gap",) for energy in divided.values()) == 1, "a gap is told once"


def test_thinking_takes_its_share_while_it_lasts():
    sharing = Sharing(["gpu:0"])
    sharing.busy = {0: (TRAINING, 0)}
    sharing.host = Purpose.OPTIMISER, None
    divided = sharing.divide(EnergyByDomain({"gpu:0": joules(5.0), "cpu:0": joules(2.0)}))
    assert divided[Purpose.OPTIMISER, None].by_domain == {"cpu:0": 1.0}


def test_the_trace_has_each_devices_own_trial():
    sharing = Sharing(["gpu:0", "gpu:1"])
    sharing.busy = {0: (TRAINING, 7), 1: (EVALUATION, 8)}
    assert sharing.of_domain("gpu:0") == (TRAINING, 7)
    assert sharing.of_domain("gpu:1") == (EVALUATION, 8)
    assert sharing.of_domain("cpu:0") == (Purpose.OVERHEAD, None), "nobody's own"


DOMAINS = st.sampled_from(["gpu:0", "gpu:1", "gpu:2", "cpu:0", "dram:0"])
JOULES = st.floats(0, 1e6, allow_subnormal=False)  # half of the smallest number is 0


@given(
    st.dictionaries(DOMAINS, JOULES, min_size=1),
    st.dictionaries(st.integers(0, 2), st.tuples(st.sampled_from([TRAINING, EVALUATION]), st.integers(0, 9))),
    st.sampled_from(list(Purpose)),
)
def test_shares_sum_to_the_whole(domains, busy, purpose):
    sharing = Sharing(["gpu:0", "gpu:1", "gpu:2"])
    sharing.busy = {worker: (kind, 10 * worker + number) for worker, (kind, number) in busy.items()}
    sharing.host = purpose, None
    divided = sharing.divide(EnergyByDomain({domain: joules(energy_j) for domain, energy_j in domains.items()}))
    for domain, energy_j in domains.items():
        parts = [energy.domains[domain] for energy in divided.values() if domain in energy.domains]
        assert math.isclose(math.fsum(part.energy_j for part in parts), energy_j, rel_tol=1e-12, abs_tol=1e-12)
        for part in parts:
            assert part.uncertainty_j >= (energy_j - part.energy_j) * (1 - 1e-12), "what was all its own is within"
