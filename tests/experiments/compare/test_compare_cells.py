"""Comparisons run cell by cell: order, going on after a stop, and what is refused."""

import math
from typing import Any

import pytest
from rigs.run_folders import Course, courses, write_run

import ecoml
from ecoml.endings import EndReason, FailureKind, SearchEnd, StopReason, TrialEnd
from ecoml.energy import Provenance
from ecoml.errors import BudgetError, RunFolderError, SearchFailed, UsageError
from ecoml.experiments.compare import Task, gather, run_comparison, write_comparison
from ecoml.experiments.compare.notes import notes
from ecoml.limits import Limits
from ecoml.training.function import FunctionExecutor
from ecoml.trial import TrialState

SPACE = ecoml.Space({"width": ecoml.Int(4, 64)})


class Trainer:
    """An executor that is never asked to train: cells are run by a stand-in."""

    def __init__(self, data="digits"):
        self.data = data

    def prepare(self, space):
        raise AssertionError

    def start(self, trial, account):
        raise AssertionError

    def describe(self):
        return {"kind": "table", "data": self.data, "seed": 0}


@pytest.fixture
def folder(tmp_path):
    strategies = tmp_path / "strategies"
    strategies.mkdir()
    (strategies / "random.toml").write_text('strategy = "random"\n', encoding="utf-8")
    (strategies / "grid.toml").write_text('strategy = "grid"\n[settings]\nlevels = 3\n', encoding="utf-8")
    return strategies


def start(folder, tmp_path, run_cell, *, space=SPACE, executor=None, budget_j=100.0, limits=None, **changes):
    said: list[str] = []
    energy: Any = changes.pop("energy", "metered")
    task = Task(space, executor or Trainer(), budget_j, Limits.of(limits or {}), energy=energy)
    arguments = {"seeds": 2, "out": tmp_path / "out", "say": said.append, "run_cell": run_cell, **changes}
    return run_comparison(folder, task, **arguments), said


def fake(order, why=StopReason.BUDGET_SPENT):
    def run_cell(cell):
        order.append((cell.strategy, cell.seed))
        energy_j = {"bayes": 5.0, "grid": 20.0, "random": 10.0}[cell.strategy]
        scores, about = courses(energy_j, 0.5, 0.8), {"strategy": cell.strategy, "seed": cell.seed}
        write_run(cell.directory, scores, **about, ended=SearchEnd(why))

    return run_cell


def test_cells_are_interleaved_seed_by_seed_and_paired(folder, tmp_path):
    order: list[tuple[str, int]] = []
    comparison, said = start(folder, tmp_path, fake(order))
    assert order == [
        *(("grid", 0), ("random", 0), ("bayes", 0)),
        *(("random", 1), ("bayes", 1), ("grid", 1)),
    ]
    assert said[0] == (
        "3 strategies (grid, random, bayes) × 2 seeds on digits: 6 searches of 100 J each, at most 600 J (0.000167 kWh)"
        " in all"
    )
    assert said[4] == "4 of 6: random, seed 1"
    (problem,) = comparison.problems
    assert [(s.strategy, s.seeds, s.energy_j) for s in problem.standings] == [
        ("random", (0, 1), 20.0),
        ("bayes", (0, 1), 10.0),
        ("grid", (0, 1), 40.0),
    ]


@pytest.mark.parametrize("budget_j", [100.0, 100.1, 40.3])
def test_what_is_finished_is_not_run_again_and_the_folder_compares_by_itself(folder, tmp_path, budget_j):
    first, _ = start(folder, tmp_path, fake([]), budget_j=budget_j)
    order: list[tuple[str, int]] = []
    again, said = start(folder, tmp_path, fake(order), budget_j=budget_j)
    assert order == []
    assert said[0].endswith("in all, of which 0.00 J are still to be spent")
    assert all(line.endswith("done before") for line in said[1:])
    assert again == first
    assert gather([tmp_path / "out"]) == gather([tmp_path]) == first
    write_run(tmp_path / "other", courses(7.0, 0.5, 0.8), strategy="sobol")
    assert len(gather([tmp_path]).searches) == len(first.searches) + 1


