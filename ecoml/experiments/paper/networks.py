"""The three families of networks of the study, from its description and its published source.

Notation: C channels and H×H pixels of an image, N linear layers, M convolutions.

    DenseLinear   linear layers of widths C·H² − (i+1)·C·H²/N for i = 0 … N−2, then one to the classes
    DensePoly     linear layers of widths C·H² / 2^(i+1) for i = 0 … N−2, then one to the classes
    SimpleCNN     M × (convolution 3×3 to C·3^(i+1) channels, batch norm, ReLU, 2×2 max pooling), then as DensePoly

No width is below C. There is no activation between two linear layers, so the dense networks compute a linear function,
and `relu = "no"` removes the ReLU of each convolution.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ecoml.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

FAMILIES = ("DenseLinear", "DensePoly", "SimpleCNN")


def build(config: Mapping[str, Any]) -> nn.Module:
    """The network of a configuration: `network`, `channels`, `side`, `classes`, `linear`, `conv`, `relu`.

    Shapes: images N×C×H×H → logits N×classes.

    Raises:
        UsageError: There is no such family, or the images are too small for this many convolutions.
    """
    from torch import nn

    family, channels, side = str(config.get("network", "SimpleCNN")), int(config["channels"]), int(config["side"])
    if family not in FAMILIES:
        raise UsageError(f"network = {family!r} is not known; use one of {', '.join(FAMILIES)}")
    layers: list[nn.Module] = []
    inputs, left = channels, side
    for index in range(int(config.get("conv", 2)) if family == "SimpleCNN" else 0):
        outputs = channels * 3 ** (index + 1)
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)]
        if config.get("relu", "yes") == "yes":
            layers.append(nn.ReLU(inplace=True))
        layers.append(nn.MaxPool2d(2))
        inputs, left = outputs, left // 2
        if left < 1:
            raise UsageError(f"images of {side} pixels cannot be halved {index + 1} times; give `conv` a smaller value")
    layers.append(nn.Flatten())
    count, pixels = int(config.get("linear", 3)), channels * side**2
    widths = [inputs * left**2]
    for index in range(count - 1):
        width = pixels - (index + 1) * pixels / count if family == "DenseLinear" else pixels / 2 ** (index + 1)
        widths.append(max(int(width), channels))
    widths.append(int(config.get("classes", 10)))
    layers += [nn.Linear(before, after) for before, after in pairwise(widths)]
    return nn.Sequential(*layers)
