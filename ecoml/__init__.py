"""ecoml: the best small network for the joules you have.

    import ecoml

    result = ecoml.search(ecoml.load_space("cnn-small"), ecoml.CnnTraining("digits"), budget_kwh=0.001)
    result.recommended, result.front, result.energy

This module holds every public name. The names in `_LAZY` are imported on first use, because their imports are slow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ecoml.version import __version__ as __version__

if TYPE_CHECKING:
    from ecoml.api import search
    from ecoml.budget import EnergyBudget, energy_budget
    from ecoml.errors import BudgetExhausted, EcomlError, UsageError
    from ecoml.limits import Limits
    from ecoml.meter import Meter, open_meter
    from ecoml.metric import Metric
    from ecoml.models import Model, Prediction, load_model
    from ecoml.run.result import Result
    from ecoml.searcher.searcher import Searcher
    from ecoml.space import Choice, Float, Int, Space, load_space
    from ecoml.strategies import Continue, End, Start, Strategy
    from ecoml.strategies.bayes import Bayes
    from ecoml.training.base import Executor
    from ecoml.training.images import CnnTraining
    from ecoml.trial import Measurement, Trial

_LAZY = {
    "Bayes": "ecoml.strategies.bayes",
    "BudgetExhausted": "ecoml.errors",
    "Choice": "ecoml.space",
    "CnnTraining": "ecoml.training.images",
    "Continue": "ecoml.strategies",
    "EcomlError": "ecoml.errors",
    "End": "ecoml.strategies",
    "EnergyBudget": "ecoml.budget",
    "Executor": "ecoml.training.base",
    "Float": "ecoml.space",
    "Int": "ecoml.space",
    "Limits": "ecoml.limits",
    "Measurement": "ecoml.trial",
    "Meter": "ecoml.meter",
    "Metric": "ecoml.metric",
    "Model": "ecoml.models",
    "Prediction": "ecoml.models",
    "Result": "ecoml.run.result",
    "Searcher": "ecoml.searcher.searcher",
    "Space": "ecoml.space",
    "Start": "ecoml.strategies",
    "Strategy": "ecoml.strategies",
    "Trial": "ecoml.trial",
    "UsageError": "ecoml.errors",
    "energy_budget": "ecoml.budget",
    "load_model": "ecoml.models",
    "load_space": "ecoml.space",
    "open_meter": "ecoml.meter",
    "search": "ecoml.api",
}

__all__ = [
    "Bayes",
    "BudgetExhausted",
    "Choice",
    "CnnTraining",
    "Continue",
    "EcomlError",
    "End",
    "EnergyBudget",
    "Executor",
    "Float",
    "Int",
    "Limits",
    "Measurement",
    "Meter",
    "Metric",
    "Model",
    "Prediction",
    "Result",
    "Searcher",
    "Space",
    "Start",
    "Strategy",
    "Trial",
    "UsageError",
    "energy_budget",
    "load_model",
    "load_space",
    "open_meter",
    "search",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'ecoml' has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
