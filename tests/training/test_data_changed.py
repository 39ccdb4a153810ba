"""Data that change: before a resume, between two searches, and while results are kept among them."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ecoml
from ecoml.errors import DataError
from ecoml.run.result import Result
from ecoml.training.images.worker.shared import shared_worker

SPACE = ecoml.Space({"width": ecoml.Int(2, 4), "depth": 1, "epochs": 1, "batch_size": 16})
SEARCH: dict[str, Any] = {"budget_j": 1e5, "strategy": "random", "max_trials": 1}


def picture(path, level):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(level).integers(level, level + 60, (8, 8), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def kinds(folder):
    for name, level in (("cat", 20), ("dog", 150)):
        for number in range(12):
            picture(folder / "pets" / name / f"{number}.png", level + number)
    return folder / "pets"


@pytest.fixture
def pets(tmp_path):
    return kinds(tmp_path)


def search(data, folder):
    return ecoml.search(SPACE, ecoml.CnnTraining(data, threads=1), directory=folder, **SEARCH)


def swap(one, other):
    one.rename(one.with_suffix(".kept"))
    other.rename(one)
    one.with_suffix(".kept").rename(other)


CHANGES = {
    "a class renamed": (lambda pets: (pets / "dog").rename(pets / "hound"), "gone: 'dog'; new: 'hound'"),
    "a class added": (lambda pets: [picture(pets / "eel" / f"{n}.png", 90) for n in range(4)], "new: 'eel'"),
    "a class gone": (lambda pets: shutil.rmtree(pets / "cat"), "gone: 'cat'"),
    "images gone": (lambda pets: (pets / "dog" / "3.png").unlink(), "'dog': 11 images instead of 12"),
    "images added": (lambda pets: picture(pets / "cat" / "more.png", 20), "'cat': 13 images instead of 12"),
    "a file renamed": (lambda pets: (pets / "cat" / "3.png").rename(pets / "cat" / "x.png"), "the files or"),
    "an image repainted": (lambda pets: picture(pets / "cat" / "3.png", 77), "contents differ in the same classes"),
    "labels swapped": (lambda pets: swap(pets / "cat" / "3.png", pets / "dog" / "3.png"), "the files or their"),
}


@pytest.fixture
def birds(pets):
    """A third class, so that one may go."""
    for number in range(12):
        picture(pets / "bird" / f"{number}.png", 90 + number)
    return pets


@pytest.mark.parametrize("change", CHANGES)
def test_a_run_does_not_go_on_with_other_data(birds, tmp_path, change):
    search(birds, tmp_path / "r")
    action, told = CHANGES[change]
    action(birds)
    before = Result.load(tmp_path / "r")
    for train in (None, ecoml.CnnTraining(birds, threads=1)):
        with pytest.raises(DataError, match="not those it began with") as caught:
            ecoml.Searcher.resume(tmp_path / "r", train, budget_j=2e5).run()
        assert told in str(caught.value)
        assert "remove" not in str(caught.value)
        assert "delete" not in str(caught.value)
    assert Result.load(tmp_path / "r") == before


def test_the_command_line_says_it_in_one_line(pets, tmp_path, typed, monkeypatch):
    (tmp_path / "tiny.toml").write_text(
        "[parameters.width]\ntype = 'int'\nlow = 2\nhigh = 4\n[fixed]\ndepth = 1\nepochs = 1\n"
    )
    monkeypatch.chdir(tmp_path)
    given = "--data", "pets", "--space", "tiny.toml", "--strategy", "random", "--max-trials", 1, "--threads", 1
    done = typed("search", "--budget-kwh", 0.01, *given, "--out", "pets/runs/first")
    assert done.returncode == 0, done.stderr
    swap(pets / "cat", pets / "dog")
    again = typed("resume", "pets/runs/first", "--add-kwh", 0.01)
    assert again.returncode == 2
    (line,) = again.stderr.strip().splitlines()
    assert "the data are not those it began with (the files or their contents differ in the same classes)" in line


def test_a_run_goes_on_with_the_same_data_in_another_place(pets, tmp_path):
    search(pets, tmp_path / "r")
    (pets / "cat" / "3.png").touch()
    (pets / "README").write_text("pets")
    pets.rename(tmp_path / "moved")
    training = ecoml.CnnTraining(tmp_path / "moved", threads=1)
    with ecoml.Searcher.resume(tmp_path / "r", training, budget_j=2e5) as searcher:
        assert len(searcher.run().trials) == 1


def test_another_split_is_other_data(pets, tmp_path):
    search(pets, tmp_path / "r")
    training = ecoml.CnnTraining(pets, threads=1, validation_share=0.4)
    with pytest.raises(DataError, match=r"8 validation images instead of 4"):
        ecoml.Searcher.resume(tmp_path / "r", training, budget_j=2e5).run()


@pytest.mark.parametrize("what", ["pixels", "labels"])
def test_arrays_that_changed(tmp_path, what):
    arrays: dict[str, Any] = {
        "x": np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8),
        "y": np.arange(40) % 2,
    }
    np.savez(tmp_path / "mine.npz", **arrays)
    search(tmp_path / "mine.npz", tmp_path / "r")
    if what == "pixels":
        arrays["x"][0, 0, 0] += 1
    else:
        arrays["y"][[0, 1]] = 1, 0
    np.savez(tmp_path / "mine.npz", **arrays)
    with pytest.raises(DataError, match="contents differ"):
        ecoml.Searcher.resume(tmp_path / "r", budget_j=2e5).run()


def test_a_run_of_before_goes_on_without_the_question(pets, tmp_path):
    """Run folders of 0.1 do not say what their data were."""
    search(pets, tmp_path / "r")
    path = tmp_path / "r" / "run.toml"
    head, _, rest = path.read_text().partition("[data]")
    path.write_text(head + rest[rest.index("[executor]") :])
    (pets / "cat" / "3.png").unlink()
    assert len(ecoml.Searcher.resume(tmp_path / "r", budget_j=2e5).run().trials) == 1


def test_a_new_search_in_the_same_process_sees_the_data_as_they_are_now(pets, tmp_path):
    """As in a notebook, where images are added between two searches."""
    training = ecoml.CnnTraining(pets, threads=1)
    before = ecoml.search(SPACE, training, directory=tmp_path / "before", **SEARCH)
    for number in range(20):
        picture(pets / "eel" / f"{number}.png", 90)
    after = ecoml.search(SPACE, training, directory=tmp_path / "after", **SEARCH)
    assert sorted(before.settings["data"]["train"]) == ["cat", "dog"]
    assert sorted(after.settings["data"]["train"]) == ["cat", "dog", "eel"]
    model: Any = ecoml.load_model(after, after.front[-1])
    assert model.classes == ("cat", "dog", "eel")


PLACES = "run", "runs/first", "results/pets/first", "train", "test"


@pytest.fixture(scope="module")
def results_among(tmp_path_factory):
    """For each place of a run among the data: the data and the result, made by a worker that has ended."""
    made = {}
    for place in PLACES:
        pets = kinds(tmp_path_factory.mktemp("among"))
        made[place] = pets, search(pets, pets / place)
        (pets / place / "figures").mkdir()
        picture(pets / place / "figures" / "front.png", 99)
    shared_worker().stop()
    return made


@pytest.mark.parametrize("place", PLACES)
def test_results_among_the_data_are_no_data(results_among, tmp_path, place):
    pets, first = results_among[place]
    results = [first, search(pets, tmp_path / "second"), ecoml.Searcher.resume(pets / place, budget_j=2e5).run()]
    assert [result.settings["data"]["digest"] for result in results] == [results[0].settings["data"]["digest"]] * 3
    assert "ignored" not in results[0].settings["data"]
    assert results[1].settings["data"]["ignored"] == {"folder of results": 1}


def test_an_empty_class_is_not_to_be_thrown_away(pets):
    (pets / "later").mkdir()
    with pytest.raises(DataError, match="later: no images in this class; add some, or keep the folder outside"):
        ecoml.CnnTraining(pets).prepare()
