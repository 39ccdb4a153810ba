"""The data that a user gave, as one text: the name of a data set, or an absolute path."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ecoml.errors import UsageError
from ecoml.outside.folders import expanded, is_utf8
from ecoml.training.images.catalogue import NAMED
from ecoml.training.images.data.forms.arrays import ItemsWithLabels, kept
from ecoml.training.images.data.loader import class_counts
from ecoml.training.images.scores import ACCURACY, BALANCED, imbalanced

Data = str | Path | tuple[Any, Any] | Mapping[str, Any] | ItemsWithLabels
"""The data as `CnnTraining` takes them."""

log = logging.getLogger("ecoml")


def as_text(data: Data) -> str:
    """The data as a text; those in memory are stored as a file.

    Raises:
        DataError: They are in memory and no images with labels, or of several sizes.
        UsageError: The path is not UTF-8.
    """
    if not isinstance(data, str | Path):
        data = kept(data)
    if not isinstance(data, str) or data not in NAMED:  # a Path is a folder or a file, whatever it is called
        return absolute(data)
    if Path(data).is_dir():
        log.warning("%s is the data set of that name; the folder of that name is ./%s", data, data)
    return data


def absolute(path: str | Path) -> str:
    """A path that holds in other folders too.

    Raises:
        UsageError: It is not UTF-8.
    """
    found = str(expanded(path).absolute())
    if not is_utf8(found):
        raise UsageError(f"data {found!a}: its name is not UTF-8; rename it")
    return found


def short_name(data: str) -> str:
    """A name for people: `fashion-mnist`, or the name of the folder or file."""
    return data if data in NAMED else Path(data).stem


def own_path(data: str) -> Path | None:
    """The user's own file or folder; None for named data, and for a CSV of images elsewhere."""
    return None if data in NAMED or data.lower().endswith(".csv") else Path(data)


def suitable_score(data: str) -> str:
    """Which of `ecoml.training.images.scores.METRICS` suits the data: accuracy, unless a class is much larger.

    Raises:
        DataError: The data do not exist, or their images or labels are wrong.
    """
    counts = class_counts(data)
    return BALANCED if counts and imbalanced(counts) else ACCURACY
