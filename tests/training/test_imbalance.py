"""Classes of unequal size: what is measured, what is kept of every measurement, and weights of classes."""

from __future__ import annotations

import json
import logging
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rigs.images import rest, start
from sklearn import metrics

import ecoml
from ecoml.errors import DataError, TrainingError, UsageError
from ecoml.format import describe_data, format_sure, percent
from ecoml.report.page.page import page
from ecoml.report.terminal.summary import print_result
from ecoml.run.result import Result
from ecoml.training.images.scores import Confusion, imbalanced
from ecoml.training.images.settings import Settings
from ecoml.training.images.steps.recipe import class_weights

SPACE = ecoml.Space({"learning_rate": ecoml.Float(0.02, 0.2, log=True), "width": 4, "depth": 1, "epochs": 4})
SEARCH: dict[str, Any] = {"budget_j": 1e5, "strategy": "random", "max_trials": 2}


def painted(root, noise=70, **counts):
    """A folder of grey images by class, each class of another brightness, not always to be told apart."""
    random = np.random.default_rng(1)
    for level, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.clip(random.normal(90 + 40 * level, noise, (8, 8)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:03}.png")
    return root


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory):
    return painted(tmp_path_factory.mktemp("data") / "kitchen", mug=160, box=20, jug=20)


@given(
    pairs=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60),
)
def test_scores_are_those_of_scikit_learn(pairs):
    truth, predicted = (np.array(part) for part in zip(*pairs, strict=True))
    found = Confusion.of(truth, predicted, 5)
    assert found.accuracy == metrics.accuracy_score(truth, predicted)
    assert found.macro_f1 == pytest.approx(metrics.f1_score(truth, predicted, average="macro", zero_division=0))
    recalls = metrics.recall_score(truth, predicted, average=None, labels=range(5), zero_division=np.nan)
    assert np.array([np.nan if r is None else r for r in found.recalls]) == pytest.approx(recalls, nan_ok=True)
    assert found.balanced_accuracy == pytest.approx(np.nanmean(recalls))
    again = Confusion.of_cells(json.loads(json.dumps(found.cells)), 5)
    assert np.array_equal(again.counts, metrics.confusion_matrix(truth, predicted, labels=range(5)))


def test_what_is_imbalanced():
    assert imbalanced([180, 20]), "mugs and boxes"
    assert not imbalanced([120, 60])
    assert imbalanced([20, 121, 100, 20, 22, 80]), "twice the mean of the others"
    assert not imbalanced([100, 50, 50])
    assert imbalanced([101, 50, 50])
    assert not imbalanced([2_100, *[1_100] * 9])


def test_an_imbalanced_folder_is_measured_by_balanced_accuracy_and_says_so(kitchen, tmp_path, caplog, capsys):
    training = ecoml.CnnTraining(kitchen, threads=1)
    assert training.metric.name == "validation balanced accuracy"
    about = training.about
    assert about.imbalanced
    assert about.largest_class == "mug"
    assert about.guess_score == pytest.approx(1 / 3)
    assert about.image_worth == pytest.approx(1 / 3 / 3), "one of three boxes"
    assert about.counts_as({"mug": 26, "box": 3, "jug": 3}) == pytest.approx(9 / (1 / 26 + 2 / 3))
    assert about.counts_as({"mug": 5, "box": 5, "jug": 5}) == pytest.approx(15)
    told = " ".join(describe_data(about.to_dict(), training.metric))
    assert "mug has more than twice as many images as the others" in told
    assert "the score is therefore validation balanced accuracy (--metric balanced-accuracy)" in told
    assert "always guessing mug reaches 33.33 % validation balanced accuracy" in told

    with caplog.at_level(logging.INFO, "ecoml"):
        result: Any = ecoml.search(SPACE, training, directory=tmp_path / "r", **SEARCH)
    assert result.metric == training.metric
    lines = [record.message for record in caplog.records]
    said = lines.index(next(line for line in lines if "the score is therefore validation balanced accuracy" in line))
    assert said < next(number for number, line in enumerate(lines) if line.startswith("trial ")), "before it starts"
    assert any(line.startswith("the first epoch took") and "the budget buys about" in line for line in lines)

    shown = page(result)
    recalls = [percent(recall, 1) for recall in result.recommended.test_details["recalls"]]
    for cell in ("Confusion matrix of the recommended network, test images", "mug has more than twice", *recalls):
        assert cell in shown
    print_result(result)
    sure = format_sure(result.metric, result.recommended.test_score, result.settings["data"], "test")
    assert sure.count("–") == 1
    assert sure in shown
    assert sure in capsys.readouterr().out
    for trial in result.trials:
        for point in trial.curve:
            assert point.score == point.details["balanced-accuracy"]
            assert point.score == pytest.approx(np.mean(point.details["recalls"]), abs=1e-5)
            assert set(point.details) == {"accuracy", "balanced-accuracy", "macro-f1", "recalls"}
    best = result.recommended
    counts = Confusion.of_cells(best.test_details["confusion"], 3)
    assert counts.balanced_accuracy == best.test_score
    assert counts.counts.sum(1).tolist() == list(about.test.values())
    assert Result.load(tmp_path / "r") == result
    kept = json.loads(json.dumps(result.to_dict()))["recommended"]
    assert kept["test_details"]["confusion"] == best.test_details["confusion"]
    assert kept["details"]["macro-f1"] == best.curve[-1].details["macro-f1"]

    again = ecoml.Searcher.resume(tmp_path / "r", budget_j=2e5).run()
    assert again.metric == result.metric


