"""Comparisons: from CSV, from run folders, and run cell by cell."""

import csv
import json
import math

import pyarrow.parquet
import pytest
from report.run_folders import Course, write_run

import ecoml
from ecoml.energy import Provenance
from ecoml.errors import RunFolderError, SearchFailed, UsageError
from ecoml.report import gather, run_comparison, write_comparison
from ecoml.report.comparison_json import comparison_dict
from ecoml.report.comparison_notes import notes
from ecoml.report.comparison_tables import energy_table, quality_table, sweep_table
from ecoml.report.comparison_text import print_comparison
from ecoml.report.searches import read_csv, write_csv

SPACE = ecoml.Space({"width": ecoml.Int(4, 64)})


class Trainer:
    """An executor that is never asked to train: cells are run by a stand-in."""

    def __init__(self, data="digits"):
        self.data = data

    def describe(self):
        return {"kind": "table", "data": self.data, "seed": 0}


@pytest.fixture
def folder(tmp_path):
    strategies = tmp_path / "strategies"
    strategies.mkdir()
    (strategies / "random.toml").write_text('strategy = "random"\n', encoding="utf-8")
    (strategies / "grid.toml").write_text('strategy = "grid"\n[settings]\nlevels = 3\n', encoding="utf-8")
    return strategies


@pytest.fixture
def table(tmp_path):
    def write(text):
        path = tmp_path / "table.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


HEAD = "problem,strategy,seed,trial,energy_j,accuracy\n"


def test_energy_to_target_from_a_csv(table):
    path = table(
        HEAD + "p,random,0,0,10,0.5\np,random,0,1,20,0.8\np,random,0,2,30,0.7\n"
        "p,bayes,0,0,5,0.6\np,bayes,0,1,5,0.9\np,grid,0,0,100,0.3\n"
    )
    (problem,) = gather([path]).problems
    random, bayes, grid = problem.standings
    assert (problem.target, problem.reference, problem.provenance) == (0.8, "random", Provenance.REPORTED)
    assert (random.strategy, random.energy_j) == ("random", 30.0)
    assert (bayes.strategy, bayes.energy_j) == ("bayes", 10.0)
    assert bayes.ratio is not None
    assert bayes.ratio.value == 3.0
    assert (grid.strategy, grid.energy_j, grid.at_least_j, grid.reached) == ("grid", math.inf, 100.0, 0)
    assert grid.ratio is not None
    assert (grid.ratio.value, grid.ratio.relation) == (0.3, "<")


def test_epochs_are_cumulative_within_a_trial_and_may_interleave(table):
    path = table(
        "problem,strategy,seed,trial,epoch,energy_j,accuracy\n"
        "p,a,0,0,1,10,0.1\np,a,0,1,1,10,0.2\np,a,0,0,2,25,0.3\np,a,0,1,2,30,0.4\n"
    )
    (search,) = read_csv(path)
    assert [entry.spent_j for entry in search.progress] == [10, 20, 35, 55]
    assert search.energy_to(0.3) == 35.0


def test_a_diverged_trial_costs_its_energy(table):
    (search,) = read_csv(table(HEAD + "p,a,0,0,10,nan\np,a,0,1,10,0.5\n"))
    assert search.energy_to(0.5) == 20.0
    assert search.best == 0.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("problem,strategy,seed\n", "no column trial, energy_j, accuracy"),
        (HEAD, "there is no row"),
        (HEAD + "p,a,0,0,ten,0.5\n", "line 2: energy_j = 'ten' is not a number"),
        (HEAD + "p,a,0,0,-1,0.5\n", "energy_j = '-1' is not a number ≥ 0"),
        (HEAD + "p,a,0,0,10,97.8\n", "accuracy = '97.8' is not a share"),
        (HEAD + "p,a,0,0,10,0.5\np,a,0,0,20,0.6\n", "line 3: trial 0 stands there twice"),
        (HEAD + "p,a,x,0,10,0.5\n", "seed = 'x'"),
        (HEAD + "p,a,0,0.5,10,0.5\n", "trial = '0.5' is not a whole number"),
        (HEAD + "p,,0,0,10,0.5\n", "strategy is empty"),
        (HEAD + "p,a,0\n", "trial is empty"),
        ("problem,strategy,seed,trial,epoch,energy_j,accuracy\np,a,0,0,1,10,0.1\np,a,0,0,2,9,0.1\n", "must grow"),
        (HEAD.strip() + ",provenance\np,a,0,0,1,0.5,guessed\n", "provenance = 'guessed'"),
    ],
)
def test_a_csv_that_makes_no_sense_is_refused_in_one_line(table, text, message):
    with pytest.raises(UsageError, match=message) as caught:
        read_csv(table(text))
    assert "\n" not in str(caught.value)


