"""Energy as a value."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecoml.energy import Energy, EnergyByDomain, Provenance, add_up, weakest
from ecoml.format import format_energy

joules = st.floats(0, 1e9)


def test_a_sum_is_worth_its_weakest_part():
    assert weakest([Provenance.MEASURED, Provenance.ESTIMATED, Provenance.SAMPLED]) is Provenance.ESTIMATED
    assert weakest([]) is Provenance.MISSING


@given(st.lists(joules, min_size=1, max_size=50))
def test_many_windows_sum_without_rounding_errors(parts):
    summed = add_up([Energy(part, 0.0, Provenance.MEASURED) for part in parts])
    assert summed.energy_j == math.fsum(parts)


def lap(energy_j, gain, opening_j, closing_j, most_edge_j=math.inf):
    edge_j = min(opening_j + closing_j, most_edge_j)
    return Energy(energy_j, gain * energy_j + edge_j, Provenance.MEASURED, edge_j, opening_j, closing_j)


laps = st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 100)), min_size=1, max_size=30)


def test_a_sources_own_error_adds_up_and_those_of_edges_in_quadrature():
    parts = [lap(100, 0.02, 1.5, 1.5), lap(100, 0.02, 2.0, 2.0)]
    assert add_up(parts).uncertainty_j == pytest.approx(2 + 2 + 5)
    assert add_up([Energy(10, 3, Provenance.ESTIMATED), Energy(10, 4, Provenance.ESTIMATED)]).uncertainty_j == 7


@given(laps, st.floats(0, 100), st.floats(0, 0.1))
def test_laps_joined_are_the_one_window(pieces, first_edge_j, gain):
    """Energy and late joules of each lap; what is late at a lap's close is late at the next one's opening."""
    edges_j = [first_edge_j, *(edge_j for _, edge_j in pieces)]
    parts = [lap(e, gain, *edges) for (e, _), *edges in zip(pieces, edges_j, edges_j[1:], strict=False)]
    whole = lap(math.fsum(e for e, _ in pieces), gain, edges_j[0], edges_j[-1])
    joined = parts[0]
    for part in parts[1:]:
        joined = joined.then(part)
    assert joined.energy_j == pytest.approx(whole.energy_j)
    assert joined.uncertainty_j == pytest.approx(whole.uncertainty_j)
    summed = add_up(parts)
    assert summed.uncertainty_j >= whole.uncertainty_j * (1 - 1e-9)
    assert summed.uncertainty_j <= math.fsum(part.uncertainty_j for part in parts) * (1 + 1e-9)


@given(laps, st.floats(0, 100), st.floats(0, 0.1), st.floats(0.1, 50), st.data())
def test_joined_laps_hold_the_truth(pieces, first_edge_j, gain, most_edge_j, data):
    """Whatever is really late at each edge, within what is stated, the joined laps are right."""
    edges_j = [first_edge_j, *(edge_j for _, edge_j in pieces)]
    late_j = [data.draw(st.floats(0, edge_j)) for edge_j in edges_j]
    error = data.draw(st.floats(-1, 1)) * gain
    joined, true_j = None, math.fsum(energy_j for energy_j, _ in pieces)
    for index, (energy_j, _) in enumerate(pieces):
        late = late_j[index] - late_j[index + 1]
        read_j = energy_j * (1 + error) + late
        edges = edges_j[index], edges_j[index + 1]
        edge_j = min(sum(edges), max(abs(late), most_edge_j))  # a cap that holds, as for laps of no time
        part = Energy(read_j, gain * energy_j + edge_j, Provenance.MEASURED, edge_j, *edges)
        joined = part if joined is None else joined.then(part)
    assert joined is not None
    assert abs(joined.energy_j - true_j) <= joined.uncertainty_j * (1 + 1e-9) + 1e-6


def test_a_short_lap_does_not_hide_how_late_its_opening_was():
    """A lap of 1 ms cannot be wrong by much, but its opening is that of the window it begins."""
    short, long = lap(0.0, 0.05, 30.0, 30.0, most_edge_j=3.0), lap(1500.0, 0.05, 30.0, 30.0)
    assert short.then(long).uncertainty_j == pytest.approx(75 + 30 + 30)
    assert short.then(short).uncertainty_j == pytest.approx(3 + 3)


def test_adding_keeps_domains_apart_and_gaps_together():
    gpu = EnergyByDomain({"gpu:0": Energy(5, 1, Provenance.MEASURED)}, ("gpu:0 was away",))
    cpu = EnergyByDomain({"cpu": Energy(2, 2, Provenance.ESTIMATED)})
    both = gpu + cpu + gpu
    assert both.by_domain == {"gpu:0": 10, "cpu": 2}
    assert both.provenance is Provenance.ESTIMATED
    assert len(both.gaps) == 2


@pytest.mark.parametrize(
    ("energy_j", "text"),
    [
        (0.0, "0.00 J"),
        (0.4242, "0.42 J"),
        (9.996, "10.0 J"),
        (812.3, "812 J"),
        (999.7, "1.00 kJ"),
        (4312, "4.31 kJ"),
        (1.2e6, "1.20 MJ"),
    ],
)
def test_joules_read_well(energy_j, text):
    assert format_energy(energy_j) == text


def share(energy_j, edge_j, provenance=Provenance.ATTRIBUTED):
    return Energy(energy_j, 0.05 * energy_j + edge_j, provenance, edge_j, edge_j, edge_j)


def test_shares_of_a_measured_total_are_measured_again_once_their_edges_hardly_matter():
    piece = share(3.0, 0.6)
    assert add_up([piece] * 10).provenance is Provenance.ATTRIBUTED, "30 J ± 1.9 J"
    assert add_up([piece] * 100).provenance is Provenance.MEASURED, "300 J ± 6 J"
    assert piece.then(piece).provenance is Provenance.ATTRIBUTED
    long = share(45.0, 3.0, Provenance.MEASURED)
    assert piece.then(long).provenance is long.then(piece).provenance is Provenance.MEASURED
    assert (piece + long).provenance is Provenance.ATTRIBUTED, "two windows, and one of them a share"


def test_shares_do_not_mend_what_is_weaker_than_they_are():
    for weaker in (Provenance.ESTIMATED, Provenance.MISSING, Provenance.REPORTED):
        assert add_up([share(300.0, 0.1), share(300.0, 0.0, weaker)]).provenance is weaker
        assert share(300.0, 0.1).then(share(300.0, 0.0, weaker)).provenance is weaker
