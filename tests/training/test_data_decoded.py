"""Folders are decoded once, whatever happens to the cache."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from PIL import Image

from ecoml.training.images.data import decoded, folder
from ecoml.training.images.data.dataset import Form, ImageReading
from ecoml.training.images.data.loader import load


@pytest.fixture
def photos(tmp_path):
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(6):
            pixels = random.integers(0, 256, (7, 9, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def decodings(monkeypatch):
    counted = []
    original = folder._images

    def count(*arguments):
        counted.append(1)
        return original(*arguments)

    monkeypatch.setattr(folder, "_images", count)
    return counted


def test_a_folder_is_decoded_once_and_gives_the_same_images(photos, cache, decodings):
    first, second = load(str(photos)), load(str(photos))
    assert len(decodings) == 1
    assert np.array_equal(first.train.images, second.train.images)
    assert np.array_equal(first.test.images, second.test.images)
    assert len(list(cache.iterdir())) == 1


@pytest.mark.parametrize("change", ["pixels", "name", "class", "more"])
def test_a_folder_that_has_changed_is_decoded_again(photos, decodings, change):
    load(str(photos))
    file = photos / "cat" / "0.png"
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    match change:
        case "pixels":
            Image.fromarray(np.zeros((7, 9, 3), np.uint8)).save(file)
            os.utime(file, ns=times)  # as a copy that keeps times would
        case "name":
            file.rename(photos / "cat" / "7.png")
        case "class":
            file.rename(photos / "dog" / "7.png")
        case "more":
            Image.fromarray(np.zeros((7, 9, 3), np.uint8)).save(photos / "cat" / "8.png")
    load(str(photos))
    assert len(decodings) == 2


@pytest.mark.parametrize("damage", ["cut", "foreign", "missing", "no reading", "another reading"])
def test_a_damaged_entry_is_made_again(photos, cache, decodings, damage):
    expected = load(str(photos)).train.images.copy()
    (file,) = cache.glob("*/train.npy")
    match damage:
        case "cut":
            file.write_bytes(file.read_bytes()[:-10])
        case "foreign":
            file.write_bytes(b"something else")
        case "missing":
            file.unlink()
        case "no reading":
            (file.parent / "reading.json").unlink()
        case "another reading":
            (file.parent / "reading.json").write_text("{}")
    for _ in range(2):
        assert np.array_equal(load(str(photos)).train.images, expected)
    assert len(decodings) == 2


def test_a_cache_that_cannot_be_written_is_done_without(photos, cache, decodings):
    cache.parent.mkdir(parents=True)
    cache.write_text("a file where the folder should be")
    for _ in range(2):
        load(str(photos))
    assert len(decodings) == 2


def test_those_not_used_for_longest_make_room(cache):
    images, reading = np.zeros((10, 4, 4, 1), np.uint8), ImageReading(Form(4, 4, 1))
    decoded.keep("a", {"train": images}, reading)
    (first,) = cache.iterdir()
    entry_bytes = sum(file.stat().st_size for file in first.iterdir())
    keep = partial(decoded.keep, largest_bytes=3 * entry_bytes)
    for number, content in enumerate(("a", "b", "c")):
        before = set(cache.iterdir())
        keep(content, {"train": images}, reading)
        os.utime(first if content == "a" else (set(cache.iterdir()) - before).pop(), (number, number))
    found = decoded.find("a", ["train"])
    assert found is not None
    assert found[1] == reading, "and now it was used last"
    keep("d", {"train": images}, reading)
    assert [content for content in "abcd" if decoded.find(content, ["train"])] == ["a", "c", "d"]
    keep("e", {"train": np.zeros((3 * entry_bytes + 1, 1, 1, 1), np.uint8)}, reading)
    assert decoded.find("e", ["train"]) is None, "larger than all room"


def test_processes_that_decode_at_once_leave_one_whole_entry(photos, cache):
    code = f"from ecoml.training.images.data.loader import load; print(int(load({str(photos)!r}).train.images.sum()))"
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    sums = {process.communicate()[0] for process in processes}
    assert len(sums) == 1
    assert sums != {""}
    (entry,) = cache.iterdir()
    assert not entry.name.startswith(".")