def test_what_is_no_csv_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        gather([tmp_path / "nothing.csv"])
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8"):
        gather([tmp_path / "binary.csv"])
    with pytest.raises(UsageError, match="nothing to compare"):
        gather([])


def courses(energy_j, *accuracies):
    return [Course([(accuracy, energy_j)]) for accuracy in accuracies]


def test_run_folders_count_the_optimiser_and_keep_their_sources(tmp_path):
    write_run(tmp_path / "a", courses(10.0, 0.5, 0.8), strategy="random")
    write_run(tmp_path / "b", courses(10.0, 0.8), strategy="bayes", optimiser_j=5.0, provenance=Provenance.MEASURED)
    comparison = gather([tmp_path / "a", tmp_path / "b"])
    _, bayes = comparison.problems[0].standings
    assert bayes.energy_j == 15.0
    assert comparison.problems[0].quality["bayes"].optimiser_share == pytest.approx(1 / 3)
    assert any("measured and estimated" in note for note in notes(comparison))
    energy, quality = energy_table(comparison.problems), quality_table(comparison.problems)
    assert [row[0] for row in energy.rows] == ["random", "bayes"]
    assert energy.rows[1][energy.header.index("Source")] == "measured"
    assert quality.rows[1][quality.header.index("Optimiser")] == "33.3 %"


def test_the_same_search_twice_is_refused(tmp_path):
    write_run(tmp_path / "a", courses(1.0, 0.5))
    write_run(tmp_path / "b", courses(1.0, 0.5))
    with pytest.raises(UsageError, match="random with seed 0 on digits is there twice"):
        gather([tmp_path / "a", tmp_path / "b"])


def rows_of(problem, strategy, seeds, energy_j, accuracy=0.9):
    return "".join(f"{problem},{strategy},{seed},0,{energy_j + seed},{accuracy}\n" for seed in range(seeds))


def test_few_seeds_are_said_to_be_few_and_many_get_intervals(table):
    few = gather([table(HEAD + rows_of("p", "random", 4, 40) + rows_of("p", "bayes", 4, 10))])
    assert any("cannot be told from chance" in note for note in notes(few))
    assert few.problems[0].standings[1].interval_j is None
    many = gather([table(HEAD + rows_of("p", "random", 6, 40) + rows_of("p", "bayes", 6, 10))])
    assert notes(many) == ()
    bayes = many.problems[0].standings[1]
    assert bayes.interval_j is not None
    assert bayes.interval_j[0] <= 12.5 <= bayes.interval_j[1]
    assert bayes.ratio is not None
    assert bayes.ratio.interval is not None
    assert bayes.ratio.interval[0] <= 42.5 / 12.5 <= bayes.ratio.interval[1]
    assert bayes.effect is not None
    assert bayes.effect.p == 2 / 2**6
    assert bayes.effect.a12 == 1.0


def test_a_mean_over_problems_counts_the_misses_too(table):
    text = HEAD + rows_of("p", "random", 1, 40) + rows_of("p", "bayes", 1, 5)
    text += rows_of("q", "random", 1, 10) + rows_of("q", "bayes", 1, 20, accuracy=0.2)
    comparison = gather([table(text)])
    (mean,) = comparison.means
    assert mean.value == pytest.approx(8.0)
    assert (mean.problems, mean.of) == (1, 2)
    assert mean.overall is not None
    assert mean.overall.value == pytest.approx(2.0)
    assert mean.overall.relation == "<"
    assert energy_table(comparison.problems).header[0] == "Problem"


def test_target_and_reference_may_be_given(table):
    path = table(HEAD + rows_of("p", "random", 1, 40) + rows_of("p", "grid", 1, 10, accuracy=0.7))
    (problem,) = gather([path], targets=[0.6], reference="grid").problems
    assert (problem.reference, problem.target) == ("grid", 0.6)
    with pytest.raises(UsageError, match="'sobol' is not among the strategies"):
        gather([path], reference="sobol")
    with pytest.raises(UsageError, match="target accuracy is 60"):
        gather([path], targets=[60])


