"""Where the files that come with ecoml lie: `search_spaces/` and `baselines/`."""

from __future__ import annotations

from pathlib import Path

from ecoml.errors import UsageError


def shipped(folder: str, *, package: Path = Path(__file__).parent) -> Path:
    """The folder of that name: inside the package once it is installed, beside it in the source tree.

    Raises:
        UsageError: It is in neither place, so the installation is incomplete.
    """
    for parent in (package, package.parent):
        if (parent / folder).is_dir():
            return parent / folder
    raise UsageError(f"the folder {folder!r} is missing from this installation of ecoml; install ecoml again")
