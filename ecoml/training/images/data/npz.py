"""A data set from an `.npz` file of numpy arrays.

Keys: `x` and `y` (or `x_train` and `y_train`), optionally `x_val` and `y_val`, `x_test` and `y_test`.

Shapes: x N×H×W, N×H×W×C or N×C×H×W with C 1 or 3 (if both are possible, the last dimension is C); y N or N×1. Pixels:
bool, whole numbers or floats, by the same rule as for image files (`ecoml.training.images.data.pixels`): whole numbers
range from 0 to 255, or to 65,535 if any number of the training split is larger, floats from 0 to 1. If the training
split uses little of this range, or exceeds it, its own least and largest number become black and white.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecoml.errors import DataError
from ecoml.training.images.data.dataset import (
    NATURAL,
    Form,
    FoundData,
    ImageReading,
    Images,
    LabelledImages,
    levels_of,
    numbered,
    range_of,
)

Array = npt.NDArray[Any]

_KEYS = tuple(f"{name}{split}" for split in ("", "_train", "_val", "_test") for name in "xy")


def read(path: Path) -> FoundData:
    """The data set in a file.

    Raises:
        DataError: It is not such a file, or an array is missing or cannot be used; the message names the array.
    """
    arrays = _arrays(path, _KEYS)
    prefix = "_train" if "x_train" in arrays and "x" not in arrays else ""
    x, y = _pair(arrays, path, "x" + prefix, "y" + prefix)
    classes = np.unique(y).tolist()
    kind, low, high = _range(x)
    train = LabelledImages(levels_of(x, low, high), numbered(y.tolist(), classes, str(path)))
    natural = (low, high) == (0.0, NATURAL.get(kind, 1.0))
    ranges = {} if natural and kind != "16 bits" else {kind: (low, high)}  # an array's type does not tell its bits
    channels, height, width = x.shape[1:]

    def other(name: str) -> LabelledImages | None:
        x_key, y_key = f"x_{name}", f"y_{name}"
        if x_key not in arrays and y_key not in arrays:
            return None
        images, labels = _pair(arrays, path, x_key, y_key)
        if (images.dtype.kind == "f") != (x.dtype.kind == "f"):
            raise DataError(f"{path}: x{prefix} is {x.dtype} and {x_key} {images.dtype}; store both alike")
        if kind == "8 bits" and not 0 <= images.min() <= images.max() <= NATURAL[kind]:
            there, here = (f"from {part.min()} to {part.max()}" for part in (x, images))
            raise DataError(f"{path}: x{prefix} goes {there} and {x_key} {here}; store both alike")
        return LabelledImages(levels_of(images, low, high), numbered(labels.tolist(), classes, f"{path}: {y_key}"))

    reading = ImageReading(Form(height, width, channels, ranges=ranges))
    return FoundData(path.stem, tuple(str(name) for name in classes), reading, train, other("test"), other("val"))


def images_of(path: Path) -> tuple[Array, list[str] | None]:
    """The images of a file for prediction, N×H×W×C as stored, and their classes if it has them.

    These are the images of its test split, or of the only split.

    Raises:
        DataError: As `read`, for these arrays.
    """
    arrays = _arrays(path, _KEYS)
    which = next((name for name in ("_test", "") if f"x{name}" in arrays), "_train")
    x = arrays.get(f"x{which}")
    if x is None:
        raise DataError(f"{path}: the array x is missing, or x_test; it has {', '.join(arrays) or 'neither'}")
    images = _channels_first(x, f"{path}: x{which}").transpose(0, 2, 3, 1)
    y = arrays.get(f"y{which}")
    return images, None if y is None else [str(label) for label in _labels(y, f"{path}: y{which}").tolist()]


def as_levels(x: Array, form: Form) -> Images:
    """Numbers of an array of any shape as levels 0 … 255, by the ranges of a training's form.

    Whole numbers count as stored in eight bits, unless one is larger, or the training's images had sixteen.
    """
    if x.dtype.kind == "b":
        return levels_of(x, 0.0, 1.0)
    if x.dtype.kind == "f":
        return levels_of(x, *form.range("floats"))
    few = x.dtype == np.uint8 or ("16 bits" not in form.ranges and (not x.size or x.max() <= NATURAL["8 bits"]))
    return levels_of(x, *form.range("8 bits" if few else "16 bits"))


def class_counts(path: Path) -> list[int]:
    """Number of training and validation images of each class.

    Raises:
        DataError: As `read`, for the labels.
    """
    arrays = _arrays(path, ("y", "y_train"))
    key = "y" if "y" in arrays else "y_train"
    counts: list[int] = (
        np.unique(_labels(arrays[key], f"{path}: {key}"), return_counts=True)[1].tolist() if key in arrays else []
    )
    return counts


def _arrays(path: Path, keys: Collection[str]) -> dict[str, Array]:
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path}: not an .npz file; write one with numpy.savez_compressed(file, x=images, y=labels)")
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: _array(path, key, file) for key in file.files if key in keys}
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise DataError(f"{path}: damaged ({error}); write it again") from None


def _array(path: Path, key: str, file: Any) -> Array:
    try:
        return np.asarray(file[key])
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise DataError(
                f"{path}: {key} is an array of Python objects, which could run code when read; store numbers or strings"
            ) from None
        raise DataError(f"{path}: {key} is damaged ({error}); write it again") from None


def _pair(arrays: dict[str, Array], path: Path, x_key: str, y_key: str) -> tuple[Array, Array]:
    """Images N×C×H×W in their own type, and labels N."""
    for key in (x_key, y_key):
        if key not in arrays:
            found = ", ".join(arrays) or "none of these"
            raise DataError(
                f"{path}: the array {key} is missing; x and y are needed, x_val with y_val, x_test with y_test:"
                f" it has {found}"
            )
    x, y = _channels_first(arrays[x_key], f"{path}: {x_key}"), _labels(arrays[y_key], f"{path}: {y_key}")
    if len(x) != len(y):
        raise DataError(f"{path}: {x_key} has {len(x)} images and {y_key} {len(y)} labels; they must be as many")
    return x, y


def _channels_first(x: Array, where: str) -> Array:
    if x.dtype.kind not in "buif":
        raise DataError(f"{where} is of type {x.dtype}; pixels are bool, whole numbers or floats")
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[3] in (1, 3):
        x = x.transpose(0, 3, 1, 2)
    elif x.ndim != 4 or x.shape[1] not in (1, 3):
        raise DataError(f"{where} has shape {x.shape}; it takes N×H×W, N×H×W×C or N×C×H×W with C 1 or 3")
    if not x.size:
        raise DataError(f"{where} is empty (its shape is {x.shape}); there must be images")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise DataError(f"{where} has pixels that are NaN or infinite; replace them, or leave those images out")
    return x


def _labels(y: Array, where: str) -> Array:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        hint = "; use its argmax(1)" if y.ndim == 2 else ""
        raise DataError(f"{where} has shape {y.shape}; it takes one label per image, N{hint}")
    if y.dtype.kind not in "buiUS":
        raise DataError(f"{where} is of type {y.dtype}; labels are whole numbers or strings")
    return y.astype(str) if y.dtype.kind == "S" else y


def _range(x: Array) -> tuple[str, float, float]:
    """The storage format of the numbers (see `NATURAL`), and which numbers become black and white."""
    if x.dtype.kind == "b":
        return "1 bit", 0.0, 1.0
    low, high = float(x.min()), float(x.max())
    whole = "8 bits" if low >= 0 and high <= NATURAL["8 bits"] else "16 bits"
    kind = "floats" if x.dtype.kind == "f" else whole
    return kind, *range_of(kind, low, high)
