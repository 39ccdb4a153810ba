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
class Work:
    """What predicting an image is known to take before there is a network.

    Attributes:
        kind: What networks have in common of which one that does more takes longer.
        counts: What it grows with (layers, weights, arithmetic, …), in an order that all of its kind share.
        least_s: Seconds that its arithmetic takes at least.
        least_j: Joules likewise; 0 if they are not known.
    """

    kind: str
    counts: tuple[float, ...]
    least_s: float
    least_j: float

    def no_less_than(self, other: Work) -> bool:
        """Whether it does at least all that another one does."""
        return self.kind == other.kind and all(a >= b for a, b in zip(self.counts, other.counts, strict=True))


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
