"""BoTorch's multi-objective Bayesian optimisation, unchanged."""

from ecoml.strategies.botorch.strategy import Nehvi

__all__ = ["Nehvi"]
