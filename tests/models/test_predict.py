"""Predictions: by the saved file alone, exactly what the search's own test saw."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from PIL import Image

import ecoml
from ecoml.errors import DataError, RunFolderError, UsageError
from ecoml.training.images.calibration import temperature_of
from ecoml.training.images.data.loader import load


def files_of(photos):
    return sorted(file for file in (photos / "test").rglob("*.*") if file.is_file())


def test_predictions_of_the_test_files_equal_the_searchs_test_to_the_image(run, photos, tmp_path):
    """Of every model, moved to where nothing but the file is."""
    assert run.recommended.test_score > 0.6
    files = files_of(photos)
    for trial in run.front:
        alone = shutil.copy(ecoml.load_model(run, trial).path, tmp_path / "alone.safetensors")
        model = ecoml.load_model(alone)
        assert model.trial == trial.number
        right = [
            prediction.label == file.parent.name for file, prediction in zip(files, model.predict(files), strict=True)
        ]
        assert sum(right) == round(trial.test_score * len(files))
        cells = np.zeros((10, 10), int)
        for file, prediction in zip(files, model.predict(files), strict=True):
            cells[model.classes.index(file.parent.name), model.classes.index(prediction.label)] += 1
        assert [[t, p, cells[t, p]] for t, p in np.argwhere(cells)] == trial.test_details["confusion"]


def test_what_is_trained_on_and_what_is_predicted_are_the_same_pixels(run, photos):
    model, data = ecoml.load_model(run), load(str(photos))
    listed = [file for place in sorted((photos / "test").iterdir()) for file in sorted(place.iterdir())]
    assert np.array_equal(model.preprocess(listed).numpy(), data.test.images)


@pytest.mark.parametrize(
    ("dtype", "scale", "shift"),
    [("uint8", 1, 0), ("int64", 1, 0), ("uint16", 16, 0), ("float32", 1 / 255, 0), ("float64", 2, -99)],
)
def test_arrays_are_brought_to_levels_as_those_of_the_training(tmp_path, dtype, scale, shift):
    found = load("digits").train
    x = (found.images[:240].astype(float) * scale + shift).astype(dtype)
    arrays = {"x": x[:160, 0], "y": found.labels[:160], "x_test": x[160:], "y_test": found.labels[160:240]}
    np.savez(tmp_path / "own.npz", **arrays)
    training = ecoml.CnnTraining(tmp_path / "own.npz", threads=1)
    given: dict[str, Any] = {
        "budget_j": 1e4,
        "max_trials": 1,
        "strategy": "random",
        "directory": tmp_path / "run",
        "progress": False,
    }
    result = ecoml.search(ecoml.Space({"width": 4, "batch_size": 32, "epochs": 3}), training, **given)
    for trial in result.front:
        assert trial.test_score is not None
        model = ecoml.load_model(result, trial)
        for images in (arrays["x_test"], list(torch.from_numpy(arrays["x_test"].astype(dtype)))):
            right = [int(p.label) == y for p, y in zip(model.predict(images), arrays["y_test"], strict=True)]
            assert sum(right) == round(trial.test_score * 80)


def test_whatever_an_image_is_given_as(run, photos):
    model = ecoml.load_model(run.directory)
    file = next(file for file in files_of(photos) if file.suffix == ".jpg")
    prediction = model.predict(file)
    levels = model.preprocess(file)
    assert (levels.shape, levels.dtype) == ((1, *model.network.shape), torch.uint8)
    array = levels[0].permute(1, 2, 0).numpy()
    same = [str(file), levels[0], levels[0] / 255, array, array / 255, array.astype(np.int64), Image.fromarray(array)]
    with Image.open(file) as opened:
        assert model.predict(opened) == prediction
    assert [model.predict(image) for image in same] == [prediction] * len(same)
    together = model.predict(same)
    assert [one.label for one in together] == [prediction.label] * len(same)
    assert [one.probability for one in together] == pytest.approx([prediction.probability] * len(same))
    assert model.predict(levels) == [prediction], "a batch of one"
    assert model.predict([]) == []
    assert model.predict(np.kron(array, np.ones((2, 2, 1), np.uint8))).label == prediction.label, "of another size"
    assert torch.equal(model(levels), model.network(levels))


def test_a_prediction(run, photos):
    model = ecoml.load_model(run)
    file = files_of(photos)[0]
    prediction, row = model.predict(file), model.probabilities(file)[0]
    assert (prediction.label, prediction.probability) == (model.classes[row.argmax()], row.max())
    assert row.sum() == pytest.approx(1)
    assert prediction.top(3) == list(prediction.probabilities.items())[:3]
    assert list(prediction.probabilities.values()) == sorted(row.tolist(), reverse=True)
    assert len(repr(prediction)) < 40
    assert len(repr(model)) < 100
    assert repr(model.preprocess) == "Preprocess(3×16×16)"


def test_the_recommended_model_without_a_number(run):
    best = run.recommended
    assert ecoml.load_model(run).path == ecoml.load_model(run.directory, best.number, step=best.step).path
    with pytest.raises(UsageError, match="is one model; name the run folder"):
        ecoml.load_model(ecoml.load_model(run).path, 0)
    with pytest.raises(RunFolderError, match="no such model file"):
        ecoml.load_model(run.directory / "models" / "mine.safetensors")
    with pytest.raises(RunFolderError, match="no weights of trial 77; saved are those of the front"):
        ecoml.load_model(run, 77)
    with pytest.raises(RunFolderError, match="no such folder"):
        ecoml.load_model("nowhere", 1)


def old(path, target, **header):
    """A file as an ecoml before this one wrote it."""
    with safetensors.safe_open(path, "pt") as file:
        kept = json.loads(file.metadata()["ecoml"])
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    kept = {key: value for key, value in kept.items() if key not in ("form", "temperature", "ecoml")} | header
    target.parent.mkdir(exist_ok=True, parents=True)
    safetensors.torch.save_file(weights, target, metadata={"ecoml": json.dumps(kept)})


def test_files_of_older_versions_take_the_form_from_their_run(run, photos, tmp_path, caplog):
    model = ecoml.load_model(run)
    old(model.path, tmp_path / "run" / "models" / model.path.name)
    shutil.copy(run.directory / "run.toml", tmp_path / "run")
    again = ecoml.load_model(tmp_path / "run" / "models" / model.path.name)
    assert (again.preprocess, again.temperature) == (model.preprocess, 1.0)
    assert [p.label for p in again.predict(files_of(photos))] == [p.label for p in model.predict(files_of(photos))]
    assert not caplog.records
    old(model.path, tmp_path / "alone.safetensors")
    assert ecoml.load_model(tmp_path / "alone.safetensors").preprocess.form.background == 0
    assert "it does not say how the training images were scaled to 0 … 255" in caplog.text


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (3.5, "a float is not an image"),
        (np.zeros((2, 5, 8, 8)), "is not an image; one is H×W"),
        (np.zeros((7, 7, 7)), "is not an image; one is H×W"),
        (np.full((8, 8), np.nan), "NaN or infinite"),
        (np.array(["a"]), "pixels are numbers"),
        ([None], "a NoneType is not an image"),
        (Path("nothing.png"), "cannot be read as an image"),
    ],
)
def test_what_is_no_image(run, image, why):
    with pytest.raises(DataError, match=why):
        ecoml.load_model(run).predict(image)


@pytest.mark.parametrize("true", [0.3, 1.0, 4.0])
def test_the_temperature_is_that_which_the_labels_were_drawn_with(true):
    torch.manual_seed(0)
    logits = 3 * torch.randn(20_000, 10)
    labels = torch.distributions.Categorical(logits=logits / true).sample()
    assert temperature_of(logits, labels) == pytest.approx(true, rel=0.05)
    assert temperature_of(logits.to(torch.bfloat16), labels) == pytest.approx(true, rel=0.05)


def test_a_temperature_where_there_is_none(run):
    right = torch.eye(4).repeat(5, 1)
    assert 0.01 <= temperature_of(right, right.argmax(1)) < 1, "all are recognised"
    assert temperature_of(torch.full((3, 2), torch.inf), torch.zeros(3, dtype=torch.int64)) == 1
    assert temperature_of(torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64)) == pytest.approx(1, rel=4)


def test_probabilities_fit_the_test_images_better_than_without_a_temperature(run, photos):
    files = files_of(photos)
    for trial in run.front[-3:]:
        model = ecoml.load_model(run, trial)
        truth = torch.tensor([model.classes.index(file.parent.name) for file in files])
        fitted = torch.nn.functional.nll_loss(torch.from_numpy(model.probabilities(files)).log(), truth)
        with torch.inference_mode():
            plain = torch.nn.functional.cross_entropy(model(model.preprocess(files)), truth)
        assert fitted < plain + 0.01
