"""Where the files that come with ecoml lie: `search_spaces/` and `baselines/`."""

from __future__ import annotations

from pathlib import Path

from ecoml.errors import UsageError


def shipped(folder: str, *, package: Path = Path(__file__).parents[1]) -> Path:
    """The folder of that name: inside the package once it is installed, beside it in the source tree.

    Raises:
        UsageError: It is in neither place, so the installation is incomplete.
    """
    for parent in (package, package.parent):
        if (parent / folder).is_dir():
            return parent / folder
    raise UsageError(f"the folder {folder!r} is missing from this installation of ecoml; install ecoml again")


def or_shipped(path: Path) -> Path:
    """A path; where nothing is there, what comes with ecoml under that name: `baselines/`, `search_spaces/cnn.toml`."""
    if path.is_absolute() or path.exists() or path.parts[:1] not in (("baselines",), ("search_spaces",)):
        return path
    ours = shipped(path.parts[0]).joinpath(*path.parts[1:])
    return ours if ours.exists() else path
