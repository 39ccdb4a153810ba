"""Each kind of parameter: its definition, and its way through the unit interval."""

import enum
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ecoml.errors import SpaceError
from ecoml.space import Choice, Float, Int

unhurried = settings(deadline=None)  # a busy machine is no failure

units = st.floats(0.0, 1.0)
magnitudes = st.floats(1e-12, 1e12)


@st.composite
def floats(draw):
    log = draw(st.booleans())
    signed = magnitudes if log else magnitudes | magnitudes.map(lambda x: -x) | st.just(0.0)
    low, high = sorted((draw(signed), draw(signed)))
    assume(low < high and (not log or math.log(low) < math.log(high)))
    return Float(low, high, log)


@st.composite
def narrow_floats(draw):
    """Ranges about as narrow as the ten digits that are kept."""
    low = draw(magnitudes)
    return Float(low, low * (1 + draw(st.floats(1e-14, 1e-8))), draw(st.booleans()))


@st.composite
def ints(draw):
    log = draw(st.booleans())
    low = draw(st.integers(1 if log else -(10**6), 10**6))
    width = draw(st.integers(1, 12) | st.integers(1, 10**9) | st.just(2**40 - 1))
    return Int(low, low + width, log)


choices = st.lists(st.text("abé ", max_size=3), min_size=1, max_size=6, unique=True).map(Choice) | st.lists(
    st.integers(), min_size=1, max_size=6, unique=True
).map(Choice)


@unhurried
@given(floats() | narrow_floats() | ints() | choices, units)
def test_a_decoded_value_survives_the_unit_interval_bit_for_bit(parameter, u):
    value = parameter.decode(u)
    encoded = parameter.encode(value)
    assert 0.0 <= encoded <= 1.0
    assert repr(parameter.decode(encoded)) == repr(value)
    assert parameter.encode(parameter.decode(encoded)) == encoded
    assert parameter.problem(value) is None


@unhurried
@given(floats() | narrow_floats(), units)
def test_a_float_of_any_precision_has_a_settled_place(parameter, share):
    value = min(max(parameter.low + share * (parameter.high - parameter.low), parameter.low), parameter.high)
    encoded = parameter.encode(value)
    assert parameter.encode(parameter.decode(encoded)) == encoded
    assert parameter.decode(encoded) == pytest.approx(
        value, rel=1e-9, abs=1e-9 * (parameter.high - parameter.low) + 1e-12 * abs(parameter.low)
    )


@unhurried
@given(floats() | narrow_floats() | ints() | choices, units, units)
def test_decoding_keeps_the_order(parameter, u, v):
    rank = parameter.options.index if isinstance(parameter, Choice) else lambda value: value
    low, high = sorted((u, v))
    assert rank(parameter.decode(low)) <= rank(parameter.decode(high))


@unhurried
@given(floats() | narrow_floats() | ints())
def test_both_bounds_are_reached_exactly(parameter):
    assert repr(parameter.decode(0.0)) == repr(parameter.low)
    assert repr(parameter.decode(1.0)) == repr(parameter.high)
    assert parameter.decode(-0.5) == parameter.low
    assert parameter.decode(1.5) == parameter.high


@unhurried
@given(floats(), units)
def test_a_decoded_float_has_at_most_ten_digits_and_reads_well(parameter, u):
    value = parameter.decode(u)
    assume(value not in (parameter.low, parameter.high))
    digits = f"{value:.17e}".split("e")[0]
    assert float(f"{value:.13g}") == value, digits
    if parameter.log:
        assert float(f"{value:.10g}") == value


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(("low", "high"), [(1, 2), (1, 64), (3, 4097)])
def test_every_int_is_reached_from_the_centre_of_its_bin(low, high, log):
    parameter = Int(low, high, log)
    assert [parameter.decode(parameter.encode(value)) for value in range(low, high + 1)] == list(range(low, high + 1))


def test_int_bins_are_equal_and_log_bins_equal_in_the_logarithm():
    u = (np.arange(100_000) + 0.5) / 100_000
    linear, log = Int(1, 4), Int(1, 4, log=True)
    shares = [
        np.mean([parameter.decode(x) == value for x in u]) for parameter in (linear, log) for value in range(1, 5)
    ]
    expected = np.diff(np.log([0.5, 1.5, 2.5, 3.5, 4.5])) / np.log(9)
    assert shares == pytest.approx([0.25] * 4 + list(expected), abs=2e-5)


