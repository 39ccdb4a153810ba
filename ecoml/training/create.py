"""Builds an executor from the user's argument or from its description in a run folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ecoml.errors import UsageError
from ecoml.metric import ACCURACY, Metric
from ecoml.training.base import Declares, Executor
from ecoml.training.function import FunctionExecutor, TrainFunction, shipped_function


def executor_of(train: TrainFunction | Executor | None) -> Executor | None:
    """The executor for a function or an executor; None for None.

    Raises:
        UsageError: It is neither, or the class of an executor.
    """
    if isinstance(train, Executor) and isinstance(train, type):
        raise UsageError(f"the training is the class {train.__name__}; give an object, as in {train.__name__}(…)")
    if train is None or isinstance(train, Executor):
        return train
    if callable(train):
        return FunctionExecutor(train)
    raise UsageError(f"the training is a {type(train).__name__}; give a function of the configuration or an executor")


def declared(given: Metric | None, executor: Executor | None) -> Metric:
    """The metric: the executor's, or else the user's.

    Raises:
        UsageError: They differ.
    """
    if not isinstance(executor, Declares):
        return ACCURACY if given is None else given
    if given is not None and given != executor.metric:
        raise UsageError(f"the training measures {executor.metric.name}; leave metric={given.name!r} out")
    return executor.metric


def create_executor(
    description: Mapping[str, Any], run: Path, data: Mapping[str, Any] | None = None, *, way_out: str | None = None
) -> Executor | None:
    """The executor that `Executor.describe` described; None for a run that was driven by `ask` and `tell`.

    Args:
        description: `{"kind": …, …}`, as stored in a run folder.
        run: The run folder, for errors.
        data: Table [data] of its `run.toml`, empty if it has none; None for an executor that will not continue a run.
        way_out: What the caller can do instead where it cannot be built; None: resume the run from Python.

    Raises:
        UsageError: The description does not suffice to build it, for example because it is a Python function.
    """
    options = dict(description)
    kind = options.pop("kind", None)
    if kind == "ask-and-tell":
        return None
    if kind == "cnn" and data is not None:
        options.setdefault("metric", data.get("score", "accuracy"))  # what it was, not what would suit now
    if kind == "cnn" and (build := shipped_function(options.get("model"))) is not None:
        options["model"] = build
    if kind == "cnn" and not isinstance(options.get("model"), str):
        from ecoml.training.images import CnnTraining

        try:
            return CnnTraining(**options)
        except TypeError as error:
            raise UsageError(f"{run}: the built-in training does not take what run.toml says: {error}") from None
    if kind == "cnn":
        instead = (
            way_out or f'continue from Python: ecoml.Searcher.resume("{run}", ecoml.CnnTraining(…, model=…)).run()'
        )
        raise UsageError(f"{run}: {options['model']} builds this run's networks, and no file contains it; {instead}")
    trained = f"your own function {options.get('name', '')}" if kind == "function" else f"an executor of kind {kind!r}"
    instead = way_out or f'continue from Python: ecoml.Searcher.resume("{run}", train).run()'
    raise UsageError(f"{run}: this run trains with {trained}, and no file contains it; {instead}")
