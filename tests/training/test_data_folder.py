"""Data sets from folders of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ecoml
from ecoml.errors import DataError
from ecoml.training.images import CnnTraining
from ecoml.training.images.data.loader import load
from ecoml.training.images.worker.shared import SharedWorker


def picture(path, mode="RGB", size=(8, 8), value=100, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, (value, value // 2, value // 3))
    if mode == "I;16":
        image = Image.fromarray(np.full(size[::-1], value * 257, np.uint16))
    elif mode == "F":
        image = Image.fromarray(np.full(size[::-1], np.nan, np.float32))
    else:
        image = image.convert(mode)
    image.save(path, **options)


def classes_of(root, count=5, names=("cat", "dog"), **options):
    for position, name in enumerate(names):
        for number in range(count):
            picture(root / name / f"{number}.png", value=50 * position + number, **options)


def test_a_folder_of_classes(tmp_path):
    classes_of(tmp_path / "pets", 10)
    dataset = load(str(tmp_path / "pets"))
    assert dataset.name == "pets"
    assert dataset.classes == ("cat", "dog")
    assert dataset.train.images.shape == (16, 3, 8, 8)
    assert dataset.test.images.shape == (4, 3, 8, 8)
    assert sorted(dataset.test.labels) == [0, 0, 1, 1]
    reds = np.concatenate([dataset.train.images, dataset.test.images])[:, 0, 0, 0]
    labels = np.concatenate([dataset.train.labels, dataset.test.labels])
    assert sorted(zip(labels, reds, strict=True)) == [(c, 50 * c + n) for c in (0, 1) for n in range(10)]
    assert dataset.reading.ignored == {}


@pytest.mark.parametrize("validation", [None, "val", "valid", "validation"])
@pytest.mark.parametrize("test", [True, False])
def test_parts_that_are_given_are_kept(tmp_path, validation, test):
    classes_of(tmp_path / "train", 10)
    if validation:
        classes_of(tmp_path / validation, 3)
    if test:
        classes_of(tmp_path / "test", 2)
    dataset = load(str(tmp_path))
    assert len(dataset.test) == 4
    assert len(dataset.train) == (20 if test else 16)
    training, held_out = dataset.divided(0.5, seed=0)
    assert len(held_out) == (6 if validation else len(dataset.train) / 2)
    assert len(training) == (len(dataset.train) if validation else len(dataset.train) - len(held_out))


@pytest.mark.parametrize("written", ["digits", "./digits", "mnist"])
def test_a_path_is_a_folder_although_a_data_set_has_its_name(tmp_path, monkeypatch, caplog, written):
    classes_of(tmp_path / "digits", names=("nought", "one"))
    classes_of(tmp_path / "mnist", names=("nought", "one"))
    monkeypatch.chdir(tmp_path)
    space = ecoml.Space({"width": 2, "depth": 1, "epochs": 1, "batch_size": 4})
    training = ecoml.CnnTraining(Path(written), threads=1)
    result = ecoml.Searcher(space, training, budget_j=1e5, max_trials=1, strategy="random", directory="r").run()
    model: Any = ecoml.load_model(result, result.front[-1])
    assert model.classes == ("nought", "one")
    assert not caplog.records
    assert CnnTraining("digits").data == "digits"
    assert "the folder of that name is ./digits" in caplog.text
    assert CnnTraining("./digits").data == str(tmp_path / "digits")


def test_a_worker_started_where_a_folder_has_a_data_sets_name_serves_the_data_set_elsewhere(tmp_path, monkeypatch):
    classes_of(tmp_path / "digits", names=("nought", "one"))
    training = CnnTraining("digits", threads=1)
    training.prepare()
    workload = training._workers[0].workload
    monkeypatch.chdir(tmp_path)
    worker = SharedWorker()  # its process is started here
    try:
        assert worker.ask("prepare", workload).about.classes.keys() == set("0123456789")
    finally:
        worker.stop()


def test_train_may_be_a_class(tmp_path):
    classes_of(tmp_path, 5, ("bus", "train"))
    assert load(str(tmp_path)).classes == ("bus", "train")


def test_mixed_sizes_become_squares_of_the_median_shorter_side(tmp_path):
    for number, size in enumerate([(10, 30), (12, 12), (40, 20), (200, 90), (12, 50)]):
        for name in ("cat", "dog"):
            picture(tmp_path / name / f"{number}.png", size=size)
    assert load(str(tmp_path)).train.images.shape[1:] == (3, 12, 12)


def test_large_images_are_scaled_down_and_their_middle_is_kept(tmp_path):
    wide = np.zeros((300, 500), np.uint8)
    wide[:, 100:400] = 200
    for name in ("cat", "dog"):
        for number in range(3):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(wide).save(tmp_path / name / f"{number}.png")
    images = load(str(tmp_path)).train.images
    assert images.shape[1:] == (1, 64, 64)
    assert images[..., 2:-2].min() >= 198


def test_small_images_of_one_size_are_taken_as_they_are(tmp_path):
    classes_of(tmp_path, size=(20, 10))
    assert load(str(tmp_path)).train.images.shape[1:] == (3, 10, 20)


@pytest.mark.parametrize(
    ("modes", "channels"),
    [
        (("L", "1", "I;16"), 1),
        (("L", "LA", "L"), 1),
        (("L", "RGB", "LA"), 3),
        (("L", "P", "L"), 3),
        (("RGBA", "RGB", "L"), 3),
    ],
)
def test_images_are_coloured_if_one_is(tmp_path, modes, channels):
    for name in ("cat", "dog"):
        for number, mode in enumerate(modes):
            picture(tmp_path / name / f"{number}.png", mode)
    assert load(str(tmp_path)).train.images.shape[1] == channels


def test_sixteen_bits_transparency_and_jpegs(tmp_path):
    for name in ("cat", "dog"):
        picture(tmp_path / name / "deep.png", "I;16", value=120)
        picture(tmp_path / name / "flat.jpeg", "L", value=120, quality=95)
        (Image.new("LA", (8, 8), (200, 0))).save(tmp_path / name / "clear.png")
    images = load(str(tmp_path))
    pixels = np.concatenate([images.train.images, images.test.images])
    greys = sorted(int(image.mean()) for image in pixels)
    flat = int(np.asarray(Image.new("RGB", (1, 1), (120, 60, 40)).convert("L"))[0, 0])
    assert greys[:2] == [0, 0], "what is transparent is black"
    assert greys[4:] == [120, 120]
    assert greys[2:4] == pytest.approx([flat, flat], abs=2)


def test_a_photograph_is_turned_as_its_camera_was_held(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = np.zeros((8, 8), np.uint8)
    upright[:4] = 255
    for name in ("cat", "dog"):
        for number in range(3):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(upright).save(tmp_path / name / f"{number}.png", exif=exif)
    image = load(str(tmp_path)).train.images[0, 0]
    assert image[:, 4:].min() == 255
    assert image[:, :4].max() == 0


def test_what_is_no_image_is_ignored_with_a_note(tmp_path):
    classes_of(tmp_path)
    (tmp_path / "cat" / ".DS_Store").write_text("")
    (tmp_path / "cat" / ".hidden.png").write_text("")
    (tmp_path / ".git").mkdir()
    (tmp_path / "readme.md").write_text("")
    assert load(str(tmp_path)).reading.ignored == {}
    (tmp_path / "cat" / "notes.TXT").write_text("")
    (tmp_path / "dog" / "more").mkdir()
    picture(tmp_path / "loose.png")
    assert CnnTraining(tmp_path).about.reading.ignored == {
        ".txt": 1,
        "folder inside a class": 1,
        "image outside of the classes": 1,
    }


def break_file(root, content):
    (root / "cat" / "2.png").write_bytes(content)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            lambda root: break_file(root, b""),
            r"cat/2\.png: cannot be read as an image \(its format is not recognised\)",
        ),
        (
            lambda root: break_file(root, (root / "dog/1.png").read_bytes()[:45]),
            r"cat/2\.png: cannot be read as an image",
        ),
        (lambda root: picture(root / "cat/2.tiff", "F"), r"cat/2\.tiff: .* NaN or infinite"),
        (lambda root: (root / "eel").mkdir(), "eel: no images in this class"),
        (lambda root: picture(root / "eel/1.png"), "'eel' has 1 training images; 3 are needed at least, one each for"),
        (lambda root: (root / "dog").rename(root.parent / "gone"), "only one class, 'cat'"),
    ],
)
def test_a_folder_that_cannot_be_used(tmp_path, change, complaint):
    root = tmp_path / "pets"
    classes_of(root)
    change(root)
    with pytest.raises(DataError, match=complaint) as caught:
        load(str(root))
    assert "\n" not in str(caught.value)


def test_folders_without_images_by_class(tmp_path):
    with pytest.raises(DataError, match="no images by class"):
        load(str(tmp_path))
    picture(tmp_path / "1.png")
    with pytest.raises(DataError, match="no images by class"):
        load(str(tmp_path))


def test_parts_that_do_not_fit(tmp_path):
    classes_of(tmp_path / "train")
    classes_of(tmp_path / "test", names=("cat", "eel"))
    with pytest.raises(DataError, match="test: class 'eel' is not in the training data"):
        load(str(tmp_path))
    (tmp_path / "val").mkdir()
    with pytest.raises(DataError, match="val: no images by class"):
        load(str(tmp_path))
    (tmp_path / "valid").mkdir()
    with pytest.raises(DataError, match="val and valid both hold"):
        load(str(tmp_path))


def test_two_images_a_class_are_enough_where_the_test_part_is_given(tmp_path):
    classes_of(tmp_path / "train", 2)
    classes_of(tmp_path / "test", 1)
    training, validation = load(str(tmp_path)).divided(0.2, 0)
    assert sorted(training.labels) == sorted(validation.labels) == [0, 1]
