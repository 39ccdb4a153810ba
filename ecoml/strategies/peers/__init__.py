"""Other projects' optimisers behind ecoml's protocol, so that they can be compared on the same problem.

A peer is imported only when it is used; `missing` says whether its package is not installed.
"""

from __future__ import annotations

import logging
import random
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

import numpy as np

from ecoml.errors import UsageError
from ecoml.strategies.quiet import one_thread

__all__ = ["alone", "missing", "quiet", "remedy", "require"]


def missing(package: str | None) -> bool:
    """Whether a package that a strategy needs is not installed."""
    return package is not None and find_spec(package) is None


def remedy(package: str) -> str:
    """How to install a package that a strategy needs."""
    extra = "syne-tune" if package in ("syne_tune", "huggingface_hub") else "peers"
    return f"pip install 'ecoml[{extra}]'"


def require(package: str) -> None:
    """Check that a package is installed.

    Raises:
        UsageError: It is not installed; the message says how to install it.
    """
    if missing(package):
        raise UsageError(f"this strategy needs the package {package}, which is not installed; {remedy(package)}")


@contextmanager
def quiet(package: str) -> Iterator[None]:
    """Suppress a package's log messages: announcements of studies, and warnings that do not apply here."""
    logger = logging.getLogger(package)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def alone(package: str, entropy: Sequence[int]) -> Iterator[None]:
    """A context for calls of a package that uses the global random numbers: they are seeded, and restored on exit.

    The package is quiet, its warnings are suppressed, and BLAS uses one thread.
    """
    seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
    python, numpy = random.getstate(), np.random.get_state()
    with quiet(package), warnings.catch_warnings(), one_thread():
        warnings.simplefilter("ignore")
        random.seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
