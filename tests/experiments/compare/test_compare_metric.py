"""Comparisons of any score: a loss without bounds, where lower is better, from run folders and from a CSV."""

import json
import re

import pytest
from rigs.run_folders import HEAD, courses, write_run

import ecoml
from ecoml.errors import UsageError
from ecoml.experiments.compare import Task, gather, run_comparison, write_comparison
from ecoml.experiments.compare.charts import score_drawing
from ecoml.experiments.compare.files import comparison_dict
from ecoml.experiments.compare.notes import headline, notes
from ecoml.experiments.compare.tables import energy_table, print_comparison, quality_table, sweep_table
from ecoml.metric import ACCURACY, Metric
from ecoml.report.charts.drawing import PRINT
from ecoml.searcher.searcher import Searcher
from ecoml.training.function import FunctionExecutor

LOSS = Metric("validation loss", minimize=True)
SPACE = ecoml.Space({"width": ecoml.Int(1, 64, log=True), "rate": ecoml.Float(0.0, 1.0)})


def train(config):
    """A loss that falls with every step, and lower for wide and slow configurations."""
    for step in range(1, 4):
        yield ecoml.Measurement(5.0 / config["width"] + config["rate"] + 1.0 / step - 0.5, energy_j=config["width"] / 4)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Three strategies with two seeds on a made-up loss, and what was gathered of them."""
    folder = tmp_path_factory.mktemp("loss")
    for strategy in ("random", "grid", "mo-asha"):
        for seed in range(2):
            directory = folder / "runs" / f"{strategy}-{seed}"
            Searcher(
                *(SPACE, train),
                budget_j=400.0,
                strategy=strategy,
                seed=seed,
                directory=directory,
                metric=LOSS,
                energy="reported",
            ).run()
    return gather([folder / "runs"]), folder


def test_the_target_is_the_lowest_loss_of_the_median_seed_and_lower_ones_reach_it(searched):
    (problem,) = searched[0].problems
    bests = sorted(min(entry.point.score for entry in search.progress) for search in problem.of("random"))
    assert problem.target == bests[1], "of two seeds the worse one, so that both reach it"
    random = problem.standings[0]
    assert (random.strategy, random.reached) == ("random", 2)
    for standing in problem.standings:
        for search, energy_j in zip(problem.of(standing.strategy), standing.energies_j, strict=True):
            reaching = [e.point.spent_j for e in search.progress if e.point.score <= problem.target]
            assert energy_j == pytest.approx(min(reaching, default=float("inf")))
    assert problem.frame is not None
    assert all(0 <= volume <= 1 for quality in problem.quality.values() for volume in quality.hypervolumes)
    assert any(quality.hypervolumes[-1] > 0.5 for quality in problem.quality.values())


def test_all_that_people_read_speaks_of_the_loss(searched, capsys):
    comparison, folder = searched
    page = write_comparison(comparison, folder / "out")
    print_comparison(comparison, page)
    shown = capsys.readouterr().out
    html = re.sub(r"<script>.*?</script>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for text in (shown, html):
        assert "validation loss" in text
        assert "accuracy" not in text
    (problem,) = comparison.problems
    assert re.match(r"Energy until validation loss -?[0-9.]+, the best that random reached", shown)
    best = quality_table(comparison.problems)
    assert best.rows[0][best.header.index("Best validation loss")] == f"{problem.quality['random'].best:.4g}"
    assert (page.parent / "figures" / "best-so-far.svg").stat().st_size > 1000
    assert headline(comparison).startswith("No test distinguishes 3 strategies: validation loss ")


def test_its_csv_is_the_same_comparison(searched):
    comparison, folder = searched
    page = write_comparison(comparison, folder / "again")
    again = gather([page.parent / "compare.csv"])
    assert comparison_dict(again) == comparison_dict(comparison)
    numbers = json.loads((page.parent / "compare.json").read_text(encoding="utf-8"))
    assert numbers["problems"][0]["metric"]["minimize"] is True


def test_targets_of_a_loss(searched):
    comparison, folder = searched
    (problem,) = gather([folder / "runs"], targets=[0.3, 1.5]).problems
    table = sweep_table(problem, [1.5, 0.3])
    assert [row[0] for row in table.rows] == ["0.3", "1.5"]
    assert all(easy.energy_j <= hard.energy_j for easy, hard in zip(problem.at(1.5), problem.at(0.3), strict=True))
    assert not any("lower one with --target" in note for note in notes(comparison))
    (missed,) = gather([folder / "runs"], targets=[-5.0]).problems
    assert any("choose a higher one with --target" in note for note in notes(gather([folder / "runs"], targets=[-5.0])))
    assert all(standing.reached == 0 for standing in missed.standings)


TABLE = "problem,strategy,seed,trial,energy_j,score,metric,minimize\n"


def test_a_table_may_name_its_score(table):
    rows = "p,random,0,0,10,3.5,RMSE,True\np,random,0,1,10,2.5,RMSE,True\np,bayes,0,0,5,2.4,RMSE,True\n"
    (problem,) = gather([table(TABLE + rows + "p,bayes,0,1,5,nan,RMSE,True\n")]).problems
    assert problem.metric == Metric("RMSE", minimize=True)
    random, bayes = problem.standings
    assert (problem.target, random.energy_j, bayes.energy_j) == (2.5, 20.0, 5.0)
    assert "RMSE 2.5" in energy_table([problem]).caption


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("p,a,0,0,1,2.5,,\n", r"line 2: score = '2.5' is not a validation accuracy in \[0, 1\]"),
        ("p,a,0,0,1,2.5,RMSE,perhaps\n", "line 2: minimize = 'perhaps' is not True or False"),
        ("p,a,0,0,1,inf,RMSE,True\n", r"line 2: score = 'inf' is not a RMSE in \[−∞, ∞\] \(a failed trial is nan\)"),
    ],
)
def test_a_score_that_cannot_be_is_refused_with_its_line(table, rows, message):
    with pytest.raises(UsageError, match=message):
        gather([table(TABLE + rows)])


def test_bounds_of_a_table_hold(table):
    head = TABLE.strip() + ",metric_low,metric_high\n"
    (problem,) = gather([table(head + "p,a,0,0,1,0.5,R²,False,,1\np,b,0,0,2,-3,R²,False,,1\n")]).problems
    assert problem.metric == Metric("R²", high=1.0)
    with pytest.raises(UsageError, match=r"score = '1.5' is not a R² in \[−∞, 1\]"):
        gather([table(head + "p,a,0,0,1,1.5,R²,False,,1\n")])
    with pytest.raises(UsageError, match=r"the target is 2; give a R² between −∞ and 1"):
        gather([table(head + "p,a,0,0,1,0.5,R²,False,,1\n")], targets=[2.0])


def test_runs_of_different_metrics_do_not_compare(tmp_path, table):
    write_run(tmp_path / "a", courses(10.0, 0.5, 0.8))
    write_run(tmp_path / "b", courses(10.0, 0.5, 0.4), strategy="bayes", metric=LOSS)
    message = (
        r"digits: the searches measure validation accuracy \(higher is better\) and validation loss \(lower is"
        r" better\), which cannot be compared; name searches of one"
    )
    with pytest.raises(UsageError, match=message):
        gather([tmp_path / "a", tmp_path / "b"])
    path = table(HEAD + "digits,grid,0,0,10,0.5\n")
    assert [s.strategy for s in gather([tmp_path / "a", path]).problems[0].standings] == ["random", "grid"]
    with pytest.raises(UsageError, match="cannot be compared"):
        gather([tmp_path / "b", path])


def test_a_comparison_is_run_on_a_loss(tmp_path):
    (tmp_path / "random.toml").write_text('strategy = "random"\n')
    (tmp_path / "bayes.toml").write_text('strategy = "bayes"\n')
    task = Task(SPACE, FunctionExecutor(train), 60.0, metric=LOSS, energy="reported")
    files = [tmp_path / "random.toml", tmp_path / "bayes.toml"]
    arguments = {"seeds": 1, "out": tmp_path / "out", "targets": [2.0]}
    comparison = run_comparison(files, task, **arguments)
    assert comparison.problems[0].metric == LOSS
    assert gather([tmp_path / "out"], targets=[2.0]) == comparison


def scale_of(problem, comparison):
    """The scale of the scores, and where the lines lie on it."""
    spec = score_drawing(comparison, problem, PRINT).to_dict()
    (line,) = (layer for layer in spec["layer"] if layer["mark"]["type"] == "line")
    return line["encoding"]["y"]["scale"], [record["value"] for record in spec["datasets"][line["data"]["name"]]]


def test_accuracies_lie_apart_by_their_errors_and_energies_by_their_ratio(table):
    rows = "p,random,0,0,1,0.5\np,random,0,1,10,0.97\np,random,0,2,100,0.995\np,random,0,3,900,1.0\n"
    comparison = gather([table(HEAD + rows)])
    (problem,) = comparison.problems
    scale, places = scale_of(problem, comparison)
    assert scale["type"] == "log"
    assert scale["reverse"], "better is higher"
    assert places[0] / places[1] == pytest.approx(0.5 / 0.03)
    assert places[1] / places[2] == pytest.approx(6.0), "97 and 99.5 % are six times as many errors"
    assert places[3] == pytest.approx(0.0025), "no error at all has a place too"
    x = score_drawing(comparison, problem, PRINT).to_dict()["layer"][0]["encoding"]["x"]
    assert x["scale"]["type"] == "log"


def test_a_loss_lies_where_it_is_low_below_and_a_score_without_bounds_on_a_plain_scale(table):
    rows = "p,random,0,0,1,4.0,loss,True\np,random,0,1,9,0.5,loss,True\n"
    comparison = gather([table(TABLE + rows)])
    scale, places = scale_of(comparison.problems[0], comparison)
    assert (scale["type"], scale["reverse"], places[:2]) == ("log", False, [4.0, 0.5])
    comparison = gather([table(TABLE + rows.replace("loss,True", "reward,False").replace("0.5", "-0.5"))])
    scale, places = scale_of(comparison.problems[0], comparison)
    assert "type" not in scale
    assert places[0] == 4.0
    assert comparison.problems[0].metric != ACCURACY