def test_everything_is_written_and_the_csv_reads_back(table, tmp_path):
    path = table(
        HEAD
        + rows_of("p", "random", 5, 40)
        + rows_of("p", "<i>bayes</i>", 5, 10)
        + rows_of("p", "grid", 5, 9, accuracy=0.1)
    )
    comparison = gather([path])
    page = write_comparison(comparison, tmp_path / "out")
    html = page.read_text(encoding="utf-8")
    assert {file.name for file in page.parent.iterdir()} == {
        "compare.html",
        "compare.json",
        "compare.csv",
        "compare.parquet",
        "figures",
    }
    names = ("energy-to-target", "best-so-far", "hypervolume")
    assert {file.name for file in (page.parent / "figures").iterdir()} == {
        f"{name}.{kind}" for name in names for kind in ("png", "svg", "pdf")
    }
    assert "&lt;i&gt;bayes" in html
    assert "<i>" not in html
    assert "> 11.0 J".replace(">", "&gt;") in html
    assert html.count("window.vegaEmbed=") == 1
    numbers = json.loads((page.parent / "compare.json").read_text(encoding="utf-8"))
    standings = {s["strategy"]: s for s in numbers["problems"][0]["strategies"]}
    assert standings["random"]["energy_to_target_j"] == 42.0
    assert standings["grid"]["energy_to_target_j"] is None
    assert comparison_dict(gather([page.parent / "compare.csv"])) == comparison_dict(comparison)


def test_a_csv_of_runs_keeps_budget_optimiser_and_source(tmp_path):
    write_run(tmp_path / "a", courses(10.0, 0.5, 0.8), strategy="bayes", optimiser_j=5.0, budget_j=77.0)
    before = gather([tmp_path / "a"])
    write_csv(before.problems[0].searches, tmp_path / "a.csv")
    (search,) = read_csv(tmp_path / "a.csv")
    assert (search.budget_j, search.optimiser_j, search.provenance) == (77.0, 5.0, Provenance.ESTIMATED)
    assert search.progress == before.problems[0].searches[0].progress
    with (tmp_path / "a.csv").open(encoding="utf-8") as file:
        assert next(csv.DictReader(file))["strategy"] == "bayes"


def test_the_parquet_file_is_the_csv_with_types(table, tmp_path):
    comparison = gather([table(HEAD + rows_of("p", "random", 2, 40) + "p,bayes,0,0,5,nan\n")])
    folder = write_comparison(comparison, tmp_path / "out").parent
    rows = pyarrow.parquet.read_table(folder / "compare.parquet").to_pylist()
    with (folder / "compare.csv").open(encoding="utf-8") as file:
        told = [["" if value is None else str(value) for value in row.values()] for row in rows]
        assert told == [list(row.values()) for row in csv.DictReader(file)]
    assert [type(rows[0][column]) for column in ("seed", "energy_j", "complete")] == [int, float, bool]