def test_the_metric_can_be_chosen(kitchen, tmp_path):
    found: dict[str, Any] = {}
    for name in ("accuracy", "macro-f1"):
        training = ecoml.CnnTraining(kitchen, threads=1, metric=name)
        found[name] = ecoml.search(SPACE, training, directory=tmp_path / name, **SEARCH)
        assert found[name].settings["executor"]["metric"] == name
        for trial in found[name].trials:
            assert [point.score for point in trial.curve] == [point.details[name] for point in trial.curve]
    details = [[[point.details for point in trial.curve] for trial in result.trials] for result in found.values()]
    assert details[0] == details[1], "the trainings are the same"
    assert found["macro-f1"].metric.name == "validation macro F1"
    for train in (None, ecoml.CnnTraining(kitchen, threads=1, metric="macro-f1")):
        ecoml.Searcher.resume(tmp_path / "macro-f1", train, budget_j=2e5).run()
    with pytest.raises(UsageError, match="its scores are validation macro F1, but this training measures validation b"):
        ecoml.Searcher.resume(tmp_path / "macro-f1", ecoml.CnnTraining(kitchen), budget_j=3e5).run()
    with pytest.raises(UsageError, match="metric is 'f1'; give one of accuracy, balanced-accuracy, macro-f1"):
        ecoml.CnnTraining(metric="f1")


def test_a_run_that_is_silent_on_its_data_goes_on_with_accuracy(kitchen, tmp_path):
    """As those of 0.1 are."""
    ecoml.search(SPACE, ecoml.CnnTraining(kitchen, metric="accuracy"), directory=tmp_path / "r", **SEARCH)
    path = tmp_path / "r" / "run.toml"
    head, _, rest = path.read_text().partition("[data]")
    path.write_text(head + rest[rest.index("[executor]") :].replace('metric = "accuracy"', ""))
    assert ecoml.Searcher.resume(tmp_path / "r", budget_j=2e5).run().metric.name == "validation accuracy"


def test_details_of_a_training_of_ones_own_are_kept_too(tmp_path):
    def train(config):
        yield ecoml.Measurement(0.5, energy_j=1.0, details={"top 5": 0.9, "per class": [0.1, None]})
        yield ecoml.Measurement(0.6, energy_j=1.0)

    given = {**SEARCH, "energy": "reported", "directory": tmp_path / "r", "max_trials": 1}
    ecoml.search(SPACE, train, **given)
    (trial,) = Result.load(tmp_path / "r").trials
    assert [point.details for point in trial.curve] == [{"top 5": 0.9, "per class": [0.1, None]}, {}]
    with pytest.raises(TrainingError, match="details of a measurement do not fit into JSON"):
        ecoml.Measurement(0.5, details={"seen": {1, 2}})


