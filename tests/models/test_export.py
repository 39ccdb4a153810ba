"""Exports: what they predict where ecoml cannot be imported, and what goes with them."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import ecoml
from ecoml.errors import SearchFailed, UsageError
from ecoml.models import Model, Preprocess
from ecoml.models.card import card
from ecoml.models.export import export_model
from ecoml.models.export.deployed import Deployed
from ecoml.models.export.source import weights_and_source
from ecoml.models.written import written
from ecoml.training.images.data.dataset import Form
from ecoml.training.images.model import save_model
from ecoml.training.images.network.network import Network
from ecoml.training.images.settings import Settings

WITHOUT_ECOML = """
import json, sys
sys.modules["ecoml"] = None
import torch
from pathlib import Path
sys.path.insert(0, "safetensors")
from model import CLASSES, load
from preprocess import pixels
networks = {"safetensors": load("safetensors/model.safetensors")}
if Path("torch").is_dir():
    networks["torch"] = torch.export.load("torch/model.pt2").module()
told = {}
with torch.no_grad():
    for file in json.loads(sys.argv[1]):
        image = torch.from_numpy(pixels(file).copy())
        told[file] = {name: network(image)[0][0].tolist() for name, network in networks.items()}
print(json.dumps({"classes": CLASSES, "probabilities": told}))
"""


def eight_bits(photos):
    """Test images that `preprocess.py` reads: all but those of sixteen bits."""
    found = []
    for file in sorted(path for path in (photos / "test").rglob("*.*") if path.is_file()):
        with Image.open(file) as image:
            if not image.mode.startswith("I"):
                found.append(file)
    return found


def test_without_ecoml_the_exports_predict_what_the_model_does(run, photos, tmp_path):
    model = ecoml.load_model(run)
    files = eight_bits(photos)
    assert len(files) == 100
    for to in ("torch", "safetensors"):
        exported = export_model(model, to, tmp_path / to)
        assert (exported.images, exported.real) == (120, True)
        assert exported.difference < 1e-5
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_ECOML, json.dumps([str(file) for file in files])],
        cwd=tmp_path, env={"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert tuple(told["classes"]) == model.classes
    for to in ("torch", "safetensors"):
        found = np.array([told["probabilities"][str(file)][to] for file in files])
        assert np.abs(found - model.probabilities(files)).max() < 1e-5


def test_onnx_predicts_what_the_model_does(run, photos, tmp_path, told):
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    shown = json.loads(told("export", run.directory, "--to", "onnx", "--out", tmp_path / "onnx", "--json"))
    assert shown["checked_by"].startswith("onnxruntime")
    assert shown["real"]
    assert shown["difference"] < 1e-5
    kept = onnx.load(tmp_path / "onnx" / "model.onnx")
    onnx.checker.check_model(kept)
    assert [(opset.domain, opset.version) for opset in kept.opset_import if not opset.domain] == [("", 18)]
    about = json.loads({entry.key: entry.value for entry in kept.metadata_props}["ecoml"])
    assert about["classes"] == list(ecoml.load_model(run).classes)
    session = runtime.InferenceSession(tmp_path / "onnx" / "model.onnx")
    model = ecoml.load_model(run)
    images = model.preprocess(sorted(path for path in (photos / "test").rglob("*.*") if path.is_file())).numpy()
    for batch in (images, images[:1]):
        probabilities, _ = session.run(None, {"images": batch})
        assert np.abs(probabilities - model.probabilities(batch)).max() < 1e-5


def test_onnx_without_its_packages_is_one_line(run, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        UsageError, match=re.escape("ONNX needs the package onnx and onnxscript; install it: pip install")
    ):
        export_model(ecoml.load_model(run), "onnx", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def made(tmp_path, form=None, sides=None, **settings):
    """A model with weights by chance, as if it had been trained."""
    form = form or Form(16, 16, 3)
    torch.manual_seed(0)
    network = Network(Settings.of(settings), (form.channels, form.height, form.width), ("a", "b", "c")).eval()
    network.normalise_by([0.4] * form.channels, [0.2] * form.channels)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            torch.nn.init.uniform_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    network.sides = sides or network.sides
    path = tmp_path / "m.safetensors"
    save_model(network, path, "made", 3, {}, form=form, temperature=1.7)
    return ecoml.load_model(path)


@pytest.mark.parametrize("block", ["plain", "residual", "separable"])
@pytest.mark.parametrize("head", ["pool", "flatten"])
@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "none"])
def test_the_source_rebuilds_every_kind_of_network(tmp_path, block, head, activation):
    settings = {"block": block, "head": head, "activation": activation, "linear_layers": 2, "dropout": 0.1}
    model = made(tmp_path, width=4, depth=3, **settings)
    _, source, predict = weights_and_source(model, {"ecoml": "0"})
    images = torch.randint(0, 256, (5, 3, 16, 16), dtype=torch.uint8)
    with torch.no_grad():
        probabilities, logits = predict(images)
    assert torch.allclose(logits, model(images), atol=1e-5)
    assert np.allclose(probabilities.numpy(), model.probabilities(images), atol=1e-6)
    assert "import ecoml" not in source
    assert "from ecoml" not in source


def test_a_network_of_a_lower_resolution_brings_its_scaling_along(tmp_path):
    model = made(tmp_path, sides=(11, 9), width=4)
    images = torch.randint(0, 256, (50, 3, 16, 16), dtype=torch.uint8)
    for predict in (Deployed(model), weights_and_source(model, {"ecoml": "0"})[2]):
        with torch.no_grad():
            assert torch.allclose(predict(images)[1], model(images), atol=1e-3)


@pytest.mark.parametrize("form", [Form(8, 8, 1), Form(9, 12, 3, 128), Form(8, 8, 3, 255, {"8 bits": (0, 15)})])
def test_preprocess_py_does_to_images_what_the_training_did(tmp_path, monkeypatch, form):
    model = made(tmp_path, form, width=2)
    (tmp_path / "preprocess.py").write_text(written("preprocess.py.j2", model))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "preprocess", raising=False)
    preprocess = importlib.import_module("preprocess")
    random = np.random.default_rng(0)
    for number, (mode, ending) in enumerate(
        [("L", "png"), ("RGB", "jpg"), ("RGBA", "png"), ("LA", "png"), ("P", "gif")]
    ):
        for size in ((9, 12), (40, 31)):
            file = tmp_path / f"{number}-{size[0]}.{ending}"
            picture = Image.fromarray(
                random.integers(0, 40, (*size, 4)).astype(np.uint8), "RGBA" if mode == "RGBA" else None
            )
            picture.convert(mode).save(file)
            assert np.array_equal(preprocess.pixels(file), model.preprocess(file).numpy()), (mode, size)
    Image.fromarray(np.zeros((9, 9), np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match="more than eight bits"):
        preprocess.pixels(tmp_path / "deep.png")


def test_an_export_that_differs_is_not_written(tmp_path):
    model = made(tmp_path, width=4)
    model.network.register_forward_hook(lambda network, images, logits: logits + 0.1)  # which no file holds
    with pytest.raises(SearchFailed, match=r"safetensors export differs from the model by 0\.1 in a logit"):
        export_model(model, "safetensors", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_away_from_its_run_is_checked_on_noise_and_says_so(tmp_path, told):
    model = made(tmp_path, width=4)
    shown = told("export", model.path, "--to", "safetensors", "--out", tmp_path / "out")
    assert "64 images of noise, because the data are not available" in shown.replace("\n", " ")
    text = (tmp_path / "out" / "README.md").read_text()
    assert "64 images of noise (the data were not available)" in text
    assert "## Energy" not in text
    (tmp_path / "some").mkdir()
    Image.new("RGB", (20, 20), (9, 99, 200)).save(tmp_path / "some" / "one.png")
    shown = told(
        *(
            "export",
            model.path,
            "--to",
            "safetensors",
            "--out",
            tmp_path / "out",
            "--images",
            tmp_path / "some",
            "--json",
        )
    )
    assert (json.loads(shown)["images"], json.loads(shown)["real"]) == (1, True)


def test_a_network_of_ones_own_has_no_source_here_but_a_program(tmp_path):
    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(64, 3)

        def forward(self, images):
            return self.linear(images.flatten(1))

    network = Network(Settings.of({}, own_model=True), (1, 8, 8), ("a", "b", "c"), Own()).eval()
    header = {"trial": 0, "config": {}, "temperature": 1.0}
    save_model(network, tmp_path / "m.safetensors", "own", 0, {}, form=Form(8, 8, 1), model="mine:Own")
    model = Model(network, Preprocess(Form(8, 8, 1)), header, tmp_path / "m.safetensors")
    with pytest.raises(UsageError, match=r"function of your own built this network.*--to onnx or --to torch"):
        export_model(model, "safetensors", tmp_path / "out")
    assert export_model(model, "torch", tmp_path / "out").difference < 1e-6


def test_the_card_says_what_the_run_knows(run):
    best = run.recommended
    text = card(ecoml.load_model(run))
    assert f"accuracy {100 * best.test_score:.2f} %" in text
    assert f"trial {best.number} of 2 trials" in text
    assert f"({best.energy.provenance})" in text
    for heading in ("## Data", "## Accuracy and errors", "## Energy", "## Machine", "## Intended use and limits"):
        assert heading in text
    for name in ("no. 0", "no. 9", "torch", run.settings["host"]["cpu"]):
        assert name in text
    assert re.search(r"\| the entire search that found it \| .*(estimated|measured|sampled)", text)
    assert "between" in text
    assert max(len(line) for line in text.splitlines() if not line.startswith(("|", "- "))) < 250


def test_each_format_keeps_its_card(run, tmp_path, told):
    copy = shutil.copytree(run.directory, tmp_path / "copy")
    for to in ("torch", "safetensors"):
        told("export", copy, "--to", to)
    cards = [path.read_text() for path in sorted((copy / "export").glob("*/README.md"))]
    assert ["| file | `model.safetensors` |" in text for text in cards] == [True, False]
    assert ["| file | `model.pt2` |" in text for text in cards] == [False, True]


def test_an_unknown_format(run, tmp_path):
    with pytest.raises(UsageError, match="unknown format 'onx'; did you mean 'onnx'"):
        export_model(ecoml.load_model(run), "onx", tmp_path)
