"""A profile: layers whose cost is known, sums against the whole, arithmetic, and what can be profiled."""

from __future__ import annotations

import json

import pytest
import torch
from PIL import Image
from rigs.meter import FakeMeter
from rigs.run_folders import Course, write_run
from torch import nn

from ecoml.energy import Provenance
from ecoml.errors import UsageError
from ecoml.experiments.profile.layers import layers_of
from ecoml.experiments.profile.measure import CpuGauge, gauge_of, measure
from ecoml.experiments.profile.step import profile_step
from ecoml.experiments.profile.subject import find_subject
from ecoml.experiments.profile.tables import kinds_table, layers_table, verdict, write_profile
from ecoml.meter import Source
from ecoml.run.folder import RunFolder
from ecoml.space import Int, Space


class Costly(torch.autograd.Function):
    """Charges a made-up meter: `forward_j` in one direction, twice that in the other."""

    spent_j = 0.0

    @staticmethod
    def forward(context, values, forward_j):
        context.forward_j = forward_j
        Costly.spent_j += forward_j
        return values * 1.0

    @staticmethod
    def backward(context, gradient):
        Costly.spent_j += 2 * context.forward_j
        return gradient, None


class CostlyLinear(nn.Linear):
    """A linear layer that is known to cost `forward_j` forward and twice that backward."""

    def __init__(self, inputs, outputs, forward_j):
        super().__init__(inputs, outputs)
        self.forward_j = forward_j

    def forward(self, values):
        return Costly.apply(super().forward(values), self.forward_j)


class FakeGauge:
    """Shows what the layers charged."""

    provenance = Provenance.MEASURED
    block_s = 1e-4

    def block(self, run):
        before_j = Costly.spent_j
        run()
        return Costly.spent_j - before_j, 0.0, 1e-3


def costly():
    return nn.Sequential(nn.Flatten(), CostlyLinear(4, 8, 1.0), nn.ReLU(inplace=True), CostlyLinear(8, 3, 0.25))


def test_layers_cost_what_they_are_known_to_and_sum_to_the_whole():
    found = profile_step(costly(), torch.rand(6, 1, 2, 2), 3, FakeGauge(), blocks=2)
    costs = {layer.name: [layer.forward.energy_j, layer.backward.energy_j] for layer in found.layers}
    assert costs["1"] == pytest.approx([1.0, 2.0])
    assert costs["3"] == pytest.approx([0.25, 0.5])
    assert costs["2"] == [0.0, 0.0]
    assert found.step.energy_j == pytest.approx(3.75)
    assert found.parts.energy_j == pytest.approx(found.step.energy_j)
    assert found.between.energy_j == pytest.approx(0.0, abs=1e-9)
    assert "100.0%" in verdict(found)


def test_what_no_layer_does_stands_between_the_layers():
    class Skipping(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = costly()

        def forward(self, values):
            return Costly.apply(self.body(values), 2.0)

    found = profile_step(Skipping(), torch.rand(6, 1, 2, 2), 3, FakeGauge(), blocks=2)
    assert found.between.energy_j == pytest.approx(6.0)
    assert "operations between the layers" in verdict(found)
    lines = {row[0]: row for row in layers_table(found).rows}
    assert str(lines["between the layers"][4]).startswith("6.00")


def test_the_network_is_left_as_it_is():
    network = costly()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    profile_step(network, torch.rand(6, 1, 2, 2), 3, FakeGauge(), blocks=2)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network[2].inplace


def test_flop_and_bytes_by_hand():
    network = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 5)
    )
    found = {layer.kind: layer for layer in layers_of(network, torch.rand(7, 2, 4, 4), torch.sum)}
    assert found["convolution"].flop == 2 * 7 * 3 * 16 * 2 * 9
    assert found["linear"].flop == 2 * 7 * 12 * 5
    assert found["ReLU"].flop == 7 * 3 * 16
    assert found["batch norm"].flop == 4 * 7 * 3 * 16
    assert found["pooling"].flop == 7 * 3 * 16
    assert found["linear"].moved_b == 4 * (7 * 12 + 7 * 5 + 12 * 5 + 5)
    assert not found["convolution"].given.requires_grad
    assert found["linear"].given.requires_grad
    assert [tuple(gradient.shape) for gradient in found["linear"].gradients] == [(7, 5)]


def test_a_layer_that_is_called_twice_is_there_twice():
    shared = nn.ReLU()
    network = nn.Sequential(nn.Linear(4, 4), shared, nn.Linear(4, 4), shared)
    assert [layer.name for layer in layers_of(network, torch.rand(2, 4), torch.sum)] == ["0", "1", "2", "1 #2"]


def test_uncertainty_is_that_of_the_blocks():
    class BlockMeter(FakeGauge):
        shown = iter([1.0, 2.0, 3.0])

        def block(self, run):
            run()
            return next(self.shown), 0.3, 1.0

    calls = []
    (figure,) = measure({"task": lambda: calls.append(0)}, OneByOne(BlockMeter()), blocks=3).values()
    assert figure.energy_j == pytest.approx(2.0)
    assert figure.uncertainty_j == pytest.approx(4.3027 * 1.0 / 3**0.5 + 0.3 / 3**0.5, rel=1e-4)


