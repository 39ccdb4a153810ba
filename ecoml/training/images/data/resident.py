"""The data on the device, and everything else that all trials share.

Images stay uint8, N×H×W×C in memory, so that a batch is one gather and is channels_last.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ecoml.training.images.data.dataset import Form, LabelledImages
from ecoml.training.images.network.network import scaled
from ecoml.training.images.network.plan import Shape

_SCALED_AT_ONCE = 2**24  # pixels

MOST_COPIES = 4
"""Limit of the memory for copies at other resolutions, as a multiple of the images' own memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Resident:
    """Images and labels on the device.

    Attributes:
        images: uint8 N×H×W×C.
        labels: int64 N.
    """

    images: Tensor
    labels: Tensor

    @classmethod
    def of(cls, split: LabelledImages, device: torch.device) -> Resident:
        """A split of a data set, moved to the device."""
        images = torch.from_numpy(np.require(split.images.transpose(0, 2, 3, 1), requirements=["C", "W"]))
        return cls(images.to(device), torch.from_numpy(split.labels).to(device))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the images."""
        return self.images.shape[1], self.images.shape[2]

    def scaled(self, sides: tuple[int, int]) -> Resident:
        """The same images at another resolution."""
        scaled_images = [
            scaled(images.permute(0, 3, 1, 2), sides).permute(0, 2, 3, 1).contiguous()
            for images in torch.split(self.images, max(1, _SCALED_AT_ONCE // max(map(math.prod, (sides, self.sides)))))
        ]
        return Resident(torch.cat(scaled_images), self.labels)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Images N×C×H×W, channels_last, and labels N, of these indices."""
        return self.images.index_select(0, indices).permute(0, 3, 1, 2), self.labels.index_select(0, indices)

    def slices(self, most: int) -> Iterator[tuple[int, Tensor]]:
        """All images in equal slices of at most `most`, with the index where each starts: a GPU's libraries prepare
        anew for every new shape. If the images do not divide evenly, the last slice overlaps the one before.
        """
        size = math.ceil(len(self) / math.ceil(len(self) / most))
        for start in range(0, len(self), size):
            begin = min(start, len(self) - size)
            yield begin, self.images[begin : begin + size].permute(0, 3, 1, 2)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingTask:
    """What all trials have in common.

    Attributes:
        name: Short name for people.
        classes: Name of each class, by label.
        shape: Channels, height, width.
        form: The form of all images.
        mean: Mean of each channel of the training images, pixels in [0, 1].
        std: Standard deviation of each channel.
        train: Training images.
        validation: Validation images.
        device: The device of all these tensors.
        threads: Largest number of CPU threads.
        may_use_fewer_threads: Whether small networks may be trained with one thread.
        seed: Seed of initial weights, order of images, augmentation and dropout, together with a trial's number.
        bf16: Whether the device supports bfloat16, which is used if it is safe and faster.
    """

    name: str
    classes: tuple[str, ...]
    shape: Shape
    form: Form
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train: Resident
    validation: Resident
    device: torch.device
    threads: int
    may_use_fewer_threads: bool
    seed: int
    bf16: bool = False
    _at_sides: dict[tuple[int, int], tuple[Resident, Resident]] = field(default_factory=dict, init=False)

    def at(self, sides: tuple[int, int]) -> tuple[Resident, Resident]:
        """Training and validation images at a resolution.

        The newest copy is always kept; older ones as long as all together take at most `MOST_COPIES` times the memory
        of the images themselves.
        """
        if sides == self.train.sides:
            return self.train, self.validation
        kept = self._at_sides
        if sides not in kept:
            room = MOST_COPIES * math.prod(self.train.sides) - math.prod(sides)
            while kept and sum(map(math.prod, kept)) > room:
                del kept[next(iter(kept))]
            kept[sides] = self.train.scaled(sides), self.validation.scaled(sides)
        return kept[sides]
