"""Optimisers that others built, behind the protocol of our own, so that they can be compared on the same problem.

A peer is imported only where it is used; `missing` says whether its package is there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from ecoml.errors import UsageError

__all__ = ["missing", "quiet", "require"]


def missing(package: str | None) -> bool:
    """Whether a package that a strategy needs is not installed."""
    return package is not None and find_spec(package) is None


def require(package: str) -> None:
    """Refuse to go on without a package.

    Raises:
        UsageError: It is not installed; the message says how to install it.
    """
    if missing(package):
        raise UsageError(
            f"this strategy needs the package {package}, which is not installed; pip install 'ecoml[peers]'"
        )


@contextmanager
def quiet(package: str) -> Iterator[None]:
    """Nothing that a package logs is shown: studies that it announces, and warnings of what is meant to be so here."""
    logger = logging.getLogger(package)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
