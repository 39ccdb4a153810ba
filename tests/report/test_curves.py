"""Kaplan-Meier against scipy, bands against what they must hold."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import CensoredData, ecdf

from ecoml.report.charts.curves import held, median_band, reached
from ecoml.report.statistics import best_so_far

seeds = st.lists(st.tuples(st.floats(0.1, 100.0), st.booleans(), st.floats(0.0, 50.0)), min_size=1, max_size=12)


def censored(rows):
    """Energies to target and horizons: a hit lies before its horizon, a miss beyond it."""
    energies_j = [at_j if hit else math.inf for at_j, hit, _ in rows]
    horizons_j = [at_j + more_j if hit else at_j for at_j, hit, more_j in rows]
    return energies_j, horizons_j


@given(seeds)
def test_the_energy_to_target_curve_is_scipys_kaplan_meier(rows):
    energies_j, horizons_j = censored(rows)
    curve = reached(energies_j, horizons_j)
    until_j = np.minimum(energies_j, horizons_j)
    expected = ecdf(CensoredData.right_censored(until_j, np.isinf(energies_j))).sf
    at_j = curve.energies_j
    assert at_j.tolist() == sorted({e for e in energies_j if math.isfinite(e)})
    assert curve.share == pytest.approx(1 - expected.evaluate(at_j))
    assert curve.ends_j == max(until_j)


def test_without_censoring_before_a_hit_it_is_the_share_of_all_seeds():
    curve = reached([1.0, 3.0, 3.0, math.inf], [9.0] * 4)
    assert curve.share.tolist() == pytest.approx([0.25, 0.75])
    assert curve.low is None


def test_a_search_that_was_cut_off_early_counts_for_as_long_as_it_ran():
    # Three seeds: one hits at 1, one is cut off at 2, one hits at 3. Of those still watched at 3 all hit.
    assert reached([1.0, math.inf, 3.0], [9.0, 2.0, 9.0]).share.tolist() == pytest.approx([1 / 3, 1.0])


@given(seeds.filter(lambda rows: len(rows) >= 5))
def test_a_band_holds_its_curve(rows):
    curve = reached(*censored(rows))
    assert curve.low is not None
    assert curve.high is not None
    assert (curve.low <= curve.share + 1e-9).all()
    assert (curve.share <= curve.high + 1e-9).all()
    assert (np.diff(curve.share) >= -1e-12).all()


def test_a_band_covers_the_true_share_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    hits = 0
    for trial in range(100):
        energies_j = rng.exponential(10.0, 20)
        curve = reached(np.where(energies_j <= 30, energies_j, math.inf).tolist(), [30.0] * 20, seed=trial)
        assert curve.low is not None
        assert curve.high is not None
        index = np.searchsorted(curve.energies_j, 10.0, side="right") - 1
        hits += curve.low[index] <= 1 - math.exp(-1) <= curve.high[index]
    assert hits >= 87  # 95 % asked for, of shares in steps of a twentieth


def test_all_missed_is_a_curve_without_a_step():
    curve = reached([math.inf] * 5, [7.0] * 5)
    assert curve.energies_j.size == 0
    assert curve.ends_j == 7.0


def test_a_median_begins_where_every_search_has_a_measurement_and_holds_the_last():
    curves = [best_so_far([1, 3], [0.2, 0.6]), best_so_far([2], [0.4])]
    values = held(curves, [1, 2, 3, 99])
    band = median_band(values)
    assert np.isnan(band.middle[0])
    assert band.low[1:].tolist() == [0.2, 0.4, 0.4]
    assert band.middle[1:].tolist() == pytest.approx([0.3, 0.5, 0.5])
    assert band.high[1:].tolist() == [0.4, 0.6, 0.6]
    assert not band.bootstrap
    assert median_band(held([], [1.0])).middle.shape == (1,)


def test_the_band_of_five_seeds_is_a_bootstrap_interval_of_the_median():
    values = np.random.default_rng(0).normal(size=(9, 130))
    band = median_band(values)
    assert band.bootstrap
    assert (band.low <= band.middle).all()
    assert (band.middle <= band.high).all()
    assert (values.min(axis=0) <= band.low).all()
    assert (band.high - band.low).mean() < (values.max(axis=0) - values.min(axis=0)).mean()
