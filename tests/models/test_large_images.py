"""Images above 64 pixels, and a backbone of torchvision (of random weights), from search to export."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

import ecoml
from ecoml.models.card import card
from ecoml.models.export import export_model
from ecoml.training.images.data.loader import load

WITHOUT_ECOML = """
import json, sys
sys.modules["ecoml"] = None
import torch
from model import load
from preprocess import pixels
with torch.no_grad():
    found = [load()(torch.from_numpy(pixels(file).copy()))[0][0].tolist() for file in json.loads(sys.argv[1])]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Digits as photos of about 100 pixels: 80 to train on, 40 to test with."""
    folder, found = tmp_path_factory.mktemp("large") / "photos", load("digits").train
    for index in range(120):
        path = folder / ("train" if index < 80 else "test") / f"no. {found.labels[index] % 4}" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = 100 + index % 3, 96 + index % 5
        Image.fromarray(found.images[index, 0]).resize(size, Image.Resampling.BICUBIC).save(path)
    return folder


FAMILIES: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    "as large as the space asks for": ({"resolution": 80}, (80, 80)),
    "smaller than others of its space": ({"resolution": ecoml.Choice([24, 80])}, (80, 24)),
    "of torchvision": ({"resolution": 48, "backbone": "resnet18"}, (64, 48)),
}
"""What a space says of its networks → the side that images are kept with, and that which the network sees."""


@pytest.fixture(scope="module", params=FAMILIES)
def found(request, large):
    """A search of one trial."""
    family, sides = FAMILIES[request.param]
    if "backbone" in family:
        torch.manual_seed(0)
        torch.save(torchvision.models.resnet18().state_dict(), large.parent / "resnet18-f37072fd.pth")
        family = {**family, "weights": str(large.parent)}
    recipe = {"batch_size": 16, "epochs": 4, "start_resolution": 1.0}
    space = ecoml.Space({"width": 4, "depth": 2, "activation": ecoml.Choice(["relu", "gelu"]), **recipe, **family})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(large.parent / "cache"))
        given: dict[str, Any] = {"strategy": "grid", "directory": large.parent / request.param, "max_trials": 1}
        training = ecoml.CnnTraining(large, threads=1)
        yield ecoml.Searcher(space, training, budget_j=1e4, **given).run(), sides


def test_images_are_kept_as_large_as_the_space_asks_for(large):
    assert load(str(large)).reading.form.height == 64
    assert load(str(large), largest_side=80).reading.form.height == 80
    assert load(str(large), largest_side=200).reading.form.height == 98, "and no larger than they are"


def test_the_saved_file_alone_predicts_what_the_search_tested(found, large):
    result, (kept, seen) = found
    assert result.settings["data"]["height"] == kept
    files = sorted((large / "test").rglob("*.png"))
    for trial in result.front:
        model = ecoml.load_model(result, trial)
        assert (model.network.shape[1:], model.network.sides) == ((kept, kept), (seen, seen))
        right = [one.label == file.parent.name for file, one in zip(files, model.predict(files), strict=True)]
        assert sum(right) == round(trial.test_score * len(files))
        assert all(point.floor_j is not None and 0 < point.floor_j < point.energy_j for point in trial.curve)


@pytest.mark.slow
def test_every_export_predicts_the_same(found, large, tmp_path):
    result, (kept, _) = found
    model = ecoml.load_model(result)
    formats = ["torch", "safetensors", *(["onnx"] if importlib.util.find_spec("onnxscript") else [])]
    for to in formats:
        exported = export_model(model, to, tmp_path / to)
        assert exported.real, "it is checked on the test images"
        assert exported.images == 40
        assert exported.difference < 1e-3, "a pixel may be rounded to the next level"
    files = sorted(map(str, (large / "test").rglob("*.png")))
    program = subprocess.run(
        [sys.executable, "-c", WITHOUT_ECOML.replace("load()", "load('model.safetensors')"), json.dumps(files)],
        cwd=tmp_path / "safetensors",
        capture_output=True,
        text=True,
        check=True,
    )
    assert np.allclose(json.loads(program.stdout), model.probabilities(files), atol=1e-3)
    assert f"images of {kept}×{kept} pixels" in card(model)
