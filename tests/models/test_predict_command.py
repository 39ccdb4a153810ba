"""`ecoml predict`: tables, CSV, JSON, and how good a model is on labelled images."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
import tomllib

import numpy as np
import pytest
import tomli_w
from PIL import Image

import ecoml
from ecoml.cli import app
from ecoml.errors import UsageError
from ecoml.metric import wilson
from ecoml.models.load import model_file
from ecoml.training.images.data.loader import load


def test_a_line_for_each_image(run, photos, told, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")  # of 80 columns
    monkeypatch.chdir(photos / "test")
    files = sorted(file for file in photos.glob("test/no. 3/*"))
    names = [file.relative_to(photos / "test") for file in files]
    lines = told("predict", run.directory, *names).splitlines()
    assert lines[0].split() == ["class", "probability", "image"]
    model = ecoml.load_model(run)
    for line, file, prediction in zip(lines[1:], files, model.predict(files), strict=True):
        assert line.startswith(prediction.label)
        assert line.rstrip().endswith(file.name)
        assert f"{100 * prediction.probability:.1f} %" in line
        assert len(line) <= 80
    assert "or else" in told("predict", run.directory, names[0], "--top", 3).splitlines()[0]


def test_csv_and_json_of_a_folder_hold_the_same(run, photos, told):
    table = list(csv.DictReader(told("predict", run.directory, photos / "test", "--csv", "--top", 2).splitlines()))
    shown = json.loads(told("predict", run.directory, photos / "test", "--json", "--top", 2))["predictions"]
    assert len(table) == len(shown) == 120
    for row, one in zip(table, shown, strict=True):
        assert (row["image"], row["class"]) == (one["image"], one["class"])
        assert float(row["probability"]) == pytest.approx(one["probability"], abs=1e-6)
        assert row["class_2"] == one["top"][1]["class"]


def test_how_good_it_is_is_what_the_searchs_test_found(run, photos, told):
    best = run.recommended
    shown = json.loads(told("predict", run.directory, photos, "--evaluate", "--json"))["evaluation"]
    assert shown["accuracy"] == best.test_score
    assert shown["accuracy_interval"] == list(wilson(best.test_score, 120))
    cells = {(t, p): n for t, p, n in best.test_details["confusion"]}
    assert shown["confusion"] == [[cells.get((t, p), 0) for p in range(10)] for t in range(10)]
    assert [round(one["recall"], 6) for one in shown["per_class"].values()] == best.test_details["recalls"]
    text = told("predict", run.directory, photos / "test", "--evaluate")
    assert f"Accuracy {100 * best.test_score:.2f} %: {round(120 * best.test_score)} of 120 images, between" in text
    assert len(re.findall(r"^.* no\. \d +$", text, re.MULTILINE)) == 20, "each class, and each row of the matrix"
    rows = list(csv.DictReader(told("predict", run.directory, photos, "--evaluate", "--csv").splitlines()))
    assert sum(row["true_class"] == row["class"] for row in rows) == round(120 * best.test_score)


def test_a_table_of_labelled_images_goes_with_the_accuracy_beside_it(run, photos, capsys):
    app(["predict", str(run.directory), str(photos / "test"), "--evaluate", "--csv"], standalone_mode=False)
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 1 + 120, "the table alone"
    assert f"Accuracy {100 * run.recommended.test_score:.2f} %: " in shown.err


def test_an_accuracy_on_the_images_of_the_search_is_called_too_high(run, photos, tmp_path, capsys):
    def warned(folder):
        model = model_file(copy)
        app(["predict", str(model), str(folder), "--evaluate"], standalone_mode=False)
        named = capsys.readouterr().err
        app(["predict", str(copy), str(folder), "--evaluate"], standalone_mode=False)
        assert capsys.readouterr().err == named, "whether the run is named or a model of it"
        return named

    copy = shutil.copytree(run.directory, tmp_path / "copy")
    assert "too high" not in warned(photos), "its test images are a folder of their own"
    settings = tomllib.loads((copy / "run.toml").read_text())
    settings["data"]["drawn"] = ["validation", "test"]
    (copy / "run.toml").write_text(tomli_w.dumps(settings))
    assert f"{photos}: the search trained on 190 of these 360 images" in warned(photos)
    assert "too high" not in warned(photos / "test")


def test_another_trial_and_a_file_of_arrays(run, told, tmp_path):
    digits = load("digits").test
    np.savez(tmp_path / "some.npz", x=digits.images[:9, 0], y=[f"no. {label}" for label in digits.labels[:9]])
    other = run.front[0]
    shown = json.loads(
        told("predict", run.directory, tmp_path / "some.npz", "--trial", other.number, "--step", other.step, "--json")
    )["predictions"]
    model = ecoml.load_model(run, other)
    assert [one["class"] for one in shown] == [p.label for p in model.predict(list(digits.images[:9, 0]))]
    assert [one["image"] for one in shown][:2] == [f"{tmp_path}/some.npz[0]", f"{tmp_path}/some.npz[1]"]
    assert shown[0]["true_class"] == f"no. {digits.labels[0]}"


def test_an_image_that_cannot_be_read_is_named_and_the_others_are_predicted(run, photos, capsys, tmp_path):
    shutil.copytree(photos / "test" / "no. 3", tmp_path / "mixed")
    (tmp_path / "mixed" / "0 broken.png").write_bytes(b"no image")
    assert app(["predict", str(run.directory), str(tmp_path / "mixed"), "--csv"], standalone_mode=False) == 2
    shown = capsys.readouterr()
    assert "0 broken.png: cannot be read as an image" in shown.err
    assert len(shown.out.splitlines()) == 1 + len(list((photos / "test" / "no. 3").iterdir()))
    assert "1 of" in shown.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nothing.png"], "nothing.png: no such file or folder; name images"),
        (["empty"], "empty: no images in it"),
        (["one.png", "--evaluate"], "one.png: its class is not known"),
        (["cats", "--evaluate"], "'cat' is not a class of this model; its classes are no. 0, no. 1"),
        (["no y.npz", "--evaluate"], "no y.npz: the array y is missing"),
        (["one.png", "--csv", "--json"], "exclude each other"),
        (["classes", "--evaluate", "--top", "2"], "--top is about single images"),
        (["one.png", "--trial", "99"], "no weights of trial 99"),
    ],
)
def test_what_cannot_be_predicted(run, told, tmp_path, monkeypatch, arguments, why):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "cats" / "cat").mkdir(parents=True)
    for path in ("one.png", "cats/cat/one.png"):
        Image.new("L", (9, 9)).save(path)
    np.savez("no y.npz", x=np.zeros((2, 8, 8)))
    with pytest.raises(UsageError, match=re.escape(why)):
        told("predict", run.directory, *arguments)
