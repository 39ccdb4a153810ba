"""A data set for image classification, as arrays.

Shapes: images uint8 N×C×H×W, labels int64 N with values 0 … classes − 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ecoml.errors import DataError
from ecoml.training.images.data.split import stratified

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

NATURAL = {"8 bits": 255.0, "16 bits": 65_535.0, "32 bits": 65_535.0, "floats": 1.0}
"""Storage format of a number → the number that stands for white; images of 32 bits rarely use more than 16."""

_LEAST_USED = {"8 bits": 1 / 8, "16 bits": 1 / 2, "32 bits": 1 / 2, "floats": 1 / 2}
"""Least share of the natural range that the images must use: with less they would look black, or keep few of the 256
levels.
"""


def range_of(kind: str, low: float, high: float) -> tuple[float, float]:
    """The numbers that become black and white, if those of the training images range from `low` to `high`."""
    white = NATURAL[kind]
    inside = low >= 0 and high <= white
    return (0.0, white) if inside and (high >= white * _LEAST_USED[kind] or low == high) else (low, high)


def levels_of(numbers: npt.NDArray[Any], low: float, high: float) -> Images:
    """Numbers as levels 0 … 255 in the same shape; numbers beyond `low` and `high` become black and white."""
    if numbers.dtype == np.uint8 and (low, high) == (0, 255):
        return numbers
    levels = np.empty(numbers.shape, np.uint8)
    for start in range(0, len(numbers), 1024):  # so that no second copy of all images is made in float
        share = (numbers[start : start + 1024].astype(np.float64) - low) / ((high - low) or 1.0)
        levels[start : start + 1024] = np.rint(np.clip(share, 0.0, 1.0) * 255)
    return levels


@dataclass(frozen=True, slots=True)
class Form:
    """The form to which all images of a data set are converted; see `ecoml.training.images.data.pixels`.

    Attributes:
        height: In pixels.
        width: In pixels.
        channels: 1 or 3.
        background: Level behind transparent pixels, 0 for black.
        ranges: Storage format of a number (a key of `NATURAL`) → the numbers that become black and white, if these are
            not the natural ones.
    """

    height: int
    width: int
    channels: int
    background: int = 0
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def range(self, kind: str) -> tuple[float, float]:
        """The numbers that become black and white."""
        return self.ranges.get(kind, (0.0, NATURAL[kind]))

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Form:
        """The form in a table from `dataclasses.asdict`, possibly through JSON."""
        ranges = {kind: (low, high) for kind, (low, high) in table["ranges"].items()}
        return cls(table["height"], table["width"], table["channels"], table["background"], ranges)


@dataclass(frozen=True, slots=True)
class ImageReading:
    """What a reader did with the images it found.

    Attributes:
        form: The form to which all images were converted.
        ignored: Kind of file that was left out → how many.
        smallest: Original height and width of the smallest image, if the size was changed.
        largest: The same for the largest image.
        several: Number of files with several pictures, of which the first was used.
        blank: Number of images that now show a single colour, although their files do not.
    """

    form: Form
    ignored: Mapping[str, int] = field(default_factory=dict)
    smallest: tuple[int, int] | None = None
    largest: tuple[int, int] | None = None
    several: int = 0
    blank: int = 0

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> ImageReading:
        """The reading in a table from `dataclasses.asdict`, through JSON."""
        sizes = {name: tuple(table[name]) if table[name] else None for name in ("smallest", "largest")}
        return cls(**{**table, **sizes, "form": Form.of(table["form"])})


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
        """Mean and standard deviation of each channel, with pixels in [0, 1]; each deviation is at least one grey
        level.
        """
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
    """A reader's result: a data set that may lack a test split, and may be too small.

    Attributes:
        name: Short name for people.
        classes: Name of each class, by label.
        reading: How the images were changed.
        train: Training split.
        test: Test split, if the data have one.
        validation: Validation split, if the data have one.
        digest: Hash of the files; empty if the hash of the arrays is to be used.
    """

    name: str
    classes: tuple[str, ...]
    reading: ImageReading
    train: LabelledImages
    test: LabelledImages | None = None
    validation: LabelledImages | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A data set for training.

    Attributes:
        name: Short name for people.
        classes: Name of each class, by label.
        reading: How the images were changed.
        train: Training split; it includes the validation images unless the data have their own.
        test: Test split.
        validation: Validation split, if the data have one.
        drawn: Which of validation and test are drawn from the training images.
        digest: Hash of the complete data set.
    """

    name: str
    classes: tuple[str, ...]
    reading: ImageReading
    train: LabelledImages
    test: LabelledImages
    validation: LabelledImages | None
    drawn: tuple[str, ...]
    digest: str

    def divided(self, share: float, seed: int) -> tuple[LabelledImages, LabelledImages]:
        """Training and validation split; the latter has `share` of the images, and at least one of each class."""
        if self.validation is not None:
            return self.train, self.validation
        kept, held_out = stratified(self.train.labels, share, seed)
        return self.train[kept], self.train[held_out]

    def copies(self, share: float, seed: int) -> int:
        """Number of validation and test images that are also among the training images, pixel by pixel."""
        held_out = [self.test] if self.validation is None else [self.test, self.validation]
        rows = [hash(image.tobytes()) for image in self.train.images]
        others = [hash(image.tobytes()) for part in held_out for image in part.images]
        if self.validation is None:
            kept, drawn = stratified(self.train.labels, share, seed)
            others += [rows[index] for index in drawn]
            rows = [rows[index] for index in kept]
        known = set(rows)
        return sum(image in known for image in others)


def numbered(labels: Sequence[Any] | npt.NDArray[Any], classes: Sequence[Any], where: str) -> Labels:
    """Labels as positions in `classes`.

    Raises:
        DataError: A label is not one of the classes.
    """
    position = {label: index for index, label in enumerate(classes)}
    try:
        return np.array([position[label] for label in labels], dtype=np.int64)
    except KeyError as error:
        raise DataError(
            f"{where}: class {str(error.args[0])!r} is not in the training data; add it there, or leave it out here"
        ) from None
