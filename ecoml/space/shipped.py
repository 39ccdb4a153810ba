"""The folders that ship with ecoml: `search_spaces/` and `baselines/`."""

from __future__ import annotations

from pathlib import Path

from ecoml.errors import UsageError


def shipped(folder: str, *, package: Path = Path(__file__).parents[1]) -> Path:
    """The folder of that name: inside the package if it is installed, beside it in the source tree.

    Raises:
        UsageError: The folder is in neither place, so the installation is incomplete.
    """
    for parent in (package, package.parent):
        if (parent / folder).is_dir():
            return parent / folder
    raise UsageError(f"the folder {folder!r} is missing from this installation of ecoml; install ecoml again")


def or_shipped(path: Path) -> Path:
    """The path itself if it exists, else the shipped file or folder of that name: `baselines/`,
    `search_spaces/cnn.toml`.
    """
    if path.is_absolute() or path.exists() or path.parts[:1] not in (("baselines",), ("search_spaces",)):
        return path
    ours = shipped(path.parts[0]).joinpath(*path.parts[1:])
    return ours if ours.exists() else path
