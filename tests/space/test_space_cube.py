"""Space: configurations to the unit cube and back, with conditions."""

import itertools
import pickle
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecoml.errors import SpaceError
from ecoml.space import Choice, Float, Int, Space
from ecoml.space.schema import space_of

unhurried = settings(deadline=None)  # a busy machine is no failure

OPTIMISERS = Space(
    {
        "epochs": 10,
        "nesterov": Choice([True, False], when={"momentum_kind": "fast"}),
        "momentum_kind": Choice(["fast", "slow"], when={"optimizer": "sgd"}),
        "optimizer": Choice(["sgd", "adam", "adamw"]),
        "beta2": Float(0.9, 0.999, when={"optimizer": ["adam", "adamw"]}),
        "data": "digits",
        "layers": Int(1, 3),
        "skip": Int(1, 2, when={"layers": [2, 3], "optimizer": "sgd"}),
        "learning_rate": Float(1e-4, 1e-1, log=True),
    }
)


@st.composite
def spaces(draw):
    """Spaces of some parameters, each of which may depend on others, whatever their order."""
    names = [f"p{number}" for number in range(draw(st.integers(1, 6)))]
    parameters: dict[str, Any] = {}
    for number, name in enumerate(names):
        when: dict[str, Any] = {}
        for parent in names[:number]:
            if isinstance(parameters[parent], Int | Choice) and draw(st.integers(0, 2)) == 0:
                options = [parameters[parent].decode(u) for u in (0.0, 0.5, 1.0)]
                when[parent] = draw(st.lists(st.sampled_from(options), min_size=1, unique=True))
        kind = draw(st.sampled_from(["int", "int", "choice", "choice", "float", "fixed"]))
        if kind == "int":
            low = draw(st.integers(1, 3))
            parameters[name] = Int(low, low + draw(st.integers(1, 3)), draw(st.booleans()), when)
        elif kind == "choice":
            parameters[name] = Choice(["a", "b", "c"][: draw(st.integers(1, 3))], when)
        elif kind == "float":
            parameters[name] = Float(0.25, draw(st.floats(0.5, 3)), draw(st.booleans()), when)
        else:
            parameters[name] = draw(st.integers(0, 5) | st.booleans() | st.sampled_from(["", "x", "é"]))
    return Space({name: parameters[name] for name in draw(st.permutations(names))})


@unhurried
@given(spaces(), st.integers(0, 2**32 - 1))
def test_configs_survive_the_cube_bit_for_bit(space, seed):
    config = space.sample(np.random.default_rng(seed))
    space.validate(config)
    u = space.encode(config)
    assert u.shape == (space.dimension,)
    assert ((u >= 0) & (u <= 1)).all()
    again = space.decode(u)
    assert repr(again) == repr(config)  # repr tells 1 from True and keeps the order
    assert (space.encode(again) == u).all()
    for column, name in enumerate(space.names):
        assert name in config or u[column] == 0.5


@unhurried
@given(spaces())
def test_the_toml_form_gives_an_equal_space(space):
    again = space_of(space.to_dict())
    assert again == space
    assert repr(again.to_dict()) == repr(space.to_dict())


@unhurried
@given(spaces())
def test_size_is_the_number_of_configs_that_can_be_decoded(space):
    grid = [
        [1.0] if isinstance(free, Float) else [free.encode(v) for v in _values(free)] for free in space.free.values()
    ]
    configs = [space.decode(np.array(point)) for point in itertools.product(*grid)]
    endless = any(isinstance(free, Float) and name in c for c in configs for name, free in space.free.items())
    assert space.size == (None if endless else len({repr(config) for config in configs}))


def _values(parameter):
    return parameter.options if isinstance(parameter, Choice) else range(parameter.low, parameter.high + 1)


def test_a_config_keeps_the_order_given_and_leaves_out_what_does_not_exist():
    u = np.full(OPTIMISERS.dimension, 0.99)
    assert list(OPTIMISERS.decode(u)) == ["epochs", "optimizer", "beta2", "data", "layers", "learning_rate"]
    u[OPTIMISERS.names.index("optimizer")] = 0.0
    assert list(OPTIMISERS.decode(u)) == [
        "epochs", "momentum_kind", "optimizer", "data", "layers", "skip", "learning_rate",
    ]  # fmt: skip
    u[OPTIMISERS.names.index("momentum_kind")] = 0.0
    assert OPTIMISERS.decode(u)["nesterov"] is False


