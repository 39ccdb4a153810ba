"""Spaces as TOML files: the shipped ones, found by name, and the user's own, found by path."""

from __future__ import annotations

import os
from pathlib import Path

from ecoml.errors import SpaceError, did_you_mean
from ecoml.space.shipped import or_shipped, shipped
from ecoml.space.space import Space
from ecoml.space.toml import read_toml


def available_spaces() -> tuple[str, ...]:
    """Names of the shipped spaces, sorted."""
    return tuple(sorted(path.stem for path in shipped("search_spaces").glob("*.toml")))


def load_space(name_or_path: str | os.PathLike[str]) -> Space:
    """The shipped space of a name, or the space in a TOML file.

    Args:
        name_or_path: One of `available_spaces()`, or a path. A string that equals a name is never taken for a path.

    Raises:
        SpaceError: There is no such space or file, or the file does not describe a space.
    """
    names = available_spaces()
    if name_or_path in names:
        path = shipped("search_spaces") / f"{name_or_path}.toml"
    else:
        path = or_shipped(Path(name_or_path))
        if name_or_path == path.name and path.suffix != ".toml" and not path.is_file():
            raise SpaceError(
                f"there is no search space {str(name_or_path)!r} (give a name, or the path of a .toml file);"
                f" {did_you_mean(str(name_or_path), names)}"
            )
    from ecoml.space.schema import space_of  # pydantic costs a fifth of a second, and only files need it

    tables = read_toml(path, SpaceError, if_missing=f"; known spaces are {', '.join(names)}")
    return space_of({"name": path.stem, **tables}, where=os.fspath(path))
