"""Backbones of torchvision. No weights can be had here: those of these tests are drawn at random, in torchvision's own
files and shapes. What pretraining is worth, they do not show."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode

import ecoml
from ecoml.errors import UsageError
from ecoml.training.base import NoAccount
from ecoml.training.images.data.loader import load
from ecoml.training.images.data.resident import Resident
from ecoml.training.images.network.floor import Floor
from ecoml.training.images.network.form import form_of
from ecoml.training.images.network.network import Network
from ecoml.training.images.network.pretrained import Pretrained
from ecoml.training.images.settings import BACKBONES, Settings
from ecoml.training.images.worker.device import task_of
from ecoml.training.images.worker.loop import Training
from ecoml.training.images.worker.workload import Workload

SMALL = "resnet18"
SHORT = {"backbone": SMALL, "resolution": 16, "epochs": 2, "batch_size": 64, "start_resolution": 1.0}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder with a file as torchvision has it."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    network = torchvision.models.get_model(SMALL)
    torch.save(network.state_dict(), folder / f"{SMALL}-f37072fd.pth")
    return folder


@pytest.fixture(scope="module")
def task():
    found = task_of(load("digits"), Workload("digits", None, False, "cpu", 0, 1, True, 0.2, False))
    return replace(found, bf16=False)


def trained(task, config, epochs):
    training = Training(task, 0, config, NoAccount())
    return training, [training.advance() for _ in range(epochs)]


@pytest.mark.parametrize("backbone", ["resnet18", "mobilenet_v2", "efficientnet_b0", *BACKBONES[-2:]])
def test_what_is_counted_beforehand_is_torchvisions(backbone):
    classes, sides = 7, (32, 40)
    form = form_of(Settings(backbone=backbone, linear_layers=1), (3, *sides), classes)
    network = torchvision.models.get_model(backbone, num_classes=classes).eval()
    assert form.parameters == sum(part.numel() for part in network.parameters())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, *sides))
    assert form.flops() == counter.get_total_flops()


def test_a_backbone_predicts_what_torchvisions_does(weights):
    whole = torchvision.models.get_model(SMALL)
    whole.load_state_dict(torch.load(weights / f"{SMALL}-f37072fd.pth", weights_only=True))
    network = Network(Settings(backbone=SMALL), (3, 40, 40), [str(number) for number in range(1000)])
    assert network.pretrained is not None
    network.pretrained.take(str(weights))
    network.pretrained.head.get_submodule("1").load_state_dict(whole.fc.state_dict())
    images = torch.randint(0, 256, (4, 3, 40, 40), dtype=torch.uint8)
    wanted = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))(images / 255)
    assert torch.allclose(network.eval()(images), whole.eval()(wanted), atol=1e-4)


def test_a_frozen_backbone_stays_as_it_was(task, weights):
    recipe = {"optimizer": "adamw", "learning_rate": 0.01, "epochs": 30}
    training, found = trained(task, {**SHORT, **recipe, "weights": str(weights)}, 30)
    kept = torch.load(weights / f"{SMALL}-f37072fd.pth", weights_only=True)
    state = training.network.pretrained.features.state_dict()
    assert state.keys() < kept.keys()
    assert all(torch.equal(value, kept[name]) for name, value in state.items())
    assert found[-1].accuracy > 0.5, "random features of digits are worth more than a guess"


def test_features_are_computed_once_and_change_nothing(task, weights):
    config = {**SHORT, "weights": str(weights), "schedule": "triangle"}
    once, _ = trained(task, config, 2)
    images = task.at((16, 16))[1]
    with torch.no_grad():
        logits = once.network.eval().logits(images.images.permute(0, 3, 1, 2))
    assert torch.allclose(once.logits, logits, atol=1e-4), "the saved network sees images, and predicts the same"
    shifted, _ = trained(task, {**config, "shift": 1}, 1)
    assert shifted._features is None, "augmented images are others each time"
    floor = Floor((1, 8, 8), 10, 1000, 200, 1.0)
    first, both = (floor.flops(config, epochs) for epochs in (1, 2))
    assert both < 1.01 * first
    assert floor.flops({**config, "shift": 1}, 2) > 1.9 * first
    assert floor.flops({**config, "frozen": "no"}, 1) > 2.5 * first


def test_all_of_it_is_trained(task, weights):
    few = Resident(task.train.images[:64], task.train.labels[:64])
    task = replace(task, train=few, validation=few)
    training, _ = trained(task, {**SHORT, "weights": str(weights), "frozen": "no"}, 1)
    kept = torch.load(weights / f"{SMALL}-f37072fd.pth", weights_only=True)
    state = training.network.pretrained.features.state_dict()
    assert not any(torch.equal(value, kept[name]) for name, value in state.items() if name.endswith("conv1.weight"))


def test_weights_that_cannot_be_used(weights, tmp_path, task):
    def prepared(**fixed):
        ecoml.CnnTraining("digits").prepare(ecoml.Space({"learning_rate": ecoml.Float(0.01, 0.1), **fixed}))

    with pytest.raises(UsageError, match="backbone = 'resnet50' needs weights; name the file"):
        prepared(backbone="resnet50")
    with pytest.raises(UsageError, match=r"no resnet50-….pth is in this folder, and ecoml downloads none"):
        prepared(backbone=ecoml.Choice([SMALL, "resnet50"]), weights=str(weights))
    with pytest.raises(UsageError, match="there is no such file"):
        prepared(backbone=SMALL, weights=str(tmp_path / "none.pth"))
    with pytest.raises(UsageError, match="it takes one of none, resnet18"):
        prepared(backbone="vgg11", weights=str(weights))
    network = torchvision.models.get_model(SMALL)
    state = network.state_dict()
    for name, content, message in (
        ("whole", network, "not a state dict, or damaged; give torchvision's file of resnet18"),
        ("checkpoint", {"model": state}, "'conv1.weight' is missing, and its first entry is 'model'; give the file of"),
        ("larger", torchvision.models.get_model("resnet34").state_dict(), "'layer1.2.conv1.weight' is no part of it"),
        ("bent", {**state, "conv1.weight": torch.zeros(64, 1, 7, 7)}, r"has the shape \(64, 1, 7, 7\) instead of"),
    ):
        torch.save(content, tmp_path / f"{name}.pth")
        with pytest.raises(UsageError, match=rf"{name}.pth: .*{message}"):
            prepared(backbone=SMALL, weights=str(tmp_path / f"{name}.pth"))
    save_file({"conv.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match=r"other.safetensors: not torchvision's weights of resnet18: 'conv1"):
        trained(task, {**SHORT, "weights": str(tmp_path / "other.safetensors")}, 1)


def test_files_of_older_versions_are_read(weights, tmp_path):
    state = torch.load(weights / f"{SMALL}-f37072fd.pth", weights_only=True)
    old = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    old["fc.weight"] = torch.zeros(5, 512)  # of other classes
    torch.save(OrderedDict(old), tmp_path / f"{SMALL}-5c106cde.pth", _use_new_zipfile_serialization=False)
    backbone = Pretrained(SMALL, True, torch.nn.Identity())
    backbone.take(str(tmp_path))
    loaded = backbone.features.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in old.items() if not name.startswith("fc."))
