"""Listeners of a search: trackers, and the user's own callbacks. They cannot end the search."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, Protocol, runtime_checkable

from ecoml.errors import UsageError, in_one_line
from ecoml.run.result import Result
from ecoml.trial import Trial

log = logging.getLogger("ecoml")


@runtime_checkable
class Listener(Protocol):
    """An object that is told about a search. It is called between two steps, and its energy is charged as overhead.

    `on_start(result)` is optional: called once before the first trial, with the settings (and after `Searcher.resume`
    the trials so far).
    """

    def on_trial(self, trial: Trial) -> None:
        """A trial has started (`trial.step` is 0), was suspended or resumed, or has ended (`trial.end`)."""

    def on_measurement(self, trial: Trial) -> None:
        """A trial has a new point, `trial.curve[-1]`."""

    def on_end(self, result: Result) -> None:
        """The search has ended, or was interrupted. The energy of this call is not charged."""


@runtime_checkable
class Starts(Protocol):
    """A listener with `on_start`."""

    def on_start(self, result: Result) -> None: ...


class Listeners:
    """Calls all listeners. One that raises an error is named once, and not called again until the end.

    Args:
        listeners: The listeners, or one.

    Raises:
        UsageError: One of them is no listener.
    """

    def __init__(self, listeners: Listener | Iterable[Listener]) -> None:
        if isinstance(listeners, Iterable) and not isinstance(listeners, Listener | str):
            self._listeners: list[Any] = list(listeners)
        else:
            self._listeners = [listeners]
        for listener in self._listeners:
            if isinstance(listener, type) or not isinstance(listener, Listener):
                raise UsageError(
                    f"the listener is {listener!r:.60}; give an object with on_trial, on_measurement and on_end, as in"
                    " listeners=[Bell()]"
                )
        self._failed: set[int] = set()
        self._steps: dict[int, int] = {}  # of each trial, as they were told

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def start(self, result: Result) -> None:
        """The search starts, or continues."""
        self._steps = {trial.number: trial.step for trial in result.trials}
        self._tell(lambda listener: listener.on_start(result) if isinstance(listener, Starts) else None)

    def heard(self, trial: Trial) -> None:
        """A trial has changed."""
        if trial.step > self._steps.get(trial.number, 0):
            self._steps[trial.number] = trial.step
            self._tell(lambda listener: listener.on_measurement(trial))
        else:
            self._tell(lambda listener: listener.on_trial(trial))

    def end(self, result: Result) -> None:
        """The search has ended; listeners that failed may save what they have."""
        self._tell(lambda listener: listener.on_end(result), failed_too=True)

    def _tell(self, call: Callable[[Any], object], *, failed_too: bool = False) -> None:
        for number, listener in enumerate(self._listeners):
            if number in self._failed and not failed_too:
                continue
            try:
                call(listener)
            except Exception as error:
                if number not in self._failed:
                    log.warning(
                        "%s failed, and the search continues without it: %s", _name(listener), in_one_line(error)
                    )
                self._failed.add(number)


def _name(listener: object) -> str:
    return type(listener).__name__
