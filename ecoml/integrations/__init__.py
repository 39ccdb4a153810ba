"""ecoml in the tools that people have: energy budgets for trainers, and trackers of searches.

    LightningBudget, TransformersBudget, KerasBudget     callbacks that stop a training at its energy budget
    MLflowTracker, WandbTracker, TensorBoardTracker      listeners that write a search down

Each needs its library, which is imported when the name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ecoml.errors import UsageError

if TYPE_CHECKING:
    from ecoml.integrations.keras import KerasBudget
    from ecoml.integrations.lightning import LightningBudget
    from ecoml.integrations.transformers import TransformersBudget

_LAZY = {"KerasBudget": "keras", "LightningBudget": "lightning", "TransformersBudget": "transformers"}

__all__ = ["KerasBudget", "LightningBudget", "TransformersBudget"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'ecoml.integrations' has no attribute {name!r}")
    try:
        value = getattr(import_module(f"ecoml.integrations.{_LAZY[name]}"), name)
    except ModuleNotFoundError:
        raise UsageError(f"{name} needs {_LAZY[name]}: pip install {_LAZY[name]}") from None
    globals()[name] = value
    return value
