"""Lists the files of a folder of images by split and class, without opening any."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ecoml.errors import DataError
from ecoml.outside.folders import as_text, is_utf8
from ecoml.training.images import catalogue

EXTENSIONS = frozenset(
    (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm")
)
VALIDATION = ("val", "valid", "validation")


@dataclass(slots=True)
class Listing:
    """The images below one folder, by class.

    Attributes:
        files: The images.
        labels: The class of each.
        classes: All classes.
        ignored: Kind of entry that is not an image of a class → how many.
    """

    files: list[Path] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    classes: set[str] = field(default_factory=set)
    ignored: Counter[str] = field(default_factory=Counter)


def splits_of(folder: Path) -> dict[str, Path]:
    """Split → its folder of classes. `DIR/train` counts as a class if it contains images."""
    train = folder / "train"
    if (
        not train.is_dir()
        or _is_of_results(train)
        or not _subfolders(train)
        or any(_is_image(file) for file in train.iterdir())
    ):
        return {"train": folder}
    given = [name for name in VALIDATION if (folder / name).is_dir()]
    if len(given) > 1:
        raise DataError(f"{folder}: {' and '.join(given)} both hold validation images; keep one of them")
    places = {"train": train, "validation": folder / (given[0] if given else "val"), "test": folder / "test"}
    return {split: place for split, place in places.items() if place.is_dir() and not _is_of_results(place)}


def beside(folder: Path, places: dict[str, Path]) -> Counter[str]:
    """Entries of a data folder that belong to no split, although the user may have meant them to."""
    results = sum(map(_is_of_results, _all_folders(folder)))
    found = Counter({"folder of results": results}) if results else Counter[str]()
    if places["train"] == folder:
        return found
    others = set(_subfolders(folder)) - set(places.values())
    return found + Counter({f"folder beside {places['train'].name}": len(others)})


def listed(folder: Path) -> Listing:
    """The images below a folder of classes.

    Raises:
        DataError: There are none, a class has none, or its name is not UTF-8.
    """
    listing = Listing()
    if loose := sum(_is_image(file) for file in folder.iterdir()):
        listing.ignored["image outside of the classes"] = loose
    for place in _subfolders(folder):
        if not is_utf8(place):
            raise DataError(f"{str(place)!a}: the class's name is not UTF-8; rename the folder")
        listing.classes.add(place.name)
        before = len(listing.files)
        for file in sorted(place.iterdir()):
            if file.name.startswith("."):
                continue
            if _is_image(file):
                listing.files.append(file)
                listing.labels.append(place.name)
            else:
                kind = "folder inside a class" if file.is_dir() else file.suffix.lower() or "no extension"
                listing.ignored[as_text(kind)] += 1
        if len(listing.files) == before:
            raise DataError(f"{place}: no images in this class; add some, or keep the folder outside of the data")
    if not listing.files:
        kinds = ", ".join(sorted(EXTENSIONS))
        raise DataError(f"{folder}: no images by class; make one folder per class, with files of {kinds} in it")
    return listing


def stamp(data: str) -> str:
    """A text that changes whenever a file of a folder, or an `.npz` file, changes; empty for other data.

    Raises:
        DataError: A folder cannot be read.
    """
    if data in catalogue.NAMED:  # whatever the current folder holds by that name, here or where a worker was started
        return ""
    path, seen = Path(data), hashlib.blake2b(digest_size=20)
    if not path.is_dir():
        return _mark(path)
    try:
        tables = sorted(file for kind in ("*.parquet", "*.arrow", "*/*.arrow") for file in path.glob(kind))
        seen.update(repr([(file.name, _mark(file)) for file in tables]).encode())
        for split, folder in splits_of(path).items():
            for place in _subfolders(folder):
                with os.scandir(place) as entries:
                    marks = sorted((entry.name, _mark(entry)) for entry in entries)
                seen.update(repr((split, place.name, marks)).encode())
    except OSError as error:
        raise DataError(
            f"{error.filename or path}: cannot be read ({error.strerror or error}); check its permissions"
        ) from None
    return seen.hexdigest()


def _mark(file: Path | os.DirEntry[str]) -> str:
    """Size and age of a file; empty if it does not exist."""
    try:
        about = file.stat()
    except OSError:
        return ""
    return f"{about.st_size} {about.st_mtime_ns}"


def _subfolders(folder: Path) -> list[Path]:
    """The subfolders that may be classes."""
    return [place for place in _all_folders(folder) if not _is_of_results(place)]


def _all_folders(folder: Path) -> list[Path]:
    return sorted(place for place in folder.iterdir() if place.is_dir() and not place.name.startswith("."))


def _is_of_results(folder: Path, depth: int = 3) -> bool:
    """Whether a folder is, or contains, a run folder: users may keep searches beside their data."""
    with os.scandir(folder) as entries:
        found = list(entries)
    return any(entry.name == "ledger.sqlite" for entry in found) or (
        depth > 0 and any(entry.is_dir() and _is_of_results(Path(entry.path), depth - 1) for entry in found)
    )


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in EXTENSIONS and not file.name.startswith(".") and file.is_file()
