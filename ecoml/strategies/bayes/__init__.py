"""The default strategy: multi-objective Bayesian optimisation of score and energy, which suspends and resumes
trainings.
"""

from ecoml.strategies.bayes.strategy import Bayes

__all__ = ["Bayes"]