def test_conditions_on_several_parents_must_all_hold():
    u = np.zeros(OPTIMISERS.dimension)
    assert "skip" not in OPTIMISERS.decode(u)
    u[OPTIMISERS.names.index("layers")] = 0.5
    assert OPTIMISERS.decode(u)["skip"] == 1


def test_an_inactive_parameter_has_no_say_in_the_encoding():
    u = np.full(OPTIMISERS.dimension, 0.9)
    v = u.copy()
    v[OPTIMISERS.names.index("nesterov")] = 0.1
    assert OPTIMISERS.decode(u) == OPTIMISERS.decode(v)
    assert OPTIMISERS.encode(OPTIMISERS.decode(u))[OPTIMISERS.names.index("nesterov")] == 0.5


def test_size_counts_a_conditional_parameter_only_where_it_exists():
    space = Space(
        {
            "optimizer": Choice(["sgd", "adam", "adamw"]),
            "nesterov": Choice([True, False], when={"optimizer": "sgd"}),
            "layers": Int(1, 10**6),
            "dropout": Float(0, 1, when={"optimizer": "sgd", "nesterov": True}),
        }
    )
    assert space.size is None
    del (parameters := dict(space.parameters))["dropout"]
    assert Space(parameters).size == 4 * 10**6


def test_size_of_many_independent_conditions_is_found_at_once():
    parameters: dict[str, Any] = {}
    for number in range(40):
        parameters[f"on{number}"] = Choice([True, False])
        parameters[f"value{number}"] = Int(1, 4, when={f"on{number}": True})
    assert Space(parameters).size == 5**40


def test_a_space_may_be_all_fixed():
    space = Space({"epochs": 3, "optimizer": "sgd"})
    assert (space.dimension, space.names, space.size) == (0, (), 1)
    assert space.decode(np.empty(0)) == {"epochs": 3, "optimizer": "sgd"}
    assert space.encode({"epochs": 3, "optimizer": "sgd"}).shape == (0,)
    assert space_of(space.to_dict()) == space


def test_samples_cover_the_space_and_follow_the_generator():
    first = [OPTIMISERS.sample(np.random.default_rng(7)) for _ in range(2)]
    assert first[0] == first[1]
    rng = np.random.default_rng(0)
    configs = [OPTIMISERS.sample(rng) for _ in range(400)]
    assert {config["optimizer"] for config in configs} == {"sgd", "adam", "adamw"}
    assert {config["layers"] for config in configs} == {1, 2, 3}
    below = np.mean([config["learning_rate"] < 10**-2.5 for config in configs])
    assert below == pytest.approx(0.5, abs=0.1)


def test_a_users_long_float_is_encoded_without_being_touched():
    space = Space({"x": Float(0.0, 1.0)})
    config = {"x": 0.1234567890123456}
    space.validate(config)
    u = space.encode(config)
    assert config == {"x": 0.1234567890123456}
    assert space.decode(u) == {"x": 0.123456789}
    assert (space.encode(space.decode(u)) == u).all()


def test_decode_takes_only_points_of_the_cube():
    with pytest.raises(ValueError, match="shape"):
        OPTIMISERS.decode(np.zeros(3))
    with pytest.raises(ValueError, match="shape"):
        OPTIMISERS.decode(np.zeros((1, OPTIMISERS.dimension)))
    with pytest.raises(ValueError, match="NaN"):
        OPTIMISERS.decode(np.full(OPTIMISERS.dimension, np.nan))


GOOD = {
    "epochs": 10,
    "optimizer": "adam",
    "beta2": 0.99,
    "data": "digits",
    "layers": 2,
    "learning_rate": 0.01,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rte": 0.1}, "learning_rte: this space has no such parameter; did you mean learning_rate?"),
        ({"xyz": 0.1}, "xyz: this space has no such parameter; known are epochs, nesterov"),
        ({"layers": None}, "layers: missing from the configuration; add a value such as 2"),
        ({"epochs": None}, "epochs: missing from the configuration; add epochs = 10"),
        ({"epochs": 11}, "epochs = 11: this space fixes it to 10; give that value"),
        ({"epochs": 10.0}, "epochs = 10.0: this space fixes it to 10"),
        ({"layers": 4}, "layers = 4: is out of range; give an int in [1, 3]"),
        ({"layers": "2"}, "layers = '2': is of type str; give an int in [1, 3]"),
        ({"learning_rate": 1.0}, "learning_rate = 1.0: is out of range; give a float in [0.0001, 0.1]"),
        ({"optimizer": "lion"}, "optimizer = 'lion': is not an option; choose from 'sgd', 'adam', 'adamw'"),
        ({"skip": 1}, "skip = 1: it exists only with optimizer = 'sgd'; leave it out"),
        ({"beta2": None}, "beta2: missing from the configuration"),
        ({"optimizer": "sgd", "momentum_kind": "slow", "skip": 1}, "beta2 = 0.99: it exists only with optimizer = "),
        ({"nesterov": True}, "nesterov = True: it exists only with momentum_kind = 'fast'; leave it out"),
    ],
)
def test_a_config_from_elsewhere_is_checked(change, message):
    OPTIMISERS.validate(GOOD)
    config = {key: value for key, value in (GOOD | change).items() if value is not None}
    with pytest.raises(SpaceError) as caught:
        OPTIMISERS.validate(config)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("change", [{"layers": 9}, {"layers": "2"}, {"optimizer": ["sgd"]}, {"learning_rate": 2.0}])
