"""The default strategy: multi-objective Bayesian optimisation of score and energy, by freeze and thaw."""

from ecoml.strategies.bayes.strategy import Bayes

__all__ = ["Bayes"]
