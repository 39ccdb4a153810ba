"""ecoml inside other tools: energy budgets for trainers, and trackers of searches.

LightningBudget, TransformersBudget, KerasBudget     callbacks that stop a training at its energy budget
MLflowTracker, WandbTracker, TensorBoardTracker      listeners that record a search

Each needs its library, which is imported when the name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ecoml.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from ecoml.integrations.keras import KerasBudget
    from ecoml.integrations.lightning import LightningBudget
    from ecoml.integrations.mlflow import MLflowTracker
    from ecoml.integrations.tensorboard import TensorBoardTracker
    from ecoml.integrations.transformers import TransformersBudget
    from ecoml.integrations.wandb import WandbTracker
    from ecoml.run.listeners import Listener

_LAZY = {
    "KerasBudget": "keras",
    "LightningBudget": "lightning",
    "MLflowTracker": "mlflow",
    "TensorBoardTracker": "tensorboard",
    "TransformersBudget": "transformers",
    "WandbTracker": "wandb",
}
"""Name → the module here, which has the name of the library it needs."""

TRACKERS = {"mlflow": "MLflowTracker", "tensorboard": "TensorBoardTracker", "wandb": "WandbTracker"}

__all__ = [
    "KerasBudget",
    "LightningBudget",
    "MLflowTracker",
    "TensorBoardTracker",
    "TransformersBudget",
    "WandbTracker",
    "create_tracker",
]


def create_tracker(name: str) -> Listener:
    """The tracker that `--track` names, configured by its own environment variables.

    Raises:
        UsageError: There is no tracker of this name, or its library is not installed.
    """
    if name not in TRACKERS:
        raise UsageError(f"there is no tracker {name!r}; {did_you_mean(name, TRACKERS)}")
    tracker: Listener = __getattr__(TRACKERS[name])()
    return tracker


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'ecoml.integrations' has no attribute {name!r}")
    try:
        value = getattr(import_module(f"ecoml.integrations.{_LAZY[name]}"), name)
    except ModuleNotFoundError:
        raise UsageError(f"{name} needs {_LAZY[name]}: pip install {_LAZY[name]}") from None
    globals()[name] = value
    return value
