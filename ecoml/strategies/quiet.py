"""Computes on one thread, without warnings, and with its own random numbers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from typing import Any


def one_thread() -> AbstractContextManager[Any]:
    """A context in which BLAS uses one thread: for a few hundred rows a second thread gains nothing."""
    limit: AbstractContextManager[Any] = _blas().limit(limits=1, user_api="blas")
    return limit


@cache
def _blas() -> Any:
    import scipy.linalg  # noqa: F401 - brings a BLAS of its own, which has to be there to be found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def thinking(seed: int) -> Iterator[None]:
    """A context in which torch runs on one CPU thread with its own random state; it restores everything on exit.

    A second thread gains nothing on matrices this small, and loses a factor of fifty if another process needs the core.
    The suppressed warnings are not useful to a user: BoTorch imports deprecated parts of torch, and numerical warnings
    (jitter, an early end of a fit) do not affect a proposal.

    A training function that yields within `torch.no_grad()`, `inference_mode()` or `autocast()` leaves these on for
    other code, so they are undone here, as is a default device.
    """
    import torch

    threads = torch.get_num_threads()
    with ExitStack() as stack:
        stack.enter_context(one_thread())
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.autocast("cpu", enabled=False))
        if torch.get_default_device().type != "cpu":  # this context is slow, and hardly ever needed
            stack.enter_context(torch.device("cpu"))
        warnings.simplefilter("ignore")
        torch.set_num_threads(1)
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed the GPUs as well
        try:
            yield
        finally:
            torch.set_num_threads(threads)
