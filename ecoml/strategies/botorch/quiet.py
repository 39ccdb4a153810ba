"""BoTorch, quietly: one thread, no warnings, no compiler, and random numbers of its own."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its imports use parts of torch that torch has declared deprecated
    from botorch.acquisition.multi_objective import logei
    from botorch.models import SingleTaskGP
    from botorch.models.utils.gpytorch_modules import get_gaussian_likelihood_with_lognormal_prior
    from botorch.optim.fit import fit_gpytorch_mll_scipy
    from botorch.sampling.normal import SobolQMCNormalSampler
    from gpytorch.likelihoods import FixedNoiseGaussianLikelihood
    from gpytorch.mlls import ExactMarginalLogLikelihood

__all__ = [
    "ExactMarginalLogLikelihood",
    "FixedNoiseGaussianLikelihood",
    "SingleTaskGP",
    "SobolQMCNormalSampler",
    "fit_gpytorch_mll_scipy",
    "get_gaussian_likelihood_with_lognormal_prior",
    "logei",
    "thinking",
]


@contextmanager
def thinking(seed: int) -> Iterator[None]:
    """Within it torch runs on one thread of the CPU with its own random state; all is as before afterwards.

    A second thread gains nothing on matrices this small, and loses a factor of fifty where another process wants the
    core. BoTorch would compile a C++ kernel before its first log-hypervolume: half a minute, and for ever if a compile
    was once killed; within this context it believes that it has tried in vain. Numerical warnings tell a user nothing
    that could be acted upon: what they announce (jitter, an early end of a fit) is harmless to a proposal.

    A training function that yields within `torch.no_grad()`, `inference_mode()` or `autocast()` leaves these on for
    whoever runs meanwhile, so they are undone here, as is a default device.
    """
    threads = torch.get_num_threads()
    kernel = {name: getattr(logei, name) for name in ("_C", "_load_attempted") if hasattr(logei, name)}
    with ExitStack() as stack:
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
        logei._C, logei._load_attempted = None, True
        try:
            yield
        finally:
            for name, value in kernel.items():
                setattr(logei, name, value)
            torch.set_num_threads(threads)
