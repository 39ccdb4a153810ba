"""Loads the data set of a name or a path: chooses the reader, checks the data, and makes a missing test split."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ecoml.errors import DataError
from ecoml.outside.folders import expanded
from ecoml.training.images import catalogue
from ecoml.training.images.data.dataset import Dataset, FoundData
from ecoml.training.images.data.split import stratified
from ecoml.training.images.settings import LARGEST_SIDE

TEST_SHARE = 0.2
_TEST_SEED = 1797  # the held-out test set must be the same in every search


def load(
    data: str, data_dir: Path | None = None, *, download: bool = True, largest_side: int = LARGEST_SIDE
) -> Dataset:
    """The data set of a name, a folder, a `.csv` that lists files, or an `.npz` file.

    A data set without a test split gets one: a stratified fifth, always the same one.

    Args:
        data: Name or path.
        data_dir: Folder of named data sets.
        download: Whether named data may be downloaded.
        largest_side: Largest side in pixels of images from files; larger ones are reduced.

    Raises:
        DataError: It does not exist, cannot be read, or is too small to be divided.
    """
    found = _find(data, data_dir, download, largest_side)
    _check(found, data)
    train, test = found.train, found.test
    drawn = tuple(name for name, part in (("validation", found.validation), ("test", test)) if part is None)
    digest = found.digest or _digest(found)
    if test is None:
        kept, held_out = stratified(train.labels, TEST_SHARE, _TEST_SEED)
        train, test = train[kept], train[held_out]
    return Dataset(found.name, found.classes, found.reading, train, test, found.validation, drawn, digest)


def class_counts(data: str) -> list[int]:
    """Number of training and validation images of each class, without reading images; empty for named data, which are
    balanced.

    Raises:
        DataError: The data do not exist, or their images or labels are wrong.
    """
    if data in catalogue.NAMED:
        return []
    path = Path(data)
    with _readable(path):
        path = _as_folder(path)
        if path.is_dir():
            from ecoml.training.images.data.listing import listed, splits_of

            return list(Counter(listed(splits_of(path)["train"]).labels).values())
        if path.suffix.lower() == ".csv" and path.exists():
            from ecoml.training.images.data.forms import table

            return table.class_counts(path)
        if path.exists():
            from ecoml.training.images.data import npz

            return npz.class_counts(path)
    raise catalogue.unknown(data)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{error.filename or path}: cannot be read ({error.strerror or error}); check its permissions"
        ) from None


def _find(data: str, data_dir: Path | None, download: bool, largest_side: int) -> FoundData:
    if data in catalogue.NAMED:
        from ecoml.training.images.data import named

        return named.read(data, data_dir, download=download)
    path = expanded(data)
    with _readable(path):
        path = _as_folder(path)
        if path.is_dir():
            from ecoml.training.images.data import folder

            return folder.read(path, largest_side)
        if path.suffix.lower() == ".csv" and path.exists():
            from ecoml.training.images.data.forms import table

            return table.read(path, largest_side)
        if path.exists():
            from ecoml.training.images.data import npz

            return npz.read(path)
    raise catalogue.unknown(data)


def _as_folder(path: Path) -> Path:
    """Parquet and Arrow files as the folder of their images; any other path unchanged."""
    from ecoml.training.images.data.forms import arrow

    return arrow.unpacked(path) if arrow.files_of(path) else path


def _digest(found: FoundData) -> str:
    """The hash of the arrays, part by part."""
    content = hashlib.blake2b(repr(found.classes).encode(), digest_size=20)
    for part in (found.train, found.validation, found.test):
        for array in (part.images, part.labels) if part is not None else ():
            content.update(repr(array.shape).encode())
            content.update(np.ascontiguousarray(array).data)
    return content.hexdigest()


def _check(found: FoundData, where: str) -> None:
    if len(found.classes) < 2:
        only = f", {found.classes[0]!r}" if found.classes else ""
        raise DataError(f"{where}: there is only one class{only}; at least two are needed")
    drawn = {"training": True, "validation": found.validation is None, "test": found.test is None}
    wanted = [split for split, is_drawn in drawn.items() if is_drawn]
    counts = np.bincount(found.train.labels, minlength=len(found.classes))
    fewest = int(counts.argmin())
    if counts[fewest] < len(wanted):
        raise DataError(
            f"{where}: class {found.classes[fewest]!r} has {counts[fewest]} training images; {len(wanted)} are needed"
            f" at least, one each for {' and '.join(wanted)}; add images, or leave the class out"
        )
    for split, name in ((found.validation, "validation"), (found.test, "test")):
        if split is not None and split.images.shape[1:] != found.train.images.shape[1:]:
            raise DataError(
                f"{where}: {name} images are {split.images.shape[1:]}, training images {found.train.images.shape[1:]}"
                " (channels, height, width); make them alike"
            )
        if split is not None and not len(split):
            raise DataError(f"{where}: the {name} part is empty; add images or leave it out")
