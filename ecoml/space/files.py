"""Spaces as TOML files: the shipped ones, found by name, and the user's own, found by path."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from ecoml.errors import SpaceError, did_you_mean
from ecoml.space.shipped import or_shipped, shipped
from ecoml.space.space import Space


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

    return space_of({"name": path.stem, **_read(path)}, where=os.fspath(path))


def _read(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))  # -sig: some editors begin a file with a mark
    except FileNotFoundError:
        raise SpaceError(f"{path}: there is no such file; known spaces are {', '.join(available_spaces())}") from None
    except IsADirectoryError:
        raise SpaceError(f"{path}: this is a folder; name a .toml file in it") from None
    except OSError as error:
        raise SpaceError(f"{path}: it cannot be read ({error.strerror}); check its permissions") from None
    except UnicodeDecodeError as error:
        raise SpaceError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SpaceError(f"{path}: not TOML: {error}; correct the file there") from None
