"""The strategy inside a search: its energy is charged to the optimiser, and that of its last decision is stored."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from ecoml.energy import Purpose
from ecoml.ledger import Ledger
from ecoml.searcher.setup.warm_start import WarmStart
from ecoml.strategies import Strategy
from ecoml.strategies.base import Decision, Goal, Learns, Pursues, ask_feasible
from ecoml.trial import Config, Trial

_NUMPY: Any = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
"""numpy's default handling of NaN and infinity while a strategy computes, whatever the caller has set."""


class Optimiser:
    """A strategy whose energy is charged.

    Args:
        strategy: The strategy.
        ledger: The energy account.
        interruptible: A context in which Ctrl-C may interrupt.

    Attributes:
        thinking_j: Joules of its last decision.
    """

    def __init__(self, strategy: Strategy, ledger: Ledger, interruptible: AbstractContextManager[None]) -> None:
        self.thinking_j = 0.0
        self._strategy = strategy
        self._ledger = ledger
        self._interruptible = interruptible
        self._context = contextvars.copy_context()  # numpy keeps its handling of errors in there
        self._context.run(np.seterr, **_NUMPY)

    def inform(self, goal: Goal, warm_start: WarmStart | None) -> None:
        """Tell the strategy the goal of the search, and the trials of an earlier run."""
        self._ledger.enter(Purpose.OPTIMISER)
        if isinstance(self._strategy, Pursues):
            self._strategy.pursue(goal)
        if warm_start is not None and isinstance(self._strategy, Learns):
            self._strategy.learn(warm_start.trials)
        self._ledger.enter(Purpose.OVERHEAD)

    def restore(self, trials: list[Trial]) -> None:
        """Tell the strategy the trials of an earlier session."""
        for trial in trials:
            self._strategy.tell(trial)

    def ask(self, may_start: Callable[[Config], bool]) -> Decision:
        """Its next decision, which starts only configurations that `may_start` allows."""
        before_j = self._ledger.host_j
        self._ledger.enter(Purpose.OPTIMISER)
        with self._interruptible:
            decision = self._context.run(ask_feasible, self._strategy, may_start)
        self._ledger.enter(Purpose.OVERHEAD)
        self.thinking_j = self._ledger.host_j - before_j
        return decision

    def tell(self, trial: Trial) -> None:
        """Tell the strategy the state of a trial."""
        self._ledger.enter(Purpose.OPTIMISER)
        self._context.run(self._strategy.tell, trial)
        self._ledger.enter(Purpose.OVERHEAD)