def test_without_pyarrow_it_is_left_out_and_said_to_be(table, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("ecoml.report.searches.find_spec", lambda _name: None)
    comparison = gather([table(HEAD + rows_of("p", "random", 1, 40))])
    page = write_comparison(comparison, tmp_path / "out")
    print_comparison(comparison, page)
    assert not (page.parent / "compare.parquet").exists()
    assert "compare.parquet was left out: it needs pyarrow, pip install 'ecoml[parquet]'" in capsys.readouterr().out


def test_a_search_that_was_cut_off_is_censored_where_it_stood_and_one_without_a_measurement_stays_a_miss(tmp_path):
    failed = Course([], state=ecoml.trial.TrialState.FAILED, failure="boom", tail_j=3.0)
    write_run(tmp_path / "a", courses(10.0, 0.5, 0.8), ended="interrupted by the user", budget_j=90.0)
    write_run(tmp_path / "b", [failed], strategy="bayes", budget_j=90.0)
    before = gather([tmp_path / "a", tmp_path / "b"], targets=[0.9])
    write_csv(before.problems[0].searches, tmp_path / "both.csv")
    for comparison in (before, gather([tmp_path / "both.csv"], targets=[0.9])):
        random, bayes = sorted(comparison.problems[0].standings, key=lambda s: s.strategy != "random")
        assert (random.horizons_j, random.at_least_j) == ((20.0,), 20.0)
        assert (bayes.horizons_j, bayes.reached) == ((90.0,), 0)
        assert any("1 of 2 searches have not come to their end" in note for note in notes(comparison))


def test_further_targets_are_told_beside_the_first(table, tmp_path, capsys):
    text = HEAD + rows_of("p", "random", 2, 40) + rows_of("p", "bayes", 2, 10, accuracy=0.95)
    comparison = gather([table(text)], targets=[0.9, 0.5, 0.95])
    (problem,) = comparison.problems
    assert problem.target == 0.9
    assert sweep_table(problem, comparison.targets).rows == (
        ("50.00 %", "40.5 J (2/2)", "10.5 J (2/2)"),
        ("90.00 %", "40.5 J (2/2)", "10.5 J (2/2)"),
        ("95.00 %", "> 40.5 J (0/2)", "10.5 J (2/2)"),
    )
    numbers = comparison_dict(comparison)["problems"][0]["further_targets"]
    assert [further["target"] for further in numbers] == [0.5, 0.95]
    print_comparison(comparison, write_comparison(comparison, tmp_path / "out"))
    assert "> 40.5 J (0/2)" in capsys.readouterr().out


def test_a_folder_of_finished_runs_is_compared(tmp_path):
    write_run(tmp_path / "runs" / "a", courses(10.0, 0.8))
    write_run(tmp_path / "runs" / "b", courses(5.0, 0.8), strategy="bayes")
    (problem,) = gather([tmp_path / "runs"]).problems
    assert {s.strategy: s.energy_j for s in problem.standings} == {"random": 10.0, "bayes": 5.0}


def test_several_problems_have_a_page_and_a_figure_of_ratios(table, tmp_path):
    text = "".join(HEAD if not p else "" for p in range(1))
    for problem in ("p", "q", "r"):
        text += rows_of(problem, "random", 1, 40) + rows_of(problem, "bayes", 1, 10)
    page = write_comparison(gather([table(text)]), tmp_path / "out")
    html = page.read_text(encoding="utf-8")
    assert "bayes reaches the target on 3 of 3 problems, there with 4.00× less energy than random" in html
    assert "Over all problems" in html


def start(folder, tmp_path, run_cell, **changes):
    said: list[str] = []
    arguments = {
        "space": SPACE,
        "executor": Trainer(),
        "budget_j": 100.0,
        "seeds": 2,
        "out": tmp_path / "out",
        "say": said.append,
        "run_cell": run_cell,
        **changes,
    }
    return run_comparison(folder, **arguments), said


def fake(order, ended="the budget is spent"):
    def run_cell(cell):
        order.append((cell.strategy, cell.seed))
        energy_j = {"bayes": 5.0, "grid": 20.0, "random": 10.0}[cell.strategy]
        write_run(cell.directory, courses(energy_j, 0.5, 0.8), strategy=cell.strategy, seed=cell.seed, ended=ended)

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


def test_what_is_finished_is_not_run_again_and_the_folder_compares_by_itself(folder, tmp_path):
    first, _ = start(folder, tmp_path, fake([]))
    order: list[tuple[str, int]] = []
    again, said = start(folder, tmp_path, fake(order))
    assert order == []
    assert said[0].endswith("in all, of which 0.00 J are still to be spent")
    assert all(line.endswith("done before") for line in said[1:])
    assert again == first
    assert gather([tmp_path / "out"]) == first


def test_an_interrupted_cell_is_gone_on_with(folder, tmp_path):
    def interrupted(cell):
        fake([], ended="interrupted by the user")(cell)
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
            failed = Course([], state=ecoml.trial.TrialState.FAILED, failure="boom", tail_j=3.0)
            write_run(cell.directory, [failed], strategy="grid", seed=cell.seed, ended="20 trials failed in a row")
            raise SearchFailed("no trial succeeded")
        fake([])(cell)

    comparison, said = start(folder, tmp_path, run_cell)
    assert "1 of 6: grid, seed 0: no trial succeeded" in said
    grid = comparison.problems[0].standings[-1]
    assert (grid.strategy, grid.reached) == ("grid", 0)
    assert comparison.problems[0].quality["grid"].best == 0.0
    write_comparison(comparison, tmp_path / "page")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget_j": 200.0}, "of 100 J a search, not 200 J"),
        ({"seeds": 3}, "with 2 seeds, not 3"),
        ({"space": ecoml.Space({"width": ecoml.Int(4, 65)})}, "its space is different"),
        ({"executor": Trainer("svhn")}, "its executor is different"),
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
        ({"reference": "sobol"}, "'sobol' is not among the strategies"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_before_anything_is_made(folder, tmp_path, changes, message):
    with pytest.raises(UsageError, match=message):
        start(folder, tmp_path, fake([]), **changes)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_strategies_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no strategy file"):
        start(tmp_path / "empty", tmp_path, fake([]))


def test_a_broken_strategy_file_is_refused_before_anything_is_made(folder, tmp_path):
    (folder / "odd.toml").write_text('strategy = "divination"\n', encoding="utf-8")
    with pytest.raises(UsageError, match="divination"):
        start(folder, tmp_path, fake([]))
    assert not (tmp_path / "out").exists()
