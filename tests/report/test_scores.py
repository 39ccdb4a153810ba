"""The axis of scores: in their order, none outside of it, and good ones apart."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecoml.metric import ACCURACY, Metric
from ecoml.report.charts.scores import score_axis

LOSS = Metric("validation loss", minimize=True)
R2 = Metric("R²", high=1.0)
SHARES = st.lists(st.integers(0, 400).map(lambda right: right / 400), min_size=1, max_size=20)


def y_of(axis) -> dict[str, Any]:
    """The axis as vega-lite has it."""
    return dict(json.loads(json.dumps(axis.y.to_dict())))


@given(SHARES, st.sampled_from([ACCURACY, LOSS, R2]))
def test_places_are_in_the_order_of_the_scores_and_within_the_axis(scores, metric):
    axis = score_axis(metric, scores, "score")
    ranked = sorted(set(scores), key=metric.utility)
    places = [axis.place(score) for score in ranked]
    rising = all(before < after for before, after in itertools.pairwise(places))
    falling = all(before > after for before, after in itertools.pairwise(places))
    assert rising or falling
    scale = y_of(axis)["scale"]
    if scale.get("type") == "log":
        low, high = scale["domain"]
        assert all(low <= place <= high for place in places)
        better_is_up = (places[-1] < places[0]) if scale["reverse"] else (places[-1] > places[0])
        assert len(places) == 1 or better_is_up is not metric.minimize


def test_good_scores_are_as_far_apart_as_their_errors():
    axis = score_axis(ACCURACY, [0.5, 0.97, 0.995], "score")
    places = [math.log(axis.place(score)) for score in (0.97, 0.995)]
    assert places[0] - places[1] == pytest.approx(math.log(0.03 / 0.005))


def test_a_perfect_score_has_a_place_and_its_label():
    axis = score_axis(ACCURACY, [0.5, 0.98, 1.0], "score")
    y = y_of(axis)
    assert axis.place(1.0) == pytest.approx(0.01)
    assert y["scale"]["domain"][0] < 0.01
    assert "datum.value > 0.01" in y["axis"]["labelExpr"]
