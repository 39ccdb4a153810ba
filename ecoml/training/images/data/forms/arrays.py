"""Arrays and torch data sets in memory, stored as a file that a worker, a resumed search and a predictor can read.

    CnnTraining((x, y))                                     # or {"x": …, "y": …, "x_test": …, "y_test": …}
    CnnTraining(torchvision_data_set)                       # or {"train": …, "test": …}

The file is in the user's cache folder, named by the hash of its content, so the same data are written once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sized
from pathlib import Path
from typing import Any, Protocol, TypeGuard

import numpy as np
import numpy.typing as npt

from ecoml.errors import DataError
from ecoml.outside.folders import cache_folder, whole

Array = npt.NDArray[Any]

_SUFFIX = {"train": "", "validation": "_val", "val": "_val", "test": "_test"}


class ItemsWithLabels(Sized, Protocol):
    """A map-style data set such as `torch.utils.data.Dataset`: item i is an image and its label."""

    def __getitem__(self, index: int, /) -> Any: ...


def kept(data: object) -> Path:
    """The `.npz` file with these data; it is written if it does not exist.

    Args:
        data: (x, y); a mapping from the names of `npz` to arrays; a data set; a mapping from splits to data sets.

    Raises:
        DataError: It is none of these, or its images differ in size.
    """
    arrays = _arrays(data)
    content = hashlib.blake2b(digest_size=8)
    for name, array in sorted(arrays.items()):
        content.update(repr((name, array.dtype.str, array.shape)).encode())
        content.update(np.ascontiguousarray(array).data)
    path = cache_folder() / "given" / f"arrays-{content.hexdigest()}.npz"
    if not path.is_file():
        with whole(path) as unfinished:
            unfinished.touch(mode=0o600)
            with unfinished.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
    return path


def _arrays(data: object) -> dict[str, Array]:
    if isinstance(data, tuple) and len(data) == 2:
        data = {"x": data[0], "y": data[1]}
    if _has_items(data):
        return _of_items(data, "", "the data set")
    if isinstance(data, Mapping) and data:
        if all(name in _SUFFIX and _has_items(items) for name, items in data.items()):
            parts = [_of_items(items, _SUFFIX[name], f"the data set of {name}") for name, items in data.items()]
            return {name: array for part in parts for name, array in part.items()}
        return {str(name): _array(value) for name, value in data.items()}
    raise DataError(
        f"data is a {type(data).__name__}; give a name, a folder, a file, (x, y), or a data set of images and labels"
    )


def _has_items(data: object) -> TypeGuard[ItemsWithLabels]:
    """Whether it is a map-style data set: not an array (which has a shape), a mapping, or a plain sequence."""
    plain = isinstance(data, str | bytes | Mapping | list | tuple) or hasattr(data, "shape")
    return not plain and hasattr(data, "__len__") and hasattr(data, "__getitem__")


def _of_items(items: ItemsWithLabels, suffix: str, where: str) -> dict[str, Array]:
    images, labels = [], []
    for index in range(len(items)):
        item = items[index]
        if not (isinstance(item, tuple | list) and len(item) == 2):
            raise DataError(f"{where}: item {index} is a {type(item).__name__}; it must be an image and its label")
        images.append(_array(item[0]))
        labels.append(item[1].item() if hasattr(item[1], "item") else item[1])
        if images[-1].shape != images[0].shape:
            here, there = images[-1].shape, images[0].shape
            raise DataError(
                f"{where}: item {index} has shape {here}, but the first has {there}; resize them to one size"
            )
    if not images:
        raise DataError(f"{where} is empty; there must be images")
    return {f"x{suffix}": np.stack(images), f"y{suffix}": np.asarray(labels)}


def _array(value: Any) -> Array:
    """The array of an array, a tensor on any device, or a Pillow image."""
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
