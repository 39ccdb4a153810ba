"""The data sets that have names, and the folders in which they are looked for."""

from __future__ import annotations

import os
from pathlib import Path

from ecoml.errors import DataError, UsageError, did_you_mean
from ecoml.outside.folders import cache_folder
from ecoml.space import Choice, Space

NAMED = {
    "digits": "1,797 grey images of handwritten digits, 8×8, 10 classes; comes with scikit-learn",
    "fashion-mnist": "70,000 grey images of clothes, 28×28, 10 classes; 30 MB to download",
    "mnist": "70,000 grey images of handwritten digits, 28×28, 10 classes; 12 MB to download",
    "cifar10": "60,000 colour images, 32×32, 10 classes; 170 MB to download",
    "cifar100": "60,000 colour images, 32×32, 100 classes; 170 MB to download",
    "svhn": "99,289 colour images of house numbers, 32×32, 10 classes; 240 MB to download, needs scipy",
}
"""Name → description."""

_HANDED = ("digits", "mnist", "svhn")
"""Data sets whose mirror images belong to no class, or to another one."""


def available_data() -> list[tuple[str, str]]:
    """Name and description of every named data set, and of the forms of one's own data."""
    return [
        *NAMED.items(),
        ("DIR", "a folder of images by class: DIR/CLASS/*.png, or DIR/train/CLASS/… with DIR/test and DIR/val"),
        ("FILE.npz", "numpy arrays x (N×H×W, N×H×W×C or N×C×H×W) and y (N); optionally x_val, y_val, x_test, y_test"),
    ]


def places(name: str, data_dir: Path | None) -> list[Path]:
    """Folders that may hold the files of a named data set, first choice first.

    Without `data_dir` they include the folders of the system's packages (Debian's `dataset-fashion-mnist` uses
    `datasets/fashion-mnist` in a shared data folder).
    """
    if data_dir is not None:
        return [data_dir]
    shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    return [cache_folder(), *(Path(folder) / "datasets" / name for folder in shared.split(":") if folder)]


def refuse_mirroring(data: str, space: Space) -> None:
    """Refuse a space that mirrors images if a mirrored image has another meaning.

    Raises:
        UsageError: It does.
    """
    flip = space.parameters.get("flip", "no")
    values = flip.options if isinstance(flip, Choice) else (flip,)
    if data in _HANDED and "yes" in values:
        raise UsageError(f"flip = 'yes', but a mirrored image of {data} shows something else; take it out of the space")


def unknown(data: str) -> DataError:
    """The error for data that are neither a known name nor an existing path."""
    hint = did_you_mean(Path(data).name.lower(), NAMED)
    return DataError(f"data {data!r}: no data set of this name, no such folder and no such file; {hint}")
