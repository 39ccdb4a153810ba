"""The network has the planned shape, whatever is planned."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from ecoml.training.images.network.network import Network, scaled
from ecoml.training.images.network.plan import plan
from ecoml.training.images.settings import Settings

configs = st.fixed_dictionaries(
    {
        "width": st.integers(1, 9),
        "depth": st.integers(1, 6),
        "growth": st.floats(0.5, 2.5),
        "kernel": st.sampled_from([1, 3, 5]),
        "block": st.sampled_from(["plain", "residual", "separable"]),
        "activation": st.sampled_from(["relu", "gelu", "silu", "none"]),
        "head": st.sampled_from(["pool", "flatten"]),
        "linear_layers": st.integers(1, 4),
        "dropout": st.sampled_from([0.0, 0.3]),
    }
)
shapes = st.tuples(st.sampled_from([1, 3]), st.integers(1, 32), st.integers(1, 32))


def names(count):
    return [str(number) for number in range(count)]


def trainable(network):
    return sum(parameter.numel() for parameter in network.parameters())


@hypothesis_settings(max_examples=60, deadline=None)
@given(config=configs, shape=shapes, classes=st.integers(2, 12))
def test_any_network_takes_any_images_and_can_be_trained(config, shape, classes):
    settings = Settings.of(config)
    network = Network(settings, shape, names(classes))
    logits = network(torch.randint(0, 256, (2, *shape), dtype=torch.uint8))
    assert logits.shape == (2, classes)
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert trainable(network) == plan(settings, shape, classes).parameters


@pytest.mark.parametrize(
    ("depth", "side", "stages"), [(2, 28, 2), (4, 28, 3), (6, 8, 2), (3, 32, 3), (5, 1, 1), (2, 3, 1)]
)
def test_depth_is_spread_over_as_many_stages_as_the_image_can_be_halved(depth, side, stages):
    blocks = plan(Settings(depth=depth, width=4, growth=2.0), (1, side, side), 10).blocks
    assert len(blocks) == depth
    widths = [block.outputs for block in blocks]
    assert sorted(set(widths)) == [4 * 2**stage for stage in range(stages)]
    counts = [widths.count(width) for width in sorted(set(widths))]
    assert max(counts) - min(counts) <= 1
    assert sum(block.pooled for block in blocks) == (stages if side >= 4 else 0)


@pytest.mark.parametrize(("channels", "side", "depth"), [(1, 28, 2), (3, 32, 2), (1, 28, 1), (3, 32, 4)])
def test_simple_cnn_of_the_paper(channels, side, depth):
    """Convolution i has channels·3^(i+1) channels; linear layer i is features / 2^(i+1) wide."""
    settings = Settings.of(
        {"width": 3 * channels, "growth": 3.0, "depth": depth, "head": "flatten", "linear_layers": 3}
    )
    network = Network(settings, (channels, side, side), names(10))
    expected, inputs = 0, channels
    for stage in range(depth):
        outputs = channels * 3 ** (stage + 1)
        expected += 9 * inputs * outputs + 2 * outputs
        inputs, side = outputs, side // 2
    features = inputs * side**2
    for outputs in (features // 2, features // 4, 10):
        expected += (inputs := features if outputs == features // 2 else inputs) * outputs + outputs
        inputs = outputs
    assert trainable(network) == expected
    kinds = [type(layer).__name__ for layer in network.body.get_submodule("features").children()]
    assert kinds == ["Conv2d", "MaxPool2d", "BatchNorm2d", "ReLU"] * depth


def test_bytes_and_numbers_between_0_and_1_are_the_same_images():
    network = Network(Settings(), (3, 8, 8), names(4)).eval()
    network.normalise_by((0.2, 0.4, 0.6), (0.1, 0.2, 0.3))
    images = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8)
    as_floats = images.float() / 255
    before = as_floats.clone()
    torch.testing.assert_close(network(images), network(as_floats), rtol=1e-4, atol=1e-5)
    assert torch.equal(as_floats, before), "the caller's images were changed"


def test_images_are_normalised_by_what_the_network_was_given():
    network = Network(Settings(), (1, 4, 4), names(2)).eval()
    seen = []
    network.body.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network.normalise_by((0.5,), (0.25,))
    network(torch.full((1, 1, 4, 4), 1.0))
    torch.testing.assert_close(seen[0], torch.full((1, 1, 4, 4), 2.0))


def test_images_of_another_shape_are_refused():
    network = Network(Settings(), (1, 8, 8), names(2))
    with pytest.raises(ValueError, match=r"\(1, 8, 8\) after N"):
        network(torch.zeros(2, 3, 8, 8))


@hypothesis_settings(max_examples=40, deadline=None)
@given(config=configs, shape=shapes, smaller=st.integers(1, 4))
def test_the_plan_counts_the_arithmetic_that_torch_counts(config, shape, smaller):
    settings = Settings.of(config)
    network = Network(settings, shape, names(5)).eval()
    sides = shape[1:]
    if settings.head == "pool" and min(sides) >= 16:
        sides = (sides[0] - smaller, sides[1] - smaller)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network.logits(torch.zeros((1, shape[0], *sides), dtype=torch.uint8))
    assert plan(settings, shape, 5).flops(sides) == counter.get_total_flops()


@hypothesis_settings(max_examples=20, deadline=None)
@given(config=configs, side=st.sampled_from([16, 20, 28]), smaller=st.sampled_from([4, 8]))
def test_a_network_of_a_lower_resolution_scales_its_images_itself(config, side, smaller):
    assume(config["head"] == "pool")
    network = Network(Settings.of(config), (1, side, side), names(3)).eval()
    images = torch.randint(0, 256, (4, 1, side, side), dtype=torch.uint8)
    network.sides = (side - smaller, side - smaller)
    expected = network.logits(scaled(images, network.sides))
    assert torch.equal(network(images), expected)
    torch.testing.assert_close(network(images.float() / 255), expected, rtol=1e-3, atol=1e-4)
