"""ecoml: the best small network for the joules you have.

    import ecoml

    result = ecoml.Searcher(ecoml.load_space("cnn-small"), ecoml.CnnTraining("digits"), budget_kwh=0.001).run()
    result.recommended, result.front, result.energy

Everything public stands here; what is imported only when it is used is listed in `_LAZY`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecoml.errors import EcomlError, UsageError
    from ecoml.run.result import Result
    from ecoml.searcher.models import load_model
    from ecoml.searcher.searcher import Searcher
    from ecoml.space import Choice, Float, Int, Space, load_space
    from ecoml.strategies import Continue, End, Start
    from ecoml.training.images import CnnTraining
    from ecoml.trial import Measurement, Trial

__version__ = "0.1.0"

_LAZY = {
    "Choice": "ecoml.space",
    "CnnTraining": "ecoml.training.images",
    "Continue": "ecoml.strategies",
    "EcomlError": "ecoml.errors",
    "End": "ecoml.strategies",
    "Float": "ecoml.space",
    "Int": "ecoml.space",
    "Measurement": "ecoml.trial",
    "Result": "ecoml.run.result",
    "Searcher": "ecoml.searcher.searcher",
    "Space": "ecoml.space",
    "Start": "ecoml.strategies",
    "Trial": "ecoml.trial",
    "UsageError": "ecoml.errors",
    "load_model": "ecoml.searcher.models",
    "load_space": "ecoml.space",
}

__all__ = [
    "Choice",
    "CnnTraining",
    "Continue",
    "EcomlError",
    "End",
    "Float",
    "Int",
    "Measurement",
    "Result",
    "Searcher",
    "Space",
    "Start",
    "Trial",
    "UsageError",
    "load_model",
    "load_space",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'ecoml' has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