def test_an_interrupted_cell_is_gone_on_with(folder, tmp_path):
    def interrupted(cell):
        fake([], why=StopReason.INTERRUPTED)(cell)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start(folder, tmp_path, interrupted)
    calls = []

    def go_on(cell):
        calls.append(cell.directory.exists())
        if not calls[-1]:
            fake([])(cell)

    comparison, _ = start(folder, tmp_path, go_on)
    assert calls == [True] + [False] * 5
    assert any("1 of 6 searches have not come to their end" in note for note in notes(comparison))


def test_a_strategy_whose_every_trial_fails_does_not_end_the_comparison(folder, tmp_path):
    def run_cell(cell):
        if cell.strategy == "grid":
            why = TrialEnd(FailureKind.ERROR, {"message": "boom"})
            ended = SearchEnd(StopReason.FAILURES, {"trials": 20, "last": why.to_dict()})
            failed = Course([], state=TrialState.FAILED, end=why, tail_j=3.0)
            write_run(cell.directory, [failed], strategy="grid", seed=cell.seed, ended=ended)
            raise SearchFailed("no trial succeeded")
        fake([])(cell)

    comparison, said = start(folder, tmp_path, run_cell)
    assert "1 of 6: grid, seed 0: no trial succeeded" in said
    grid = comparison.problems[0].standings[-1]
    assert (grid.strategy, grid.reached) == ("grid", 0)
    assert comparison.problems[0].quality["grid"].best is None
    write_comparison(comparison, tmp_path / "page")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget_j": 200.0}, "of 100 J a search, not 200 J"),
        ({"seeds": 3}, "with 2 seeds, not 3"),
        ({"space": ecoml.Space({"width": ecoml.Int(4, 65)})}, "its space is different"),
        ({"executor": Trainer("svhn")}, "its executor is different"),
        ({"limits": {"spend_all": True}}, "its limits are different"),
    ],
)
def test_another_plan_in_the_same_folder_is_refused(folder, tmp_path, changes, message):
    start(folder, tmp_path, fake([]))
    with pytest.raises(RunFolderError, match=message):
        start(folder, tmp_path, fake([]), **changes)


def test_a_changed_strategy_file_is_another_plan_and_a_changed_description_is_not(folder, tmp_path):
    start(folder, tmp_path, fake([]))
    grid = folder / "grid.toml"
    grid.write_text('description = "coarse"\n' + grid.read_text(encoding="utf-8"), encoding="utf-8")
    start(folder, tmp_path, fake([]))
    grid.write_text('strategy = "grid"\n[settings]\nlevels = 4\n', encoding="utf-8")
    with pytest.raises(RunFolderError, match="its strategies are different"):
        start(folder, tmp_path, fake([]))


