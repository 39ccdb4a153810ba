"""Reads the small files by which Linux shows hardware."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path


def line(path: Path) -> str:
    """The text of a file of one line; empty if it cannot be read."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def matching(folders: Iterable[Path], pattern: str) -> list[Path]:
    """What has such a name in any of these folders, ordered by the numbers in the names; of one name, the first."""
    found: dict[str, Path] = {}
    for folder in folders:
        try:
            names = os.listdir(folder)  # noqa: PTH208 - names are what is matched
        except OSError:
            continue
        for name in names:
            if re.fullmatch(pattern, name):
                found.setdefault(name, folder / name)
    return [found[name] for name in sorted(found, key=lambda name: [int(n) for n in re.findall(r"\d+", name)])]
