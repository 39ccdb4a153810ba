"""The user's folders, by the XDG base directory specification, and files in them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def cache_folder() -> Path:
    """Files that can be made again: downloads, decoded images, answers of servers."""
    return _of_user("XDG_CACHE_HOME", ".cache")


def config_folder() -> Path:
    """The user's settings."""
    return _of_user("XDG_CONFIG_HOME", ".config")


def state_folder() -> Path:
    """Files that a later session needs."""
    return _of_user("XDG_STATE_HOME", ".local/state")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name beside a file or folder, for the block to write; it then becomes the path. Whoever looks sees the old
    content or all of the new one. The path's folder is made if need be.

    Raises:
        OSError: It cannot be written; nothing is left of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        yield unfinished
        unfinished.replace(path)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        with suppress(OSError):
            unfinished.unlink()
        raise


def write_whole(path: Path, text: str) -> None:
    """Write a file as `whole` does.

    Raises:
        OSError: It cannot be written; nothing is left of it.
    """
    try:
        with whole(path) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
    except OSError as error:
        error.filename = str(path)  # the caller knows no other
        raise


def expanded(path: str | Path) -> Path:
    """The path without `~`; unchanged if that names no home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def is_utf8(path: str | Path) -> bool:
    """Whether the absolute path is text; other names of files fit into no database, page or JSON."""
    try:
        os.fsencode(Path(path).absolute()).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def as_text(name: str) -> str:
    """Text with the names of files in it, whose bytes that are not UTF-8 become escapes: \\udce9."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _of_user(variable: str, below: str) -> Path:
    given = os.environ.get(variable)
    return (Path(given) if given else _home() / below) / "ecoml"


def _home() -> Path:
    """The home folder; without one, as in a container under a bare user number, a folder for temporary files.

    Raises:
        OSError: That folder cannot be made, or belongs to another user.
    """
    try:
        return Path.home()
    except RuntimeError:
        home = Path(tempfile.gettempdir()) / f"ecoml-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    if home.stat().st_uid != os.getuid():
        raise PermissionError(f"{home} belongs to another user: set HOME to a folder of your own")
    return home
