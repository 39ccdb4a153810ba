"""BoTorch's multi-objective Bayesian optimisation as it comes."""

from ecoml.strategies.botorch.strategy import Nehvi

__all__ = ["Nehvi"]
