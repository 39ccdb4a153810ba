"""A data set from a CSV that lists images: columns `path` and `label`, optionally `split`.

Paths are relative to the folder of the CSV. `split` is `train`, `test`, or `val`, `valid`, `validation`; without this
column all images are for training.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ecoml.errors import DataError
from ecoml.training.images.data import folder
from ecoml.training.images.data.dataset import FoundData
from ecoml.training.images.data.listing import VALIDATION, Listing
from ecoml.training.images.settings import LARGEST_SIDE

_SPLITS = {"train": "train", "test": "test", **dict.fromkeys(VALIDATION, "validation")}


def read(path: Path, largest_side: int = LARGEST_SIDE) -> FoundData:
    """The data set that a CSV lists, with images of at most `largest_side` pixels per side.

    Raises:
        DataError: A column is missing, a row has no valid image, split or class, or an image cannot be read.
    """
    listings: dict[str, Listing] = {}
    for split, file, label in _rows(path):
        listing = listings.setdefault(split, Listing())
        listing.files.append(file)
        listing.labels.append(label)
        listing.classes.add(label)
    if "train" not in listings:
        raise DataError(f"{path}: lists no image to train on; give rows a split of train, or leave that column out")
    return folder.of_listings(path.stem, listings, dict.fromkeys(listings, str(path)), largest_side=largest_side)


def class_counts(path: Path) -> list[int]:
    """Number of training and validation images of each class.

    Raises:
        DataError: As `read`, for errors in the table.
    """
    return list(Counter(label for split, _, label in _rows(path) if split == "train").values())


def _rows(path: Path) -> Iterator[tuple[str, Path, str]]:
    """Split, file and label of each row."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        table = csv.DictReader(stream)
        missing = [name for name in ("path", "label") if name not in (table.fieldnames or [])]
        if missing:
            found = ", ".join(table.fieldnames or []) or "nothing"
            raise DataError(f"{path}: the column {missing[0]} is missing; its first line has {found}")
        for row in table:
            where = f"{path}, line {table.line_num}"
            label, given = (row["label"] or "").strip(), (row.get("split") or "train").strip()
            if not label:
                raise DataError(f"{where}: no label; name the class, or leave the row out")
            if given not in _SPLITS:
                raise DataError(f"{where}: the split is {given!r}; give train, validation or test")
            file = path.parent / (row["path"] or "").strip()
            if not file.is_file():
                raise DataError(f"{where}: there is no file {file}; correct the path, or leave the row out")
            yield _SPLITS[given], file, label
