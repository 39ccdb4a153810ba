"""Grid search: its levels, its order and its part, and the index arithmetic below it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecoml.errors import UsageError
from ecoml.space import Choice, Float, Int, Space, load_space
from ecoml.strategies.base import End
from ecoml.strategies.enumeration import Enumeration, Permutation, all_levels, key
from ecoml.strategies.grid import GridSearch


def walk(search):
    configs = []
    while not isinstance(decision := search.ask(), End):
        configs.append(decision.config)
    return configs


def levels(space, name, **settings):
    return sorted({config[name] for config in walk(GridSearch(space, 0, **settings))})


@pytest.mark.parametrize(
    ("endpoints", "linear", "log"),
    [
        ("both", [0.0, 0.25, 0.5, 0.75, 1.0], [1e-4, 1e-3, 1e-2, 1e-1, 1.0]),
        ("lower", [0.0, 0.2, 0.4, 0.6, 0.8], [1e-4, 10**-3.2, 10**-2.4, 10**-1.6, 10**-0.8]),
        ("none", [0.1, 0.3, 0.5, 0.7, 0.9], [10**-3.6, 10**-2.8, 1e-2, 10**-1.2, 10**-0.4]),
    ],
)
def test_levels_are_even_on_the_parameters_own_scale(endpoints, linear, log):
    space = Space({"linear": Float(0.0, 1.0), "log": Float(1e-4, 1.0, log=True)})
    assert levels(space, "linear", endpoints=endpoints) == pytest.approx(linear)
    assert levels(space, "log", endpoints=endpoints) == pytest.approx(log)


def test_whole_numbers_are_rounded_without_repeats_and_the_upper_end_can_be_left_out():
    space = Space({"few": Int(1, 4), "many": Int(1, 16, log=True)})
    assert levels(space, "few") == [1, 2, 3, 4]
    assert levels(space, "few", endpoints="lower") == [1, 2, 3]
    assert levels(space, "many") == [1, 2, 4, 8, 16]


def test_conditional_parameters_expand_only_where_they_exist():
    space = Space(
        {
            "optimizer": Choice(["sgd", "adamw"]),
            "momentum": Float(0.0, 0.9, when={"optimizer": ["sgd"]}),
            "nesterov": Choice([True, False], when={"optimizer": ["sgd"]}),
            "damped": Float(0.0, 1.0, when={"nesterov": [True]}),
            "epochs": 3,
        }
    )
    configs = walk(GridSearch(space, 0, levels=3))
    for config in configs:
        space.validate(config)
    # sgd: 3 momenta × (nesterov with 3 dampings + without) and adamw alone
    assert len(configs) == len({key(c) for c in configs}) == 3 * (3 + 1) + 1


def test_sequential_order_varies_the_last_parameter_fastest():
    space = Space({"a": Int(1, 2), "b": Int(1, 2)})
    configs = walk(GridSearch(space, 0, order="sequential"))
    assert [(c["a"], c["b"]) for c in configs] == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_random_order_is_the_same_grid_in_the_seeds_order():
    space = Space({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
    orders = [walk(GridSearch(space, seed)) for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert {key(c) for c in orders[0]} == {key(c) for c in orders[2]}
    assert len(orders[0]) == 25


def test_a_subset_is_drawn_without_building_the_grid():
    space = Space({f"x{i}": Float(0.0, 1.0) for i in range(40)})  # 5^40 configurations
    part = walk(GridSearch(space, 0, subset=64))
    assert len({key(config) for config in part}) == 64
    for i in range(40):
        assert {config[f"x{i}"] for config in part} == {0.0, 0.25, 0.5, 0.75, 1.0}


def test_a_sequential_subset_keeps_the_grids_order():
    space = Space({"x": Int(1, 5), "y": Int(1, 5)})
    part = walk(GridSearch(space, 3, order="sequential", subset=7))
    assert len(part) == 7
    assert [(c["x"], c["y"]) for c in part] == sorted((c["x"], c["y"]) for c in part)


def test_the_papers_grid_leaves_the_upper_end_out():
    space = load_space("paper-3")
    configs = walk(GridSearch(space, 0, levels=5, endpoints="lower", subset=64))
    assert len(configs) == 64
    assert max(config["learning_rate"] for config in configs) < 0.1


@pytest.mark.parametrize("settings", [{"levels": 1}, {"subset": 0}])
def test_settings_that_make_no_grid(settings):
    with pytest.raises(UsageError, match="at least"):
        GridSearch(Space({"x": Float(0.0, 1.0)}), 0, **settings)


@settings(max_examples=60)
@given(st.data())
def test_a_lattice_counts_every_configuration_once(data):
    """Against the space's own count and validation, for random trees of conditions."""
    parameters: dict[str, Any] = {}
    for number in range(data.draw(st.integers(1, 5))):
        parents = [name for name, p in parameters.items() if isinstance(p, Choice)]
        when = None
        if parents and data.draw(st.booleans()):
            parent = data.draw(st.sampled_from(parents))
            when = {parent: [data.draw(st.sampled_from(parameters[parent].options))]}
        options = list(range(data.draw(st.integers(1, 3))))
        low = data.draw(st.integers(0, 3))
        is_choice = data.draw(st.booleans())
        parameters[f"p{number}"] = Choice(options, when=when) if is_choice else Int(low, low + 2, when=when)
    space = Space(parameters)
    enumeration = Enumeration(space, all_levels(space))
    configs = [enumeration[i] for i in range(enumeration.size)]
    for config in configs:
        space.validate(config)
        assert list(config) == [name for name in space.parameters if name in config]
    assert len({key(config) for config in configs}) == len(configs) == space.size


@given(st.integers(1, 3000), st.integers(0, 2**32))
def test_a_permutation_visits_everything_once(size, seed):
    order = Permutation(size, seed)
    assert sorted(order[n] for n in range(size)) == list(range(size))


def test_permutations_mix():
    first = [Permutation(1000, seed)[0] for seed in range(300)]
    assert 400 < sum(first) / 300 < 600
    assert len(set(first)) > 200
    assert Permutation(10**30, 0)[0] > 10**20
