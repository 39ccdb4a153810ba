"""Augmentation, optimiser, device, floor: the parts of the training one by one."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rigs.images import advanced, task, training

from ecoml.training.images.data.augment import _inside, batch_of
from ecoml.training.images.data.resident import Resident
from ecoml.training.images.network.floor import Floor
from ecoml.training.images.network.plan import plan
from ecoml.training.images.settings import Settings
from ecoml.training.images.steps.recipe import Average, WeightOptimiser, share_of
from ecoml.training.images.worker import device

IMAGES = Resident(torch.randint(1, 256, (9, 12, 12, 3), dtype=torch.uint8), torch.arange(9))


@given(shift=st.integers(0, 5), flip=st.sampled_from(["no", "yes"]), cutout=st.integers(0, 9), seed=st.integers(0, 99))
def test_augmented_images_hold_pixels_of_their_own_and_a_hole(shift, flip, cutout, seed):
    torch.manual_seed(seed)
    indices = torch.tensor([4, 4, 0, 8, 3])
    images, labels = batch_of(IMAGES, indices, Settings(shift=shift, flip=flip, cutout=cutout), 12)
    assert images.shape == (5, 3, 12, 12)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(labels, indices)
    blotted = (images == 0).all(1).sum((1, 2))
    assert blotted.max() <= cutout**2
    for image, index in zip(images.permute(0, 2, 3, 1).reshape(5, -1, 3), indices, strict=True):
        own = {tuple(pixel) for pixel in IMAGES.images[index].reshape(-1, 3).tolist()}
        assert {tuple(pixel) for pixel in image.tolist()} <= own | {(0, 0, 0)}


def test_without_augmentation_a_batch_is_the_images():
    indices = torch.tensor([2, 7])
    images, _ = batch_of(IMAGES, indices, Settings(), 12)
    assert torch.equal(images.permute(0, 2, 3, 1), IMAGES.images[indices])


def test_a_mirror_image_is_one():
    torch.manual_seed(0)
    images, _ = batch_of(IMAGES, torch.zeros(40, dtype=torch.int64), Settings(flip="yes"), 12)
    plain = IMAGES.images[0].permute(2, 0, 1)
    kinds = [0 if torch.equal(image, plain) else 1 if torch.equal(image, plain.flip(2)) else 2 for image in images]
    assert set(kinds) == {0, 1}


@given(side=st.integers(1, 40), position=st.integers(-64, 104))
def test_positions_beyond_the_edge_are_reflected(side, position):
    inside = int(_inside(torch.tensor(position), side))
    assert 0 <= inside < side
    if 0 <= position < side:
        assert inside == position
    elif side > 1 and -side < position < 0:
        assert inside == -position


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_steps_are_those_of_torchs_optimisers(name, weight_decay):
    settings = Settings(optimizer=name, weight_decay=weight_decay, momentum=0.8, beta1=0.8, beta2=0.9, epsilon=1e-6)
    torch.manual_seed(0)
    ours = torch.nn.Linear(3, 2)
    theirs = torch.nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    optimiser = WeightOptimiser(settings, ours)
    groups = [{"params": [theirs.weight], "weight_decay": weight_decay}, {"params": [theirs.bias], "weight_decay": 0.0}]
    if name == "sgd":
        reference: torch.optim.Optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.8, nesterov=True)
    else:
        kind = torch.optim.Adam if name == "adam" else torch.optim.AdamW
        reference = kind(groups, lr=0.1, betas=(0.8, 0.9), eps=1e-6)
    for step in range(5):
        optimiser.rate = 0.1 / (step + 1)
        for group in reference.param_groups:
            group["lr"] = 0.1 / (step + 1)
        for network, update in ((ours, optimiser), (theirs, reference)):
            network.zero_grad()
            network(torch.arange(6.0).view(2, 3)).square().sum().backward()
            update.step()
    for value, expected in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(value, expected)


def test_an_average_changes_places_with_the_weights():
    network = torch.nn.Linear(1, 1, bias=False)
    seen = []
    with torch.no_grad():
        network.weight.fill_(0.0)
        average = Average(network)
        for step in range(1, 401):
            network.weight.fill_(float(step))
            average.add(share_of(step))
            seen.append(step)
    average.exchange()
    assert 250 < network.weight.item() < 400, "most of it are the last hundred"
    average.exchange()
    assert network.weight.item() == 400


def test_bfloat16_learns_as_well(tmp_path):
    from dataclasses import replace

    here = replace(task(), bf16=True)  # emulated where the CPU has none: slow, and the same numbers
    large = {"width": 32, "depth": 2, "epochs": 4}
    curve = advanced(training(here, large))
    assert curve[-1] > 0.9
    assert curve != advanced(training(replace(here, bf16=False), large)), "it was computed in it"


def test_small_networks_are_not_computed_in_bfloat16_on_a_cpu():
    from dataclasses import replace

    small = {"width": 8, "depth": 2, "epochs": 2}
    curves = [advanced(training(replace(task(), bf16=on), small)) for on in (True, False)]
    assert curves[0] == curves[1]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("fpu avx512f avx512_bf16", True), ("amx_bf16 amx_tile", True), ("avx2 avx512f", False), ("", False)],
)
def test_bfloat16_is_probed(tmp_path, flags, expected):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(f"processor : 0\nflags\t\t: {flags}\n\nprocessor : 1\n")
    assert device.has_bf16(torch.device("cpu"), tmp_path) is expected
    assert not device.has_bf16(torch.device("cpu"), tmp_path / "nothing")


def test_determinism_is_switched_on_and_off():
    for on in (True, False):
        device.set_determinism(on)
        assert torch.are_deterministic_algorithms_enabled() is on


def test_the_floor_is_the_arithmetic_of_the_epochs():
    floor = Floor((1, 28, 28), 10, 1000, 100, 1e-10)
    config = {"width": 8, "epochs": 4, "start_resolution": 0.5}
    form = plan(Settings.of(config), (1, 28, 28), 10)
    small, middle, full = (form.flops((side, side)) for side in (16, 20, 28))
    assert [floor.flops(config, epochs) for epochs in range(4)] == [
        0,
        3100 * small,
        3100 * (small + middle),
        3100 * (small + middle + full),
    ]
    assert small < middle < full
    assert floor.energy_j(config, 2) == pytest.approx(3100 * (small + middle) * 1e-10)


def test_the_peak_is_a_plausible_one():
    flop_per_s, power_w = device.peak(torch.device("cpu"), 1, False)
    assert 1e8 < flop_per_s < 1e13
    assert math.isclose(power_w, 3.5)
