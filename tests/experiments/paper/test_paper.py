"""The study run again, at the smallest size and on digits; `test_cli_paper.py` has it from the command line."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from itertools import product

import pytest
import torch
from rigs.images import Book

from ecoml.energy import Energy, Provenance
from ecoml.errors import RunFolderError, UsageError
from ecoml.experiments.compare.notes import notes
from ecoml.experiments.effects.effects import effects_of
from ecoml.experiments.paper.figures import RQ2, TABLE_III
from ecoml.experiments.paper.networks import FAMILIES, build
from ecoml.experiments.paper.published import PublishedTraining
from ecoml.experiments.paper.rounds import in_rounds
from ecoml.experiments.paper.rq1 import run_rq1, table_iii
from ecoml.experiments.paper.rq2 import FACTORS, rq2_dict, run_rq2
from ecoml.experiments.paper.study import FULL, SCALES, open_study
from ecoml.report.page.page import write_report
from ecoml.run.result import Result
from ecoml.training.create import create_executor
from ecoml.trial import Point, Trial, TrialState

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
    found = run_rq1(study, tmp_path, budget_j=1e5, networks=["DensePoly"] * 2, parameters=[5, 5], targets=[0.2])
    assert [note for note in notes(found.comparison) if "7 for tests" in note], "the target is given"
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


def test_the_folder_of_another_run_stays_as_it_is(tmp_path):
    study = open_study(tmp_path, "tiny", "digits", device="cpu", threads=1)
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "bo.toml").write_text('strategy = "paper-bo"\n')
    with pytest.raises(RunFolderError, match="its strategies are different"):
        run_rq1(study, tmp_path, budget_j=1e5)
    assert [path.name for path in tmp_path.rglob("*")] == ["strategies", "bo.toml"]


def test_all_plans_and_targets_are_checked_before_the_first_training(tmp_path):
    study = open_study(tmp_path, "tiny", "digits", device="cpu", threads=1)
    last = tmp_path / "digits-SimpleCNN-3hp"
    last.mkdir()
    (last / "compare.toml").write_text("format = 2\nseeds = 7\nbudget_j = 100000.0\n")
    with pytest.raises(RunFolderError, match="SimpleCNN-3hp: holds another comparison"):
        run_rq1(study, tmp_path, budget_j=1e5)
    with pytest.raises(UsageError, match="target"):
        run_rq1(study, tmp_path, budget_j=1e5, targets=[7.0])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", last.name, "strategies"]


def test_a_device_that_is_not_there_gets_into_no_plan(tmp_path):
    study = open_study(tmp_path, "tiny", "digits", device="warp", threads=1)
    with pytest.raises(UsageError, match="device 'warp' cannot be used"):
        run_rq1(study, tmp_path, budget_j=1e5)
    assert not list(tmp_path.rglob("compare.toml"))


def test_rq2_refuses_small_images_and_other_runs_before_it_writes(tmp_path):
    study = open_study(tmp_path / "data", "tiny", "digits", device="cpu", threads=1)
    with pytest.raises(UsageError, match="images of 8 pixels cannot be halved four times"):
        run_rq2(study, tmp_path / "rq2", budget_j=1e5)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "rq2").write_text("a file")
    with pytest.raises(RunFolderError, match="already there"):
        run_rq2(replace(study, shape=(1, 28)), tmp_path / "rq2", budget_j=1e5)
    assert list(tmp_path.iterdir()) == [tmp_path / "rq2"]


def test_rq2_as_json_has_the_published_figures(tmp_path):
    study = open_study(tmp_path, "tiny", "digits", device="cpu", threads=1)
    trials = []
    for number, (linear, conv, relu) in enumerate(list(product((3, 7), (1, 4), ("no", "yes"))) * 3):
        energy = Energy(conv + linear / 10, 0.0, Provenance.ESTIMATED)
        config = {"linear": linear, "conv": conv, "relu": relu, "rate": number // 8}
        trials.append(Trial(number, config, TrialState.FINISHED, [Point(1, 0.5, energy, 0.5)]))
    effects = effects_of(trials, FACTORS)
    content = json.loads(json.dumps(rq2_dict(replace(study, name="fashion-mnist"), effects)))
    assert content["published"]["conv"] == {"h": 2303.25, "eta2": 0.749, "energy": 0.953}
    assert content["factors"][1]["name"] == "conv"
    assert content["size_differs"].startswith("400 training images")
    assert rq2_dict(study, effects)["published"] == dict.fromkeys(FACTORS)


def test_the_published_training_ignores_beta2_and_never_evaluates(tmp_path):
    study = open_study(tmp_path, "tiny", "digits", device="cpu", threads=1, as_published=True)
    study.write_data()
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
