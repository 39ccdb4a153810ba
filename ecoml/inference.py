"""What predictions with a trained model cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ecoml.energy import Energy


@dataclass(frozen=True, slots=True)
class Inference:
    """Time and energy of predictions with one batch size.

    Attributes:
        batch_size: Images per batch.
        images: Number of images that were predicted for this measurement.
        latency_s: Median seconds per batch.
        energy: Energy per image; it contains all that the metered domains drew, idle power included.
    """

    batch_size: int
    images: int
    latency_s: float
    energy: Energy

    def to_dict(self) -> dict[str, Any]:
        """The value as a JSON object; joules are those of one image."""
        sizes = {"batch_size": self.batch_size, "images": self.images, "latency_s": self.latency_s}
        return {**sizes, **self.energy.to_dict()}


@dataclass(frozen=True, slots=True)
class Usage:
    """What predictions with a model cost.

    Attributes:
        parameters: Number of trainable parameters.
        file_bytes: Size of the model's file.
        flop: Floating-point operations per image: two for each multiplication in convolutions and linear layers.
        inferences: Measurements by batch size; one of them is for one image at a time.
    """

    parameters: int
    file_bytes: int
    flop: int
    inferences: Mapping[int, Inference]

    @property
    def single(self) -> Inference:
        """The measurement for one image at a time."""
        return self.inferences[1]

    def to_dict(self) -> dict[str, Any]:
        """The value as a JSON object."""
        return {
            "parameters": self.parameters,
            "file_bytes": self.file_bytes,
            "flop": self.flop,
            "inferences": [inference.to_dict() for inference in self.inferences.values()],
        }
