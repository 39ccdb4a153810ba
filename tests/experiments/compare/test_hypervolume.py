"""Hypervolume by hand and cell by cell."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecoml.energy import Energy, Provenance
from ecoml.experiments.compare.quality import Frame
from ecoml.metric import ACCURACY, Metric
from ecoml.run.storage.snapshot import Progress
from ecoml.trial import Point


def progress(*points, metric=ACCURACY):
    source = Provenance.ESTIMATED
    return [
        Progress(number, Point(1, score, Energy(energy_j, 0.0, source), metric.utility(score), spent_j=spent_j))
        for number, (score, energy_j, spent_j) in enumerate(points)
    ]


def test_hypervolume_by_hand():
    frame = Frame(1.0, 100.0, 0.0, 1.0)
    spent_j, shares = frame.course(
        progress((0.5, 10.0, 10.0), (0.4, 20.0, 30.0), (0.9, 100.0, 130.0), (1.0, 1.0, 131.0))
    )
    assert spent_j == [10.0, 130.0, 131.0]
    assert shares == pytest.approx([0.5 * 0.5, 0.5 * 0.5, 1.0])


@given(st.lists(st.tuples(st.floats(0.01, 1.0), st.floats(1.0, 99.0)), min_size=2, max_size=12))
def test_hypervolume_is_the_area_of_all_cells_that_some_point_dominates(points):
    frame = Frame.around(progress(*((a, e, 0.0) for a, e in points)), ACCURACY)
    if frame is None:
        assert len({e for _, e in points}) == 1
        return
    _, shares = frame.course(progress(*((a, e, float(i)) for i, (a, e) in enumerate(points))))
    heights = sorted({0.0, *(a for a, _ in points)})
    widths = sorted({math.log(frame.high_j), *(math.log(e) for _, e in points)})
    area = math.fsum(
        (top - bottom) * (right - left)
        for bottom, top in pairwise(heights)
        for left, right in pairwise(widths)
        if any(a >= top and math.log(e) <= left for a, e in points)
    )
    assert shares[-1] == pytest.approx(area / math.log(frame.high_j / frame.low_j), abs=1e-9)
    assert shares == sorted(shares)


def test_no_frame_without_two_energies():
    assert Frame.around(progress((0.5, 10.0, 10.0), (0.6, 10.0, 20.0)), ACCURACY) is None
    assert Frame.around(progress((math.nan, 1.0, 1.0), (0.5, 2.0, 3.0)), ACCURACY) is None


def test_a_loss_without_bounds_is_counted_between_the_lower_quartile_and_the_best_of_all():
    loss = Metric("loss", minimize=True)
    found = progress(
        (9.0, 1.0, 1.0), (3.0, 10.0, 11.0), (2.0, 100.0, 111.0), (1.0, 100.0, 211.0), (1e6, 50.0, 261.0), metric=loss
    )
    frame = Frame.around(found, loss)
    assert frame == Frame(1.0, 100.0, -9.0, -1.0), "one diverged training does not stretch it"
    assert frame is not None
    spent_j, shares = frame.course(found)
    assert spent_j == [1.0, 11.0, 111.0, 211.0]
    assert shares == pytest.approx([0.0, 6 / 8 / 2, 6 / 8 / 2, 6 / 8 / 2])
    assert Frame.around(progress((1.0, 1.0, 1.0), (1.0, 2.0, 3.0), metric=loss), loss) is None, "all alike"
