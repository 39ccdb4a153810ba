"""A data set for image classification, as arrays.

Shapes: images uint8 N×C×H×W, labels int64 N with values 0 … classes − 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ecoml.errors import DataError
from ecoml.training.images.data.split import stratified

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages:
    """Images and their labels.

    Attributes:
        images: uint8 N×C×H×W.
        labels: int64 N.
    """

    images: Images
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, indices: npt.NDArray[np.intp]) -> LabelledImages:
        return LabelledImages(self.images[indices], self.labels[indices])

    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel, pixels in [0, 1]; no deviation is below one grey level."""
        levels = np.arange(256) / 255
        means, deviations = [], []
        for channel in range(self.images.shape[1]):
            counts = np.zeros(256)
            for start in range(0, len(self), 1024):  # bincount widens every pixel to eight bytes
                counts += np.bincount(self.images[start : start + 1024, channel].ravel(), minlength=256)
            shares = counts / counts.sum()
            mean = float(shares @ levels)
            means.append(mean)
            deviations.append(max(float(shares @ (levels - mean) ** 2) ** 0.5, 1 / 255))
        return tuple(means), tuple(deviations)


@dataclass(frozen=True, slots=True, eq=False)
class FoundData:
    """What a reader found: a data set that may still lack a test split, and may not be large enough.

    Attributes:
        name: Short name for people.
        classes: Name of each class, by label.
        train: Training split.
        test: Test split, if the data come with one.
        validation: Validation split, if the data come with one.
        notes: What was ignored or converted, one sentence each.
    """

    name: str
    classes: tuple[str, ...]
    train: LabelledImages
    test: LabelledImages | None = None
    validation: LabelledImages | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A data set that can be trained on.

    Attributes:
        name: Short name for people.
        classes: Name of each class, by label.
        train: Training split, the images to validate on included unless they are given apart.
        test: Test split.
        validation: Validation split, if the data come with one.
        notes: What was ignored or converted, one sentence each.
    """

    name: str
    classes: tuple[str, ...]
    train: LabelledImages
    test: LabelledImages
    validation: LabelledImages | None
    notes: tuple[str, ...]

    def divided(self, share: float, seed: int) -> tuple[LabelledImages, LabelledImages]:
        """Training and validation split; the latter has `share` of the images, and at least one of each class."""
        if self.validation is not None:
            return self.train, self.validation
        kept, held_out = stratified(self.train.labels, share, seed)
        return self.train[kept], self.train[held_out]


def numbered(labels: Sequence[Any] | npt.NDArray[Any], classes: Sequence[Any], where: str) -> Labels:
    """Labels as positions in `classes`.

    Raises:
        DataError: A label is not one of the classes.
    """
    position = {label: index for index, label in enumerate(classes)}
    try:
        return np.array([position[label] for label in labels], dtype=np.int64)
    except KeyError as error:
        raise DataError(f"{where}: class {str(error.args[0])!r} is not in the training data; remove it here") from None
