"""Loads functions of the user that a strategy file names."""

from __future__ import annotations

import runpy
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

from ecoml.errors import UsageError


def function_of(name: str) -> Callable[..., Any]:
    """The function `module:function`, or `file.py:function` with a path from the working directory.

    Raises:
        UsageError: There is no such function.
    """
    of, _, function = name.rpartition(":")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # BoTorch uses parts of torch that are declared deprecated
            found = runpy.run_path(of)[function] if of.endswith(".py") else getattr(import_module(of), function)
    except Exception as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UsageError(f"{name}: cannot be imported ({said}); give module:function, or file.py:function") from None
    if not callable(found):
        raise UsageError(f"{name}: is a {type(found).__name__}, not a function")
    return found  # type: ignore[no-any-return]
