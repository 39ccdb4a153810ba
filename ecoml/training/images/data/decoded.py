"""Folders of images, decoded once per machine: uint8 arrays in the user's cache folder, mapped into memory.

An entry is a folder named by a hash of everything that determines its content (names, classes and bytes of the files,
the decoder), so it is never out of date. It is complete when it appears, because it is renamed into place, even if
several processes make it at once. All entries together take at most 20 GiB; the least recently used are deleted first.
If nothing can be written, nothing is cached. `joblib.Memory` is not used: it would unpickle cached files, and fails on
a full disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import PIL

from ecoml.outside.folders import cache_folder, whole
from ecoml.training.images.data.dataset import ImageReading, Images

LARGEST_BYTES = 20 * 2**30
_FORMAT = "3"
_READING = "reading.json"


def digest(labelled: Mapping[str, Iterable[tuple[Path, str]]]) -> str:
    """The hash of a folder's content: files and their labels by split, in order."""
    content = hashlib.blake2b(digest_size=20)
    for split in sorted(labelled):
        for file, label in labelled[split]:
            data = file.read_bytes()
            content.update(repr((split, label, file.name, len(data))).encode())
            content.update(data)
    return content.hexdigest()


def find(content: str, splits: Iterable[str]) -> tuple[dict[str, Images], ImageReading] | None:
    """Images N×H×W×C by split, and how they were changed, if they are cached for this content."""
    folder = _place() / _key(content)
    try:
        found = {split: np.load(folder / f"{split}.npy", mmap_mode="r") for split in splits}
        reading = ImageReading.of(json.loads((folder / _READING).read_text(encoding="utf-8")))
        os.utime(folder)
    except (OSError, ValueError, EOFError, KeyError, TypeError):  # not there, or damaged: decoded again
        shutil.rmtree(folder, ignore_errors=True)
        return None
    return found, reading


def keep(
    content: str, decoded: Mapping[str, Images], reading: ImageReading, largest_bytes: int = LARGEST_BYTES
) -> None:
    """Cache the images N×H×W×C of this content by split, and how they were changed, if there is room.

    Args:
        content: The hash of the content.
        decoded: The images.
        reading: How they were changed.
        largest_bytes: The most that all entries together may take.
    """
    needed = sum(images.nbytes for images in decoded.values())
    if needed > largest_bytes:
        return
    place = _place()
    with contextlib.suppress(OSError):  # a full disk, or another process was faster
        place.mkdir(parents=True, exist_ok=True)
        _make_room(place, largest_bytes - needed)
        with whole(place / _key(content)) as unfinished:
            unfinished.mkdir(mode=0o700)
            for split, images in decoded.items():
                np.save(unfinished / f"{split}.npy", images)
            (unfinished / _READING).write_text(json.dumps(asdict(reading)), encoding="utf-8")


def _key(content: str) -> str:
    return hashlib.blake2b(f"{content} {_FORMAT} {PIL.__version__}".encode(), digest_size=20).hexdigest()


def _place() -> Path:
    return cache_folder() / "decoded"


def _make_room(place: Path, most_bytes: int) -> None:
    """Delete entries until the others take no more than this."""
    entries = [(folder.stat().st_mtime, folder) for folder in place.iterdir() if folder.is_dir()]
    sizes = {folder: sum(file.stat().st_size for file in folder.iterdir()) for _, folder in entries}
    for _, folder in sorted(entries):
        if sum(sizes.values()) <= most_bytes:
            return
        shutil.rmtree(folder, ignore_errors=True)
        del sizes[folder]
