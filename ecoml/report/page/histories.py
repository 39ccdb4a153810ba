"""What became of a trial, in words: taken up again or not, and how it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from ecoml.trial import Trial, TrialState

_TOO_DEAR = {
    "a further step would exceed": "a further step would exceed what a training may take",
    "it took": "it took more than a training may take",
}
"""How the reasons of `--max-energy-per-training` begin, without the joules that differ from trial to trial."""


def visits(order: Sequence[int]) -> Counter[int]:
    """How many times each trial was trained, with others in between.

    Args:
        order: The trial of every measurement, in order.
    """
    return Counter(number for number, _ in groupby(order))


def ending(trial: Trial) -> str:
    """How a trial ended, or its state."""
    if trial.state is TrialState.STOPPED:
        if trial.failure == "the search ended":
            return "suspended, and not taken up again"
        reasons = (short for begins, short in _TOO_DEAR.items() if (trial.failure or "").startswith(begins))
        reason = next(reasons, trial.failure)
        return f"stopped: {reason}" if reason else "stopped by the strategy"
    return trial.state.value


def history(trial: Trial, times: int) -> str:
    """How a trial went, if it was trained so many times with others in between: `thawed twice, finished`."""
    again = times - 1
    if again < 1:
        return ending(trial)
    often = {1: "once", 2: "twice"}.get(again, f"{again} times")
    end = "then left" if trial.failure == "the search ended" else ending(trial)
    return f"thawed {often}, {end}"
