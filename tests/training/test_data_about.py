"""What a search says of its data, and keeps."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
from PIL import Image

import ecoml
from ecoml.format import describe_data
from ecoml.metric import ACCURACY

SPACE = ecoml.Space({"width": 2, "depth": 1, "epochs": 1, "batch_size": 16})


def classes_of(root, size=(12, 9), **counts):
    """A folder of images by class, so many of each."""
    random = np.random.default_rng(0)
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def test_what_the_data_are_is_known_before_a_search_and_kept_by_it(tmp_path):
    pets = classes_of(tmp_path / "pets", (90, 70), cat=20, dog=30)
    classes_of(pets, (60, 200), dog=3)  # in the place of three of them
    (pets / "dog" / "names.txt").write_text("Rex")
    training = ecoml.CnnTraining(pets, threads=1)
    about = training.about
    assert about.classes == {"cat": 20, "dog": 30}
    assert (about.train_images, about.validation_images, about.test_images) == (32, 8, 10)
    assert about.drawn == ("validation", "test")
    assert about.shape == (3, 64, 64)
    assert (about.reading.smallest, about.reading.largest) == ((70, 90), (200, 60))
    assert about.reading.ignored == {".txt": 1}
    assert about.largest_class == "dog"
    assert about.guess_score == 5 / 8
    assert about.image_worth == 1 / 8
    assert (about.counts_as(about.validation), about.counts_as(about.test)) == (8, 10)
    told = describe_data(about.to_dict(), training.metric)
    assert told == [
        "pets: 50 images of 64×64 pixels, in colour; 2 classes: cat 20, dog 30",
        "32 to train on, 8 to validate on, 10 to test on (validation and test drawn by chance)",
        "left out: 1 × .txt",
        "images of 90×70 to 60×200 pixels were scaled until the shorter side fitted 64×64, and cropped to the centre",
        "always guessing dog reaches 62.50 % validation accuracy, and one validation image is worth up to"
        " 12 percentage points",
        "a measured score of 95.00 % on so many images means a true one between 61.2 and 99.6 %",
    ]

    result = ecoml.search(SPACE, training, budget_j=1e5, max_trials=1, strategy="random", directory=tmp_path / "r")
    assert describe_data(result.settings["data"], result.metric) == told
    with (tmp_path / "r" / "run.toml").open("rb") as file:
        assert tomllib.load(file)["data"] == about.to_dict()


def test_parts_that_are_given_and_classes_that_are_many(tmp_path):
    names = [f"class {number}" for number in range(20)]
    for part, count in (("train", 4), ("val", 2), ("test", 1)):
        classes_of(tmp_path / "many" / part, (8, 8), **dict.fromkeys(names, count))
    classes_of(tmp_path / "many" / "train", (8, 8), **{"class 7": 30})
    classes_of(tmp_path / "many" / "unlabelled", (8, 8), all=3)
    about = ecoml.CnnTraining(tmp_path / "many").about
    assert about.drawn == ()
    assert about.reading.ignored == {"folder beside train": 1}
    first, split, *_ = describe_data(about.to_dict(), ACCURACY)
    assert first.endswith("20 classes of 7 (class 0) to 33 (class 7) images")
    assert split == "106 to train on, 40 to validate on, 20 to test on"


def test_arrays_and_named_data_have_it_too(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "mine.npz", x=x * 16.0, y=np.where(np.arange(60) % 3, "b", "a"))
    about = ecoml.CnnTraining(tmp_path / "mine.npz").about
    assert about.classes == {"a": 20, "b": 40}
    assert about.reading.form.ranges == {"floats": (0.0, 4080.0)}
    digits = ecoml.CnnTraining("digits").about
    assert digits.images == 1797
    assert digits.guess_score == pytest.approx(0.101, abs=0.001)
    assert not digits.reading.ignored
