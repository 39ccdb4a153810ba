"""Training executors: objects that train a configuration and return measurements, behind one protocol.

The built-in training is imported on first use, and torch when the training is first prepared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ecoml.training.base import Account, Executor, Floored, Run, Tested

if TYPE_CHECKING:
    from ecoml.training.images import CnnTraining, available_data, load_model_file

__all__ = ["Account", "CnnTraining", "Executor", "Floored", "Run", "Tested", "available_data", "load_model_file"]


def __getattr__(name: str) -> Any:
    if name not in ("CnnTraining", "available_data", "load_model_file"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ecoml.training import images

    return getattr(images, name)
