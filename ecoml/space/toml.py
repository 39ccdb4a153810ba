"""Reading a TOML file that a user may have written."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from ecoml.errors import UsageError


def read_toml(path: Path, error: type[UsageError] = UsageError, *, if_missing: str = "") -> dict[str, Any]:
    """The content of a TOML file.

    Args:
        path: The file.
        error: The class of errors.
        if_missing: Added to the message if there is no such file.

    Raises:
        UsageError: The file cannot be read, or is not TOML. The message is one line: the path, and the way out.
    """
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))  # -sig: some editors begin a file with a mark
    except FileNotFoundError:
        raise error(f"{path}: there is no such file{if_missing}") from None
    except IsADirectoryError:
        raise error(f"{path}: this is a folder; name a .toml file in it") from None
    except OSError as problem:
        raise error(f"{path}: it cannot be read ({problem.strerror}); check its permissions") from None
    except UnicodeDecodeError as problem:
        raise error(f"{path}: byte {problem.start} is not UTF-8; save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as problem:
        raise error(f"{path}: not TOML: {problem}; correct the file there") from None
