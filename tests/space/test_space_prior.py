"""Priors of parameters: checked, kept, and a density from which points are drawn."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from ecoml.errors import SpaceError
from ecoml.space import Choice, Float, Int, Space, load_space
from ecoml.space.schema import space_of

unhurried = settings(deadline=None, max_examples=40)

SPACE = Space(
    {
        "rate": Float(1e-4, 1.0, log=True, default=1e-2, prior_width=0.2),
        "width": Int(4, 64, log=True, default=16, prior_width=0.1),
        "block": Choice(["plain", "residual", "separable"], default="residual", prior_width=0.3),
        "slope": Float(0.0, 0.5, when={"block": "plain"}, default=0.1, prior_width=0.1),
        "share": Float(0.0, 1.0),
    }
)
ANY: dict[str, Any] = {"text": "0.2"}
N = 4096
GRID = ((np.arange(N) + 0.5) / N)[:, None]


def density(space, u):
    u = np.atleast_2d(u)
    return np.exp(space.prior.log_density([space.decode(point) for point in u]))


@st.composite
def parameters(draw):
    """Parameters with a prior, wherever the default lies and however narrow the prior is."""
    width = draw(st.floats(0.02, 3.0))
    u, log = draw(st.floats(0.0, 1.0)), draw(st.booleans())
    kind = draw(st.sampled_from(["float", "int", "choice"]))
    if kind == "float":
        return Float(0.5, 20.0, log, default=Float(0.5, 20.0, log).decode(u), prior_width=width)
    if kind == "int":
        high = draw(st.integers(2, 40))
        return Int(1, high, log, default=Int(1, high, log).decode(u), prior_width=width)
    options = list(range(draw(st.integers(2, 5))))
    most = 1.0 - 1.0 / len(options)
    return Choice(options, default=Choice(options).decode(u), prior_width=min(width, most))


@unhurried
@given(parameters())
def test_the_density_has_mass_one(parameter):
    space = Space({"p": parameter})
    if isinstance(parameter, Float):
        centre = parameter.encode(parameter.default)
        assert quad(lambda u: density(space, [u]).item(), 0.0, 1.0, points=[centre], limit=200)[0] == pytest.approx(1.0)
    elif isinstance(parameter, Int):
        values = range(parameter.low, parameter.high + 1)
        mass = sum(
            density(space, [parameter.encode(v)]).item() * (high - low)
            for v in values
            for low, high in [parameter.bin(v)]
        )
        assert mass == pytest.approx(1.0)
    else:
        shares = [density(space, [parameter.encode(option)]).item() for option in parameter.options]
        assert np.mean(shares) == pytest.approx(1.0)
        assert shares[parameter.options.index(parameter.default)] == pytest.approx(max(shares))


@unhurried
@given(parameters())
def test_evenly_many_points_are_drawn_where_the_density_says(parameter):
    space = Space({"p": parameter})
    placed = space.prior.place(GRID)[:, 0]
    assert placed.min() >= 0.0
    assert placed.max() <= 1.0
    if isinstance(parameter, Float):
        assert (np.diff(placed) >= 0.0).all()
        middles = (placed[1:] + placed[:-1]) / 2
        gaps = np.diff(placed)
        dense = gaps < 0.005  # where the density is even enough between two points
        assert density(space, middles[dense, None]) * gaps[dense] * N == pytest.approx(1.0, rel=0.03)
        return
    drawn = [parameter.decode(u) for u in placed]
    for value in set(drawn) | {parameter.default}:
        low, high = parameter.bin(value) if isinstance(parameter, Int) else (0.0, 1.0 / parameter.count)
        expected = density(space, [parameter.encode(value)]).item() * (high - low)
        assert drawn.count(value) / N == pytest.approx(expected, abs=2 / N)


@given(st.integers(0, 60), st.integers(0, 60))
def test_an_ints_bins_follow_each_other_and_hold_its_values(first, log):
    parameter = Int(1, 61, log=bool(log % 2))
    low, high = parameter.bin(first + 1)
    assert low < parameter.encode(first + 1) < high
    assert parameter.decode(low + 1e-9) == first + 1
    assert parameter.decode(high - 1e-9) == first + 1


def test_a_parameter_that_does_not_exist_or_has_no_width_does_not_count():
    plain = {"rate": 1e-2, "width": 16, "block": "plain", "slope": 0.1, "share": 0.5}
    residual = {"rate": 1e-2, "width": 16, "block": "residual", "share": 0.5}
    log = SPACE.prior.log_density([plain, residual, residual | {"share": 0.9}])
    slope = np.log(density(Space({"slope": Float(0.0, 0.5, default=0.1, prior_width=0.1)}), [0.2]).item())
    assert log[0] - slope == pytest.approx(log[1] + np.log(0.15 / 0.7))
    assert log[1] == log[2]


def test_without_a_width_there_is_no_prior():
    space = Space({"rate": Float(0.0, 1.0, default=0.3), "kind": Choice(["a", "b"], default="a")})
    points = np.random.default_rng(0).random((8, 2))
    assert np.array_equal(space.prior.place(points), points)
    assert not space.prior.log_density([space.decode(point) for point in points]).any()


def test_the_prior_excludes_nothing():
    space = Space({"rate": Float(0.0, 1.0, default=0.0, prior_width=1e-3), "n": Int(0, 9, default=9, prior_width=1e-3)})
    far = {"rate": 1.0, "n": 0}
    assert np.isfinite(space.prior.log_density([far])).all()
    assert np.isfinite(space.prior.place(np.zeros((1, 2)))).all()


def test_priors_are_kept_with_the_space(tmp_path):
    assert space_of(json.loads(json.dumps(SPACE.to_dict()))) == SPACE
    assert SPACE.to_dict()["parameters"]["rate"]["prior_width"] == 0.2
    assert "prior_width" not in SPACE.to_dict()["parameters"]["share"]
    file = tmp_path / "mine.toml"
    file.write_text(
        '[parameters.depth]\ntype = "int"\nlow = 1\nhigh = 4\ndefault = 4\nprior_width = 0.2\n', encoding="utf-8"
    )
    assert load_space(file).free["depth"] == Int(1, 4, default=4, prior_width=0.2)


@pytest.mark.parametrize(
    ("create", "complaint"),
    [
        (
            lambda: Float(0.0, 1.0, prior_width=0.2),
            "Float: prior_width = 0.2 needs a default, around which the prior lies; add default",
        ),
        (
            lambda: Int(1, 4, default=4, prior_width=0),
            "Int: prior_width = 0 is not a number above 0; give one, or leave it out",
        ),
        (
            lambda: Float(0.0, 1.0, default=0.5, prior_width=ANY["text"]),
            "Float: prior_width = '0.2' is not a number above 0; give one, or leave it out",
        ),
        (
            lambda: Choice(["a", "b", "c"], default="a", prior_width=0.9),
            "Choice: prior_width = 0.9 is not a number above 0 and at most 0.667, an even share of the other options;"
            " give one, or leave it out",
        ),
    ],
)
def test_a_width_that_makes_no_prior_is_refused(create, complaint):
    with pytest.raises(SpaceError) as caught:
        create()
    assert str(caught.value) == complaint