def test_balanced_data_are_measured_by_accuracy(tmp_path):
    painted(tmp_path / "pair", mug=24, box=12)
    assert ecoml.CnnTraining(tmp_path / "pair").metric.name == "validation accuracy"
    painted(tmp_path / "other", mug=25, box=12)
    assert ecoml.CnnTraining(tmp_path / "other").metric.name == "validation balanced accuracy"
    assert ecoml.CnnTraining("fashion-mnist").metric.name == "validation accuracy", "without reading it"
    assert ecoml.CnnTraining().metric.name == "validation accuracy"
    x = np.zeros((40, 8, 8), np.uint8)
    np.savez(tmp_path / "even.npz", x=x, y=np.arange(40) % 4)
    np.savez(tmp_path / "uneven.npz", x_train=x, y_train=np.minimum(np.arange(40) // 4, 4) % 5)
    assert ecoml.CnnTraining(tmp_path / "even.npz").metric.name == "validation accuracy"
    assert ecoml.CnnTraining(tmp_path / "uneven.npz").metric.name == "validation balanced accuracy"
    with pytest.raises(DataError, match="no such folder"):
        _ = ecoml.CnnTraining(tmp_path / "nowhere").metric


def test_the_command_line_chooses_it_too(kitchen, tmp_path, typed):
    (tmp_path / "tiny.toml").write_text("[parameters.width]\ntype = 'int'\nlow = 2\nhigh = 4\n[fixed]\nepochs = 1\n")
    given = "--data", kitchen, "--space", tmp_path / "tiny.toml", "--strategy", "random", "--max-trials", 1
    names = {None: "validation balanced accuracy", "accuracy": "validation accuracy"}
    for number, (asked, name) in enumerate(names.items()):
        command = [*given, "--budget-kwh", 0.01, "--threads", 1, "--out", tmp_path / str(number), "--json"]
        done = typed("search", *command, *([] if asked is None else ["--metric", asked]))
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["metric"]["name"] == name
        assert told["data"]["imbalanced"] is True
        assert set(told["recommended"]["details"]) >= {"accuracy", "balanced-accuracy", "macro-f1", "recalls"}
    done = typed("search", "--budget-kwh", 1, "--metric", "auc")
    assert done.returncode == 2
    assert "metric is 'auc'; give one of accuracy, balanced-accuracy, macro-f1" in done.stderr


@pytest.mark.parametrize("value", [True, 1, 1.0, 0.5, False, 0])
def test_the_strength_of_class_weights(value):
    assert Settings.of({"class_weights": value}).class_weights == float(value)


@pytest.mark.parametrize("value", [-0.1, 1.5, "yes", float("nan")])
def test_a_strength_that_is_none(value):
    with pytest.raises(UsageError, match="class_weights"):
        Settings.of({"class_weights": value})


def test_weights_of_classes():
    labels = torch.tensor([0] * 90 + [1] * 9 + [2])
    assert class_weights(labels, 4, 0.0) is None
    for strength in (0.5, 1.0):
        weights: Any = class_weights(labels, 4, strength)
        assert weights.mean().item() == pytest.approx(1)
        assert (weights[90] / weights[0]).item() == pytest.approx(10**strength)
        assert (weights[99] / weights[0]).item() == pytest.approx(90**strength)
    whole: Any = class_weights(labels, 3, 1.0)
    sums = [whole[labels == label].sum().item() for label in range(3)]
    assert sums == pytest.approx([100 / 3] * 3)


def test_class_weights_help_rare_classes_and_change_nothing_where_they_are_off(kitchen):
    config = {"width": 4, "depth": 1, "epochs": 12, "learning_rate": 0.1, "batch_size": 32}
    training = ecoml.CnnTraining(kitchen, threads=1)
    plain, off, on = (
        rest(start(training, config | extra)) for extra in ({}, {"class_weights": False}, {"class_weights": True})
    )
    assert plain == off
    assert max(on) > max(plain) + 0.05
    balanced = {"width": 4, "depth": 1, "epochs": 2}
    even = [rest(start(ecoml.CnnTraining(threads=1), balanced | extra)) for extra in ({}, {"class_weights": 1.0})]
    assert even[0] == pytest.approx(even[1], abs=0.05), "all classes of digits have about as many images"


def test_images_that_stand_on_both_sides_of_a_split_are_counted(tmp_path):
    folder = painted(tmp_path / "twice", ant=30, bee=30)
    for file in sorted((folder / "ant").iterdir())[:12]:
        (folder / "ant" / f"copy-{file.name}").write_bytes(file.read_bytes())
    training = ecoml.CnnTraining(folder, threads=1)
    copies = training.about.copies
    assert 0 < copies <= 12 + 12, "each of a pair may be held out, and the other one trained on"
    assert f"{copies} validation or test images are among the training images" in " ".join(
        describe_data(training.about.to_dict(), training.metric)
    )
    assert ecoml.CnnTraining(painted(tmp_path / "once", ant=30, bee=30), threads=1).about.copies == 0