def test_a_log_float_has_its_geometric_mean_in_the_middle():
    assert Float(1e-4, 1e-2, log=True).decode(0.5) == 1e-3
    assert Float(0.0, 10.0).decode(0.25) == 2.5


def test_an_int_fits_a_float_and_a_numpy_float_is_one():
    parameter = Float(0, 2)
    assert parameter.encode(1) == parameter.encode(np.float64(1.0)) == 0.5
    assert type(parameter.low) is float


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (Float(0.0, 1.0), 1.1),
        (Float(0.0, 1.0), "0.5"),
        (Float(0.0, 1.0), True),
        (Float(0.0, 1.0), math.nan),
        (Float(0.0, 1.0), None),
        (Int(1, 4), 5),
        (Int(1, 4), 2.0),
        (Int(0, 1), True),
        (Int(1, 4), np.int64(2)),
        (Choice(["a", "b"]), "c"),
        (Choice([1, 2]), True),
        (Choice([1, 2]), 1.0),
        (Choice([True, False]), 1),
        (Choice(["a"]), ["a"]),
    ],
)
def test_a_value_outside_is_told(parameter, value):
    assert "give" in (trouble := parameter.problem(value) or "") or "choose" in trouble


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (Float, (2.0, 1.0), "low = 2.0 is above high = 1.0; swap them"),
        (Float, (1.0, 1.0), "give the fixed value 1.0 instead"),
        (Float, (0.0, 1.0, True), "a log scale needs low > 0, not 0.0"),
        (Float, (0.0, math.inf), "high = inf is not finite"),
        (Float, (math.nan, 1.0), "low = nan is not finite"),
        (Float, (0, 10**400), "not finite"),
        (Float, (-1e308, 1e308), "cannot resolve"),
        (Float, ("0", 1.0), "low = '0' is not a number"),
        (Float, (False, 1.0), "low = False is not a number"),
        (Float, (0.1, 1.0, "yes"), "log = 'yes' is neither true nor false"),
        (Int, (4, 1), "low = 4 is above high = 1; swap them"),
        (Int, (4, 4), "give the fixed value 4 instead"),
        (Int, (0, 4, True), "a log scale needs low > 0"),
        (Int, (1.0, 4), "low = 1.0 is not a whole number"),
        (Int, (1, True), "high = True is not a whole number"),
        (Int, (0, 2**40), "more than 2^40 values"),
        (Choice, ([],), "there is no option"),
        (Choice, ("relu",), "options = 'relu' is not a list"),
        (Choice, ({"a", "b"},), "is not a list"),
        (Choice, (["a", "b", "a"],), "the option 'a' stands there twice"),
        (Choice, (["a", 1],), "mix int and str; use one type"),
        (Choice, ([1, 2.5],), "mix float and int; write the whole numbers with a point"),
        (Choice, ([1, True],), "mix bool and int"),
        (Choice, ([None],), "of type NoneType; give a str, int, float or bool"),
        (Choice, ([math.inf],), "the option inf is not finite"),
        (Choice, (["a"], "b"), "when = 'b' is not a table"),
        (Int, (1, 2, False, {"a": []}), "a has no value"),
        (Int, (1, 2, False, {"a": [None]}), "a = None is of type NoneType"),
    ],
)
def test_a_definition_that_cannot_be_used_says_why_in_one_line(kind, arguments, message):
    with pytest.raises(SpaceError) as caught:
        kind(*arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_condition_may_name_one_value_or_several():
    assert Float(0, 1, when={"a": "x"}) == Float(0, 1, when={"a": ["x"]}) == Float(0.0, 1.0, when={"a": ("x",)})
    assert Int(0, 1, when={}) == Int(0, 1)
    assert hash(Float(0, 1, when={"a": "x"})) == hash(Float(0, 1, when={"a": ["x"]}))


def test_options_become_plain_values():
    class Optimiser(enum.StrEnum):
        SGD = "sgd"

    assert type(Choice([Optimiser.SGD]).decode(0.0)) is str
    assert type(Choice([np.float64(0.5)]).decode(0.0)) is float
