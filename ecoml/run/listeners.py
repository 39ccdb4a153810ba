"""Those that are told what happens in a search: trackers, callbacks of one's own. None of them can end it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, Protocol, runtime_checkable

from ecoml.errors import in_one_line
from ecoml.run.result import Result
from ecoml.trial import Trial

log = logging.getLogger("ecoml")


@runtime_checkable
class Listener(Protocol):
    """What is told of a search. It is called between two steps, and what it takes is charged as overhead.

    `on_start(result)` is optional: called once before the first trial, with the settings (and after `Searcher.resume`
    the trials so far).
    """

    def on_trial(self, trial: Trial) -> None:
        """A trial has begun (`trial.step` is 0), was suspended or taken up again, or has ended (`trial.end`)."""

    def on_measurement(self, trial: Trial) -> None:
        """A trial has a new point, `trial.curve[-1]`."""

    def on_end(self, result: Result) -> None:
        """The search is over, or was left. Nothing of this is charged."""


@runtime_checkable
class Starts(Protocol):
    """A listener that wants to know of the start."""

    def on_start(self, result: Result) -> None: ...


class Listeners:
    """Tells them all. One that raises is named once, and is told no more until the end.

    Args:
        listeners: They.
    """

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self._listeners = list(listeners)
        self._failed: set[int] = set()
        self._steps: dict[int, int] = {}  # of each trial, as they were told

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def start(self, result: Result) -> None:
        """The search begins, or goes on."""
        self._steps = {trial.number: trial.step for trial in result.trials}
        self._tell(lambda listener: listener.on_start(result) if isinstance(listener, Starts) else None)

    def heard(self, trial: Trial) -> None:
        """Something has become of a trial."""
        if trial.step > self._steps.get(trial.number, 0):
            self._steps[trial.number] = trial.step
            self._tell(lambda listener: listener.on_measurement(trial))
        else:
            self._tell(lambda listener: listener.on_trial(trial))

    def end(self, result: Result) -> None:
        """The search is over; those that failed may save what they have."""
        self._tell(lambda listener: listener.on_end(result), failed_too=True)

    def _tell(self, call: Callable[[Any], object], *, failed_too: bool = False) -> None:
        for number, listener in enumerate(self._listeners):
            if number in self._failed and not failed_too:
                continue
            try:
                call(listener)
            except Exception as error:
                if number not in self._failed:
                    log.warning("%s failed, and the search goes on without it: %s", _name(listener), in_one_line(error))
                self._failed.add(number)


def _name(listener: object) -> str:
    return type(listener).__name__