class OneByOne:
    """A gauge for which one execution is a block."""

    def __init__(self, gauge):
        self._gauge = gauge
        self.provenance, self.block_s = gauge.provenance, 0.0

    def block(self, run):
        return self._gauge.block(run)


def test_on_an_estimate_joules_are_cpu_seconds():
    seconds = iter([1.0, 3.0])
    joules, edge_j, _ = CpuGauge(3.5, lambda: next(seconds)).block(lambda: None)
    assert (joules, edge_j) == (7.0, 0.0)


def test_under_a_counter_joules_are_its_own_and_blocks_outlast_its_updates(meter):
    source = Source("counter", "cpu:0", Provenance.MEASURED, True, True, "everything", period_s=0.02)
    meter.sources = (source,)
    gauge = gauge_of(meter)
    assert gauge.provenance is Provenance.MEASURED
    assert gauge.block_s == pytest.approx(1.0)
    joules, _, _ = gauge.block(lambda: meter.spend(3.0))
    assert joules == 3.0
    assert gauge_of(FakeMeter(Provenance.ESTIMATED)).provenance is Provenance.ESTIMATED


def test_files_and_kinds(tmp_path):
    found = profile_step(costly(), torch.rand(6, 1, 2, 2), 3, FakeGauge(), blocks=2)
    path = write_profile(found, tmp_path / "profile")
    assert json.loads(path.read_text())["step"]["energy_j"] == pytest.approx(3.75)
    assert (tmp_path / "profile" / "profile.svg").stat().st_size > 1000
    kinds = {row[0]: row for row in kinds_table(found).rows}
    assert kinds["linear"][1] == "2"
    assert kinds["linear"][5] == "100.0 %"


def test_a_folder_that_is_a_file_is_refused_in_a_line(tmp_path):
    found = profile_step(costly(), torch.rand(6, 1, 2, 2), 3, FakeGauge(), blocks=2)
    (tmp_path / "profile").write_text("a file")
    with pytest.raises(UsageError, match=r"profile: cannot be written .*; choose another --out"):
        write_profile(found, tmp_path / "profile")


@pytest.mark.parametrize(("config", "sides"), [({}, (100, 80)), ({"resolution": 40}, (50, 40))])
def test_the_images_of_a_run_have_the_size_that_the_network_gets(tmp_path, config, sides):
    course = Course([(0.5, 1.0)], {"depth": 1, "width": 4, **config})
    run = write_run(tmp_path / "run", [course], problem="/gone/images")
    folder = RunFolder.open(run)
    folder.change({}, data={"channels": 3, "height": 100, "width": 80, "train": {"a": 5, "b": 5, "c": 5}})
    folder.close()
    subject = find_subject(str(run), trial=0, changes=[], shape=None, classes=None)
    assert (subject.shape, subject.classes) == ((3, *sides), 3)
    assert subject.body(torch.rand(2, *subject.shape)).shape == (2, 3)
    smaller = find_subject(str(run), trial=0, changes=["resolution=20"], shape=None, classes=None)
    assert smaller.shape == (3, 25, 20)


def test_images_of_a_run_without_a_description_are_read_as_large_as_its_space_asks(tmp_path):
    for label in ("a", "b"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(4):
            Image.new("L", (100, 100), 9 * number).save(tmp_path / "images" / label / f"{number}.png")
    space = Space({"width": Int(4, 8), "resolution": 100})
    course = Course([(0.5, 1.0)], {"depth": 1, "width": 4, "resolution": 100})
    run = write_run(tmp_path / "run", [course], problem=str(tmp_path / "images"), space=space.to_dict())
    assert find_subject(str(run), trial=0, changes=[], shape=None, classes=None).shape == (1, 100, 100)


def test_subjects(tmp_path):
    options = {"trial": None, "shape": None, "classes": None}
    middle = find_subject("cnn-small", changes=["depth=1", "optimizer=adamw"], **options)
    assert middle.settings.depth == 1
    assert middle.settings.optimizer == "adamw"
    assert middle.body(torch.rand(2, *middle.shape)).shape == (2, 10)
    weighted = find_subject("cnn-small", changes=["class_weights=true"], **options)
    assert weighted.settings.class_weights == 1.0
    paper = find_subject("ecoml.experiments.paper.networks:build", changes=["conv=1"], **options)
    assert [type(layer).__name__ for layer in paper.body.children()][:4] == [
        "Conv2d",
        "BatchNorm2d",
        "ReLU",
        "MaxPool2d",
    ]
    (tmp_path / "mine.py").write_text("from torch import nn\ndef build():\n    return nn.Flatten()\nthree = 3\n")
    assert isinstance(find_subject(f"{tmp_path}/mine.py:build", changes=[], **options).body, nn.Flatten)
    for target, wanted in (
        (f"{tmp_path}/mine.py:three", "not a function"),
        (f"{tmp_path}/none.py:build", "cannot be imported"),
        ("ecoml.nothing:build", "cannot be imported"),
        ("json:dumps", "returned a str"),
        ("no-such-space", "there is no search space"),
    ):
        with pytest.raises(UsageError, match=wanted):
            find_subject(target, changes=[], **options)
    with pytest.raises(UsageError, match="--set depth is not understood"):
        find_subject("cnn-small", changes=["depth"], **options)
