"""The user's own training function: a generator, or a function that returns one score."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

from ecoml.errors import TrainingError
from ecoml.space import Space
from ecoml.training.base import Account, Run
from ecoml.trial import Measurement, Trial

TrainFunction = Callable[[dict[str, Any]], Any]
"""A function that takes a configuration and yields (or returns) a score or a `Measurement`."""


class FunctionExecutor:
    """Runs a training function; a suspended generator is a suspended trial."""

    def __init__(self, function: TrainFunction) -> None:
        self.function = function

    def prepare(self, space: Space) -> None:
        """Do nothing: a function loads its own data, and accepts any space."""

    def start(self, trial: Trial, account: Account) -> Run:  # noqa: ARG002 - a function looks at no budget
        """A run of the function; the function is called when the run is first advanced."""
        return FunctionRun(self.function, trial)

    def describe(self) -> Mapping[str, Any]:
        """The function's name, for people: in general the name does not suffice to find the function again."""
        return {"kind": "function", "name": name_of(self.function)}


class FunctionRun:
    """One call of the training function."""

    def __init__(self, function: TrainFunction, trial: Trial) -> None:
        self._function = function
        self._trial = trial
        self._values: Iterator[Any] | None = None

    def __next__(self) -> Measurement:
        if self._values is None:
            try:
                returned = self._function(dict(self._trial.config))
            except StopIteration as error:  # which would be taken for the end of the training
                escaped = RuntimeError("a StopIteration left the function: next() met an iterator that has ended")
                raise escaped.with_traceback(error.__traceback__) from error
            if not isinstance(returned, Iterator):
                self._values = iter(())
                return replace(self._measurement(returned), last=True)
            self._values = returned
        return self._measurement(next(self._values))

    def close(self) -> None:
        """Close the generator, so that its `finally` blocks run."""
        if inspect.isgenerator(self._values):
            self._values.close()

    def _measurement(self, value: Any) -> Measurement:
        if isinstance(value, Measurement):
            return value
        try:
            return Measurement(value)
        except TrainingError:
            raise TrainingError(
                f"trial {self._trial.number}: {name_of(self._function)} gave {value!r:.60} ({type(value).__name__});"
                " yield (or return) a score or an ecoml.Measurement"
            ) from None


def name_of(function: TrainFunction) -> str:
    """`module:name` of a training function."""
    inner = _unwrap(function)
    name = getattr(inner, "__qualname__", type(inner).__name__)
    return f"{getattr(inner, '__module__', '?')}:{name}"


def shipped_function(name: object) -> Any:
    """The function of this `module:name` if it comes with ecoml and is found again by its name; else None."""
    module, _, inner = str(name or "").partition(":")
    return getattr(import_module(module), inner) if module.startswith("ecoml.") else None


def _unwrap(function: TrainFunction) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.unwrap(function)
