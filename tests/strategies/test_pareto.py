"""The front and its hypervolume against their definitions, spelled out by brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecoml.pareto import Front, front_indices, hypervolume

# Few distinct values, so that ties and duplicates are common.
coordinates = st.one_of(st.integers(0, 6).map(float), st.floats(-10, 10, allow_subnormal=False))
point_lists = st.lists(st.tuples(coordinates, coordinates), max_size=30)


def dominates(p, q):
    return p[0] >= q[0] and p[1] <= q[1] and p != q


def brute_front(points):
    return {i for i, p in enumerate(points) if not any(dominates(q, p) for q in points) and p not in points[:i]}


@given(point_lists)
def test_the_front_is_what_nothing_dominates(points):
    found = front_indices([p[0] for p in points], [p[1] for p in points])
    assert set(found.tolist()) == brute_front(points)
    assert len(set(found.tolist())) == len(found)


@given(point_lists)
def test_both_objectives_increase_along_the_front(points):
    array = np.array(points).reshape(-1, 2)
    front = array[front_indices(array[:, 0], array[:, 1])]
    assert (np.diff(front, axis=0) > 0).all()


@given(point_lists)
def test_a_front_that_grows_holds_what_the_whole_set_gives(points):
    front = Front()
    for count, (score, energy_j) in enumerate(points, start=1):
        added = front.add(score, energy_j)
        wanted = brute_front(points[:count])
        assert added == (count - 1 in wanted)
        assert set(front) == {points[i] for i in wanted}
        assert len(front) == len(wanted)
    assert list(front) == sorted(front)


@given(point_lists, coordinates, coordinates)
def test_dominated_by_the_front_means_that_adding_changes_nothing(points, score, energy_j):
    front = Front()
    for point in points:
        front.add(*point)
    assert front.dominates(score, energy_j) == (not front.add(score, energy_j))


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=12))
def test_hypervolume_counts_the_unit_squares_below_the_points(points):
    reference = (1.0, 7.0)
    squares = sum(any(a >= x + 1 and e <= y for a, e in points) for x in range(1, 9) for y in range(7))
    assert hypervolume(points, reference) == pytest.approx(squares)


@given(point_lists, coordinates, coordinates)
def test_hypervolume_never_shrinks_when_a_point_comes(points, score, energy_j):
    reference = (-1.0, 5.0)
    assert hypervolume([*points, (score, energy_j)], reference) >= hypervolume(points, reference) - 1e-9


def test_points_that_are_not_finite_are_never_on_the_front():
    nan, inf = float("nan"), float("inf")
    assert front_indices([nan, 0.5, 0.9, inf], [1.0, 2.0, nan, 1.0]).tolist() == [1]
    front = Front()
    assert not front.add(nan, 1.0)
    assert not front.add(0.5, nan)
    assert front.add(0.5, 1.0)


def test_nothing_has_an_empty_front_and_no_hypervolume():
    assert front_indices([], []).tolist() == []
    assert hypervolume([], (0.0, 1.0)) == 0.0


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="one score and one energy"):
        front_indices([0.1, 0.2], [1.0])