def test_encode_refuses_a_value_outside_the_space(change):
    with pytest.raises(SpaceError, match=next(iter(change))):
        OPTIMISERS.encode(GOOD | change)


def test_encode_refuses_a_config_with_a_parameter_missing():
    with pytest.raises(SpaceError, match="layers: missing"):
        OPTIMISERS.encode({key: value for key, value in GOOD.items() if key != "layers"})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "the space has no parameters"),
        ({"": 1}, "is not a valid parameter name"),
        ({"a\nb": 1}, "is not a valid parameter name"),
        ({"a": [1, 2]}, "a = [1, 2]: a list cannot be a fixed value; write a choice with these options"),
        ({"a": None}, "a = None: it is of type NoneType; give a str, int, float or bool"),
        ({"a": float("nan")}, "a = nan: it is not finite"),
        ({"a": Int(1, 2, when={"b": 1})}, "a: it depends on b, which is not a parameter"),
        ({"a": Int(1, 2, when={"b": 1}), "b": Float(0, 1)}, "b, a Float; a condition needs"),
        ({"a": Int(1, 2, when={"b": 3}), "b": Int(0, 1)}, "a: in its condition, b = 3 is out of range"),
        ({"a": Int(1, 2, when={"b": "z"}), "b": Choice(["x"])}, "b = 'z' is not an option; choose from 'x'"),
        ({"a": Int(1, 2, when={"b": True}), "b": Int(0, 1)}, "b = True is of type bool"),
        ({"a": Int(1, 2, when={"b": "x"}), "b": "y"}, "a: it never exists, since b is fixed to 'y'"),
        ({"a": Int(1, 2, when={"a": 1})}, "a: its condition depends on itself (a → a)"),
        (
            {"a": Int(1, 2, when={"b": 1}), "b": Int(1, 2, when={"c": 1}), "c": Int(1, 2, when={"b": 2})},
            "b: its condition depends on itself (b → c → b)",
        ),
    ],
)
def test_parameters_that_make_no_space_are_refused(parameters, message):
    with pytest.raises(SpaceError) as caught:
        Space(parameters)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_condition_may_rest_on_a_fixed_value():
    space = Space({"optimizer": "sgd", "momentum": Choice([0.8, 0.9], when={"optimizer": ["sgd", "adam"]})})
    assert space.size == 2
    assert space.decode(np.array([0.9])) == {"optimizer": "sgd", "momentum": 0.9}


def test_spaces_are_values():
    again = pickle.loads(pickle.dumps(OPTIMISERS))  # noqa: S301 - made a line above
    assert again == OPTIMISERS
    assert hash(again) == hash(OPTIMISERS)
    assert again.decode(np.full(again.dimension, 0.3)) == OPTIMISERS.decode(np.full(again.dimension, 0.3))
    assert Space({"a": 1}) != Space({"a": True})
    assert Space({"a": 1, "b": 2}) != Space({"b": 2, "a": 1})
    assert Space({"a": 1}) != {"a": 1}


def test_many_thousands_of_configs_a_second():
    space = Space(
        {f"f{n}": Float(1e-3, 1.0, log=n % 2 == 0) for n in range(4)} | {f"i{n}": Int(1, 9) for n in range(4)}
    )
    points = np.random.default_rng(0).random((2000, 8))

    def round_trip_s():
        start = time.process_time()
        for point in points:
            space.encode(space.decode(point))
        return time.process_time() - start

    assert 2000 / min(round_trip_s() for _ in range(3)) > 10_000  # 20,000 each way
