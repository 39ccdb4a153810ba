"""A data set for image classification, as arrays.

Shapes: images uint8 N×C×H×W, labels int64 N with values 0 … classes − 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecoml.errors import DataError
from ecoml.training.images import catalogue
from ecoml.training.images.data.split import stratified

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

TEST_SHARE = 0.2
_TEST_SEED = 1797  # the held-out test set must be the same in every search


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
    """What a reader found: a data set that may still lack a test part, and may not be large enough.

    Attributes:
        problem: Short name for people.
        classes: Name of each class, by label.
        train: Training part.
        test: Test part, if the data come with one.
        validation: Validation part, if the data come with one.
        notes: What was ignored or converted, one sentence each.
    """

    problem: str
    classes: tuple[str, ...]
    train: LabelledImages
    test: LabelledImages | None = None
    validation: LabelledImages | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A data set that can be trained on.

    Attributes:
        problem: Short name for people.
        classes: Name of each class, by label.
        train: Training part, the images to validate on included unless they are given apart.
        test: Test part.
        validation: Validation part, if the data come with one.
        notes: What was ignored or converted, one sentence each.
    """

    problem: str
    classes: tuple[str, ...]
    train: LabelledImages
    test: LabelledImages
    validation: LabelledImages | None
    notes: tuple[str, ...]

    def divided(self, share: float, seed: int) -> tuple[LabelledImages, LabelledImages]:
        """Training and validation part; the latter has `share` of the images, and at least one of each class."""
        if self.validation is not None:
            return self.train, self.validation
        kept, held_out = stratified(self.train.labels, share, seed)
        return self.train[kept], self.train[held_out]


def load(data: str, data_dir: Path | None = None, *, download: bool = True) -> Dataset:
    """The data set of that name, in that folder, or in that `.npz` file.

    A data set without a test part gets one: a stratified fifth, always the same one.

    Raises:
        DataError: It is not there, cannot be read, or is too small to be divided.
    """
    found = _find(data, data_dir, download)
    _check(found, data)
    train, test = found.train, found.test
    if test is None:
        kept, held_out = stratified(train.labels, TEST_SHARE, _TEST_SEED)
        train, test = train[kept], train[held_out]
    return Dataset(found.problem, found.classes, train, test, found.validation, found.notes)


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


def _find(data: str, data_dir: Path | None, download: bool) -> FoundData:
    if data in catalogue.NAMED:
        from ecoml.training.images.data import named

        return named.read(data, data_dir, download=download)
    path = Path(data).expanduser()
    try:
        if path.is_dir():
            from ecoml.training.images.data import folder

            return folder.read(path)
        if path.exists():
            from ecoml.training.images.data import npz

            return npz.read(path)
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be read ({error.strerror or error}); see to it") from None
    raise catalogue.unknown(data)


def _check(found: FoundData, where: str) -> None:
    if len(found.classes) < 2:
        only = f", {found.classes[0]!r}" if found.classes else ""
        raise DataError(f"{where}: there is one class only{only}; at least two are needed")
    parts = {"training": True, "validation": found.validation is None, "test": found.test is None}
    wanted = [part for part, missing in parts.items() if missing]
    counts = np.bincount(found.train.labels, minlength=len(found.classes))
    fewest = int(counts.argmin())
    if counts[fewest] < len(wanted):
        raise DataError(
            f"{where}: class {found.classes[fewest]!r} has {counts[fewest]} training images; {len(wanted)} are needed"
            f" at least, one each for {' and '.join(wanted)}; add images or remove the class"
        )
    for part, name in ((found.validation, "validation"), (found.test, "test")):
        if part is not None and part.images.shape[1:] != found.train.images.shape[1:]:
            raise DataError(
                f"{where}: {name} images are {part.images.shape[1:]}, training images {found.train.images.shape[1:]}"
                " (channels, height, width); make them alike"
            )
        if part is not None and not len(part):
            raise DataError(f"{where}: the {name} part is empty; add images or leave it out")
