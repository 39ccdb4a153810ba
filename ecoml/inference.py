"""What a trained model costs to use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ecoml.energy import Energy


@dataclass(frozen=True, slots=True)
class Inference:
    """What predicting took, so many images at a time.

    Attributes:
        batch_size: Images predicted at once.
        images: Images it was measured over.
        latency_s: Seconds of one batch, the median.
        energy: Of one image; all that the metered domains drew meanwhile, idling included.
    """

    batch_size: int
    images: int
    latency_s: float
    energy: Energy

    def to_dict(self) -> dict[str, Any]:
        """For JSON; joules are those of one image."""
        sizes = {"batch_size": self.batch_size, "images": self.images, "latency_s": self.latency_s}
        return {**sizes, **self.energy.to_dict()}


@dataclass(frozen=True, slots=True)
class Usage:
    """What a model costs to use.

    Attributes:
        parameters: Trainable numbers.
        file_bytes: Size of its file.
        flop: Floating-point operations of one image, two for each multiplication of convolutions and linear layers.
        inferences: By batch size, one image at a time among them.
    """

    parameters: int
    file_bytes: int
    flop: int
    inferences: Mapping[int, Inference]

    @property
    def single(self) -> Inference:
        """One image at a time."""
        return self.inferences[1]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "parameters": self.parameters,
            "file_bytes": self.file_bytes,
            "flop": self.flop,
            "inferences": [inference.to_dict() for inference in self.inferences.values()],
        }
