"""The study run again, at the smallest size and on digits; `test_cli_paper.py` has it from the command line."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest
import torch
from rigs.images import Book

from ecoml.errors import UsageError
from ecoml.experiments.paper.figures import RQ2, TABLE_III
from ecoml.experiments.paper.networks import FAMILIES, build
from ecoml.experiments.paper.published import PublishedTraining
from ecoml.experiments.paper.rounds import in_rounds
from ecoml.experiments.paper.rq1 import run_rq1, table_iii
from ecoml.experiments.paper.study import FULL, SCALES, open_study
from ecoml.report.page.page import write_report
from ecoml.run.result import Result
from ecoml.training.create import create_executor
from ecoml.trial import Trial

GREY = {"channels": 1, "side": 28}


def widths(config):
    return [
        (layer.out_channels if isinstance(layer, torch.nn.Conv2d) else layer.out_features)
        for layer in build({**GREY, **config}).children()
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear)
    ]


def test_the_families_have_the_studys_widths():
    assert widths({"network": "DensePoly"}) == [392, 196, 10]
    assert widths({"network": "DenseLinear"}) == [522, 261, 10]
    assert widths({"network": "SimpleCNN"}) == [3, 9, 392, 196, 10]
    assert widths({"conv": 4, "linear": 7}) == [3, 9, 27, 81, 392, 196, 98, 49, 24, 12, 10]
    kinds = [type(layer).__name__ for layer in build({**GREY, "conv": 1, "relu": "no", "linear": 1}).children()]
    assert kinds == ["Conv2d", "BatchNorm2d", "MaxPool2d", "Flatten", "Linear"]
    for config in ({"network": "ResNet"}, {"side": 8, "conv": 4}):
        with pytest.raises(UsageError):
            build({**GREY, **config})


def test_the_published_figures_are_all_there():
    assert all(set(TABLE_III[data]) == set(FAMILIES) for data in ("cifar10", "fashion-mnist"))
    assert TABLE_III["fashion-mnist"]["SimpleCNN"]["bo"][3] == (0.884, 36)
    assert RQ2["fashion-mnist"]["conv"].energy == 0.953


@pytest.mark.parametrize("rounds", [True, False])
def test_the_size_in_words_of_data_that_are_not_cut(rounds):
    assert FULL.in_words(rounds) == ""
    tiny, whole = (scale.in_words(rounds) for scale in (SCALES["tiny"], replace(SCALES["tiny"], images=None)))
    assert tiny == f"400 training images, not all, {whole}"
    assert whole.startswith("1 of 25 epochs, 3 of ")


def test_a_run_can_be_taken_up_by_ecoml_resume_as_its_networks_come_with_ecoml(tmp_path):
    study = open_study(tmp_path, "tiny", "digits", device="cpu", threads=1)
    executor = create_executor(study.executor.describe(), tmp_path)
    assert executor is not None
    assert executor.describe() == study.executor.describe()
    assert getattr(executor, "model", None) is build


def test_as_published_the_joules_are_those_of_one_training_a_round(tmp_path):
    study = open_study(tmp_path, "tiny", "digits", device="cpu", threads=1, as_published=True)
    found = run_rq1(study, tmp_path, budget_j=1e5, networks=["DensePoly"], parameters=[5])
    strategies = tomllib.loads((tmp_path / "strategies" / "bo.toml").read_text())
    assert strategies["settings"]["inputs"] == "unscaled"
    assert strategies["repeat"]["count_failures"] is False
    (search,) = found.settings[0].searches["random"]
    run = tmp_path / "digits-DensePoly-5hp" / "random" / "seed-0"
    trials = Result.load(run).trials
    assert search.search.spent.energy_j == pytest.approx(sum(trial.energy_j for trial in trials) / 2)
    soundly = in_rounds(Result.load(run), "random", "digits", 2, as_published=False)
    assert soundly.search.spent.energy_j > sum(trial.energy_j for trial in trials)
    assert "accuracy on the test set, as published" in table_iii(found).caption
    page = write_report(run, figures=False).read_text(encoding="utf-8")
    assert "1 training" in page
    assert "1 step" not in page, "its steps are whole trainings, live and on the page"


def test_the_published_training_ignores_beta2_and_never_evaluates(tmp_path):
    study = open_study(tmp_path, "tiny", "digits", device="cpu", threads=1, as_published=True)
    executor = study.executor
    assert isinstance(executor, PublishedTraining)
    space = study.space(3, {"network": "SimpleCNN"})
    executor.prepare(space)

    def score(beta2):
        config = {**space.fixed, "learning_rate": 0.01, "beta1": 0.9, "beta2": beta2}
        book = Book()
        reached = next(executor.start(Trial(0, config), book)).score
        assert book.entries[-1] == "evaluation"
        return reached

    assert score(0.8) == score(0.999)
    assert 0 <= score(0.8) <= 1
