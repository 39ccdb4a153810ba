"""A search for the lowest loss, which has no bounds: nothing on the way to people calls it an accuracy or a share."""

import json
import math
import re

import pytest

import ecoml
from ecoml.metric import Metric
from ecoml.report.charts.tradeoff import advice, tradeoff_dict, tradeoff_of
from ecoml.report.page.page import page, write_report
from ecoml.report.terminal.progress import show
from ecoml.report.terminal.summary import print_result
from ecoml.report.terminal.watch import follow
from ecoml.run.result import Result

LOSS = Metric("validation loss", minimize=True, step="round")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Thirty trainings that learn the better the wider they are, for as much more energy; and what was shown."""
    folder = tmp_path_factory.mktemp("loss") / "run"
    space = ecoml.Space({"learning_rate": ecoml.Float(1e-4, 1e-1, log=True), "width": ecoml.Int(8, 64, log=True)})

    def train(config):
        off = abs(math.log10(config["learning_rate"]) + 2)
        for step in range(1, 5):
            loss = 5 * math.exp(-0.3 * step * (config["width"] / 32) ** 0.3) + 0.3 * off
            yield ecoml.Measurement(loss, energy_j=float(config["width"]))

    ecoml.Searcher(
        space, train, budget_j=1e5, strategy="random", directory=folder, energy="reported", metric=LOSS, max_trials=30,
        target=0.2, show=show,
    ).run()  # fmt: skip
    return Result.load(folder)


@pytest.fixture(scope="module")
def tradeoff(run):
    return tradeoff_of(run)


def of_another_metric(told):
    return re.findall(r"accura\w+|percentage \w+|epochs?\b|\b\d+ steps?\b", told)


def test_the_front_falls_and_the_recommended_trial_is_near_the_lowest(run):
    scores = [trial.score for trial in run.front]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] == min(entry.point.score for entry in run.progress)
    assert run.recommended.score <= scores[-1] + 0.01 * (scores[0] - scores[-1]) + 1e-12


def test_summary_and_view_speak_of_a_loss(run, tradeoff, capsys):
    print_result(run, None, tuple(advice(tradeoff)))
    follow(run.directory)
    told = capsys.readouterr().out
    assert f"validation loss {run.recommended.score:.4g} for" in told
    assert "no trial beats these on both validation loss and energy" in told
    assert "after 4 rounds" in told
    assert "Target: validation loss 0.2; the search ends when it is reached" in told
    assert "30 trials were made" in told
    assert of_another_metric(told) == []
    assert json.loads(json.dumps(tradeoff_dict(tradeoff)))["metric"] == LOSS.to_dict()


def test_the_advice_gives_up_a_hundredth_of_the_fronts_range(run, tradeoff):
    scores = [trial.score for trial in run.front]
    assert tradeoff.tolerance == pytest.approx(0.01 * (max(scores) - min(scores)))
    assert tradeoff.within[1].score <= tradeoff.best.score + tradeoff.tolerance + 1e-12
    assert tradeoff.half.lost == pytest.approx(tradeoff.half.score - tradeoff.best.score)
    assert tradeoff.cheaper.best > tradeoff.dearer.best


def test_the_page_speaks_of_a_loss_and_scales_to_it(run):
    told = page(run)
    ours = re.sub(r"<script>.*?</script>|<style>.*?</style>", "", told, flags=re.DOTALL)
    assert "Validation loss and energy" in ours
    assert "Validation loss (lower is better)" in ours
    assert "Gain per Wh" in ours
    assert "4 rounds trained" not in ours
    assert of_another_metric(ours) == []
    drawings = [json.loads(text) for text in re.findall(r'data-chart="[^"]+">(.*?)</script>', told, re.DOTALL)]
    axes = [layer["encoding"]["y"] for drawing in drawings for layer in drawing["layer"] if "y" in layer["encoding"]]
    scores = [point.score for trial in run.trials for point in trial.curve]
    spans = [axis["scale"]["domain"] for axis in axes if axis.get("field") == "score"]
    assert len(spans) > 6
    assert all(low < min(scores) < 2 < high for low, high in spans)
    shown = [axis["axis"]["labelExpr"] for axis in axes if axis.get("field") == "score"]
    assert all("'.3~g'" in label and "%" not in label for label in shown)


def test_figures_are_written_of_a_loss(run):
    write_report(run.directory, figures=True)
    svg = (run.directory / "figures" / "front.svg").read_text(encoding="utf-8")
    assert "Validation loss (lower is better)" in svg
    assert "%" not in re.sub(r"<[^>]*>", "", svg)


def test_the_headline_names_the_score(run):
    assert f"after 4 rounds reaches validation loss {run.recommended.score:.4g} for" in page(run)
