"""The exported network: from pixels to probabilities, with torch's own modules only."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from ecoml.models.model import Model


class Deployed(nn.Module):
    """Probabilities and logits, each float32 N×classes, of images uint8 N×C×H×W.

    Scaling is two products with fixed matrices, because not every runtime has antialiasing.

    Args:
        model: The model whose network is copied.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        network = model.network
        self.shift: Tensor
        self.scale: Tensor
        self.rows: Tensor
        self.columns: Tensor
        self.temperature = model.temperature
        self.scaled = network.sides != network.shape[1:]
        self.register_buffer("shift", network.mean * 255)
        self.register_buffer("scale", network.std * 255)
        if self.scaled:
            (height, width), dtype = network.shape[1:], network.mean.dtype
            self.register_buffer("rows", _scaling(height, network.sides[0]).to(dtype))
            self.register_buffer("columns", _scaling(width, network.sides[1]).T.contiguous().to(dtype))
        self.body = deepcopy(network.body).to(memory_format=torch.contiguous_format)
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        values = images.to(self.shift.dtype)
        if self.scaled:
            values = torch.matmul(torch.matmul(self.rows, values), self.columns).round().clamp(0, 255)
        logits = self.body((values - self.shift) / self.scale).to(torch.float32)
        return torch.softmax(logits / self.temperature, 1), logits


def _scaling(large: int, small: int) -> Tensor:
    """The matrix small×large by which torch scales a side."""
    unit = torch.eye(large)[None, None]
    scaled = nn.functional.interpolate(unit, size=(small, large), mode="bilinear", antialias=True, align_corners=False)
    return scaled[0, 0]


def batch_of_two(model: Model) -> Tensor:
    """Images for tracing; with a single image, torch would fix the batch size to one."""
    return torch.zeros((2, *model.network.shape), dtype=torch.uint8)
