"""The kernels for a GPU give what PyTorch gives: on a GPU, else by Triton's interpreter, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

pytest.importorskip("triton")

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
interpreted = os.environ.get("TRITON_INTERPRET") == "1"
with_kernels = [
    pytest.mark.gpu,
    pytest.mark.skipif(not GPU and not interpreted, reason="neither a GPU nor Triton's interpreter"),
]

SHAPES = [(3, 5, 7, 6), (4, 24, 8, 8), (2, 40, 5, 9), (2, 72, 3, 4), (2, 3, 2, 2)]


@pytest.mark.skipif(GPU or interpreted, reason="the tests below run here")
def test_by_the_interpreter():
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "gpu or not gpu", __file__]
    found = subprocess.run(command, env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
    assert " passed" in found.stdout


@pytest.mark.skipif(GPU, reason="there they can be used")
def test_why_they_cannot_be_used_is_said_in_one_line():
    from ecoml.training.images.kernels.use import kernels_of, refused

    assert kernels_of(torch.ones(1, 1, 2, 2)) is None
    assert refused()
    assert "\n" not in refused()


def test_layers_that_someone_looks_at_are_called_one_by_one(monkeypatch):
    from ecoml.training.images.network import network
    from ecoml.training.images.settings import Settings

    stages = network.Network(Settings(width=4, depth=2), (1, 8, 8), ["a", "b"]).body.get_submodule("features")
    monkeypatch.setattr(network, "kernels_of", lambda _: pytest.fail("the kernels compute several layers at once"))
    seen: list[str] = []
    hooks = [layer.register_forward_hook(lambda *of: seen.append(type(of[0]).__name__)) for layer in stages.children()]
    convolutions = [layer for layer in stages.children() if isinstance(layer, nn.Conv2d)]
    monkeypatch.setattr(network.Conv2d, "forward", nn.Conv2d.forward)
    stages(torch.rand(2, 1, 8, 8))
    assert len(seen) == len(hooks) == 4 * len(convolutions)


def ordered(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, device=DEVICE).to(dtype).contiguous(memory_format=torch.channels_last)


def close(found: Tensor | None, wanted: Tensor | None, most: float) -> bool:
    assert found is not None
    assert wanted is not None
    return bool((found.double() - wanted.double()).norm() <= most * wanted.double().norm() + 1e-6)


class TestKernels:
    pytestmark = with_kernels

    @pytest.mark.parametrize(
        ("shape", "relu", "dtype"),
        [(shape, True, torch.float32) for shape in SHAPES]
        + [(SHAPES[0], False, torch.float32), (SHAPES[1], True, torch.bfloat16), (SHAPES[2], False, torch.bfloat16)],
    )
    def test_pooling_batch_norm_and_relu(self, shape, relu, dtype):
        from ecoml.training.images.kernels.pooled import normed

        torch.manual_seed(0)
        most = 1e-5 if dtype == torch.float32 else 1e-2
        norm, same = (nn.BatchNorm2d(shape[1], momentum=0.3).to(DEVICE) for _ in range(2))
        with torch.no_grad():
            norm.weight.uniform_(0.5, 2)
            norm.bias.uniform_(-1, 1)
        same.load_state_dict(norm.state_dict())
        same.double()
        images = ordered(shape, dtype).add_(1).requires_grad_()
        doubled = images.detach().double().requires_grad_()

        def wanted() -> Tensor:
            found: Tensor = same(functional.max_pool2d(doubled, 2))
            return found.relu() if relu else found

        found, by_torch = normed(images, norm, relu=relu), wanted()
        gradient = ordered(tuple(found.shape), dtype)
        found.backward(gradient)
        by_torch.backward(gradient.double())
        assert close(found, by_torch, most)
        if shape[0] * (shape[2] // 2) * (shape[3] // 2) > 2:  # of two values the gradient is zero but for rounding
            assert close(images.grad, doubled.grad, most)
        assert close(norm.weight.grad, same.weight.grad, most)
        assert close(norm.bias.grad, same.bias.grad, most)
        assert close(norm.running_mean, same.running_mean, most)
        assert close(norm.running_var, same.running_var, most)
        assert norm.num_batches_tracked == 1
        norm.eval(), same.eval()
        with torch.no_grad():
            assert close(normed(images, norm, relu=relu), wanted(), most)

    @pytest.mark.parametrize("shape", SHAPES)
    def test_pooling_alone(self, shape):
        from ecoml.training.images.kernels.pooled import pooled

        images = (ordered(shape) * 2).round().requires_grad_()  # with equal values: the first of them counts
        same = images.detach().clone().requires_grad_()
        found, wanted = pooled(images), functional.max_pool2d(same, 2)
        gradient = ordered(tuple(found.shape))
        found.backward(gradient)
        wanted.backward(gradient)
        assert torch.equal(found, wanted)
        assert close(images.grad, same.grad, 0)

    @pytest.mark.parametrize("position", [0, 1, 2, 3])
    def test_not_a_number_stays(self, position):
        from ecoml.training.images.kernels.pooled import normed, pooled

        images = torch.ones(4, 8, 2, 2, device=DEVICE).contiguous(memory_format=torch.channels_last)
        images[1, 3, position // 2, position % 2] = torch.nan
        assert torch.isnan(pooled(images)).nonzero().tolist() == [[1, 3, 0, 0]]
        norm = nn.BatchNorm2d(8).to(DEVICE)
        assert torch.isnan(normed(images, norm, relu=True))[:, 3].all()
        assert norm.state_dict()["running_var"].isnan().nonzero().tolist() == [[3]]

    @pytest.mark.parametrize(("channels", "kernel"), [(1, 1), (1, 3), (1, 5), (3, 3), (3, 5), (4, 3)])
    def test_neighbours_in_rows(self, channels, kernel):
        from ecoml.training.images.kernels.columns import rows_of

        images = ordered((3, channels, 7, 6))
        rows = rows_of(images, kernel, torch.float32)
        wanted = functional.unfold(images, kernel, padding=kernel // 2).view(3, channels, kernel**2, 42)
        wanted = wanted.permute(0, 3, 2, 1).reshape(3 * 42, -1)
        assert torch.equal(rows[:, : wanted.shape[1]], wanted)
        assert not rows[:, wanted.shape[1] :].any()

    @pytest.mark.skipif(not GPU, reason="autocast on a GPU")
    @pytest.mark.parametrize("block", ["plain", "residual"])
    @pytest.mark.parametrize("activation", ["relu", "gelu"])
    def test_a_network(self, block, activation, monkeypatch):
        from ecoml.training.images.network import network
        from ecoml.training.images.settings import Settings

        torch.manual_seed(0)
        settings = Settings(width=16, depth=3, block=block, activation=activation)
        ours = network.Network(settings, (3, 17, 16), list("abc")).to(DEVICE)
        images = torch.randint(0, 256, (32, 3, 17, 16), dtype=torch.uint8, device=DEVICE)
        found = {}
        for kernels in (True, False):
            if not kernels:
                monkeypatch.setattr(network, "kernels_of", lambda _: None)
            with torch.autocast("cuda", torch.bfloat16):
                logits = ours(images)
            logits.float().square().sum().backward()
            gradients = [weight.grad for weight in ours.parameters()]
            found[kernels] = [logits, *gradients]
            ours.zero_grad()
        for with_ours, by_torch in zip(found[True], found[False], strict=True):
            assert close(with_ours, by_torch, 0.1)
