"""Data and modules that another host lacks: sent once, used from where they are, and refused where they differ."""

from __future__ import annotations

import shutil
import sys

import cloudpickle
import numpy as np
import pytest

import ecoml
from ecoml.errors import UsageError
from ecoml.searcher.hosts.parcels import Fetch, Shelf, nothing_to_fetch, unpacked
from ecoml.training.function import FunctionExecutor


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "here" / "photos"
    for name in ("cat", "dog"):
        (folder / "train" / name).mkdir(parents=True)
        (folder / "train" / name / "1.raw").write_bytes(np.arange(9, dtype=np.uint8).tobytes())
    return folder


def test_data_get_to_a_host_once_and_are_then_used_from_there(photos, tmp_path):
    training, shelf = ecoml.CnnTraining(photos), Shelf(photos)
    sent = {shelf.parcels.data: shelf.content(shelf.parcels.data)}
    shutil.rmtree(photos)  # the other host has no such folder
    cache = tmp_path / "there"
    fetches: list[Fetch] = [sent.__getitem__, nothing_to_fetch]  # the second time there is nobody to ask
    for fetch in fetches:
        there = unpacked(cloudpickle.dumps(training), "b", shelf.parcels, fetch, cache)
        assert isinstance(there, ecoml.CnnTraining)
        assert there.own_data == cache / shelf.parcels.data / "photos"
        assert len(list((cache / shelf.parcels.data).rglob("*.raw"))) == 2
    with pytest.raises(UsageError, match=r"host b: .*photos is missing and cannot be sent"):
        unpacked(cloudpickle.dumps(training), "b", shelf.parcels, nothing_to_fetch, tmp_path / "empty")


def test_data_at_a_path_that_exists_are_used_or_refused_by_name(photos, tmp_path):
    training, shelf = ecoml.CnnTraining(photos), Shelf(photos)

    def there():
        return unpacked(cloudpickle.dumps(training), "b", shelf.parcels, nothing_to_fetch, tmp_path / "cache")

    assert there().own_data == photos
    (photos / "train" / "cat" / "2.raw").write_bytes(b"another")
    with pytest.raises(UsageError, match=r"host b: .*photos differs from the driver's"):
        there()
    with pytest.raises(KeyError):
        shelf.content(shelf.parcels.data)


def test_data_by_name_are_not_sent():
    assert ecoml.CnnTraining("digits").own_data is None


def test_modules_of_ones_own_get_there_with_the_package_they_are_in(tmp_path, monkeypatch):
    package = tmp_path / "here" / "homemade"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from homemade.parts import half\n")
    (package / "parts.py").write_text("def half(number):\n    return number / 2\n")
    monkeypatch.syspath_prepend(package.parent)
    import homemade  # type: ignore[import-not-found]

    def train(config):
        from homemade.parts import half  # type: ignore[import-not-found]

        return half(config["width"])

    shelf = Shelf(None)
    kept, sent = cloudpickle.dumps(FunctionExecutor(train)), shelf.content(shelf.parcels.code)
    assert {"homemade", "homemade.parts"} <= set(shelf.parcels.modules)
    assert not {name.partition(".")[0] for name in shelf.parcels.modules} & {"ecoml", "numpy", "json", "pytest"}

    (package / "parts.py").write_text("def half(number):\n    return number / 3\n")
    with pytest.raises(UsageError, match=r"host b: module homemade\.parts .*differs from"):
        unpacked(kept, "b", shelf.parcels, nothing_to_fetch, tmp_path / "cache")

    for name in ("homemade", "homemade.parts"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(package.parent)])
    there = unpacked(kept, "b", shelf.parcels, {shelf.parcels.code: sent}.__getitem__, tmp_path / "cache")
    assert isinstance(there, FunctionExecutor)
    assert there.function({"width": 8}) == 4.0
    assert str(tmp_path / "cache") in sys.modules["homemade"].__file__  # type: ignore[operator]
    del homemade