def test_a_foreign_folder_is_left_alone(folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("", encoding="utf-8")
    with pytest.raises(RunFolderError, match="not a comparison"):
        start(folder, tmp_path, fake([]))


@pytest.mark.parametrize("error", [BudgetError("too small"), SearchFailed("no meter")])
def test_a_comparison_of_which_nothing_has_started_is_not_kept(folder, tmp_path, error):
    """A larger budget, the message's way out, was refused as another comparison."""

    def refuse(cell):
        cell.directory.parent.mkdir(parents=True)
        raise error

    with pytest.raises(type(error)):
        start(folder, tmp_path, refuse)
    assert not (tmp_path / "out").exists()
    order: list[tuple[str, int]] = []
    start(folder, tmp_path, fake(order), budget_j=200.0)
    assert len(order) == 6


def test_a_comparison_that_has_started_is_kept_when_a_search_is_refused(folder, tmp_path):
    run = fake([])

    def refuse(cell):
        if cell.seed == 1:
            raise BudgetError("too small")
        run(cell)

    with pytest.raises(BudgetError):
        start(folder, tmp_path, refuse)
    assert len(gather([tmp_path / "out"]).searches) == 3


def test_bayes_is_added_only_where_no_file_is_bayes(folder, tmp_path):
    (folder / "mine.toml").write_text('strategy = "bayes"\n', encoding="utf-8")
    order = []

    def run_cell(cell):
        order.append(cell.strategy)
        write_run(cell.directory, courses(1.0, 0.5), strategy=cell.strategy, seed=cell.seed)

    start(folder, tmp_path, run_cell, seeds=1)
    assert order == ["grid", "mine", "random"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 0}, "number of seeds is 0"),
        ({"budget_j": math.nan}, "energy budget is nan"),
        ({"limits": {"max_parameters": 0}}, "max_parameters is 0"),
        ({"limits": {"max_energy_per_training_j": -1.0}}, "the most energy of a training is -1 J"),
        ({"reference": "sobol"}, "'sobol' is not among the strategies"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_before_anything_is_made(folder, tmp_path, changes, message):
    with pytest.raises(UsageError, match=message):
        start(folder, tmp_path, fake([]), **changes)
    assert not (tmp_path / "out").exists()


def test_a_broken_strategy_file_is_refused_before_anything_is_made(folder, tmp_path):
    (folder / "odd.toml").write_text('strategy = "divination"\n', encoding="utf-8")
    with pytest.raises(UsageError, match="divination"):
        start(folder, tmp_path, fake([]))
    assert not (tmp_path / "out").exists()


def test_a_folder_without_strategies_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no strategy file"):
        start(tmp_path / "empty", tmp_path, fake([]))


def test_limits_hold_in_every_search_and_are_said_before(folder, tmp_path):
    def train(config):
        for _ in range(3):
            yield ecoml.Measurement(score=0.5, energy_j=config["width"] / 2)

    comparison, said = start(
        folder,
        tmp_path,
        None,
        executor=FunctionExecutor(train),
        energy="reported",
        limits={"max_energy_per_training_j": 20.0, "spend_all": True},
    )
    assert "Limits: at most 20.0 J a training. Told to spend the entire budget" in said[0]
    runs = [ecoml.Result.load(path.parent) for path in (tmp_path / "out").glob("*/*/run.toml")]
    assert len(runs) == 6
    assert all(run.limits == Limits(max_energy_per_training_j=20.0, spend_all=True) for run in runs)
    assert all(trial.energy_j <= 20.0 for run in runs for trial in run.front)
    endings = {trial.end.reason for run in runs for trial in run.trials if trial.end is not None}
    assert {EndReason.NEXT_STEP_TOO_MUCH, EndReason.TOOK_TOO_MUCH} <= endings
    assert comparison.problems[0].provenance is Provenance.REPORTED


def test_a_plan_without_the_limits_of_before_is_another_plan(folder, tmp_path):
    start(folder, tmp_path, fake([]), limits={"max_parameters": 500})
    with pytest.raises(RunFolderError, match="its limits are different"):
        start(folder, tmp_path, fake([]))


def test_every_search_gets_the_same_workers_and_the_same_budget(folder, tmp_path):
    def train(config):
        yield ecoml.Measurement(config["width"] / 64, energy_j=float(config["width"]))

    def task(workers):
        return Task(SPACE, FunctionExecutor(train), 500.0, energy="reported", workers=workers)

    same: dict[str, Any] = {"seeds": 1, "out": tmp_path / "out"}
    said: list[str] = []
    run_comparison(folder / "random.toml", task("local:2"), say=said.append, **same)
    assert said[0].endswith("in all, each on the workers local:2")
    for strategy in ("random", "bayes"):
        result = ecoml.Result.load(tmp_path / "out" / strategy / "seed-0")
        assert result.settings["workers"]["given"] == "local:2"
        assert result.energy.total_j <= 500.0 + result.energy.overshoot_bound_j
    with pytest.raises(RunFolderError, match="workers"):
        run_comparison(folder / "random.toml", task(None), **same)
    with pytest.raises(UsageError, match="slurm"):
        task("slurm://here")
