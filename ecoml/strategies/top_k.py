"""One-epoch top-k: round by round, many configurations are trained for one step, and the best few of them to the
end.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge

from ecoml.errors import UsageError
from ecoml.space import Space
from ecoml.strategies.base import Continue, Decision, Start
from ecoml.strategies.random import RandomSearch
from ecoml.trial import Trial, TrialState


class TopK:
    """The simplest use of learning curves: one comparison after the first step.

    Args:
        space: The space to search.
        seed: ≥ 0; it determines the sequence of configurations.
        many: Configurations of a round, one step each.
        best: Number of them that are trained to the end.
        default_first: Whether the first configuration is the space's default, if there is one.

    Raises:
        UsageError: `best` is less than 1 or more than `many`.
    """

    def __init__(
        self,
        space: Space,
        seed: int,
        many: Annotated[int, Ge(1)] = 64,
        best: Annotated[int, Ge(1)] = 4,
        *,
        default_first: bool = True,
    ) -> None:
        if not 1 <= best <= many:
            raise UsageError(f"of {many} configurations a round at least 1 and at most all are kept, not {best}")
        self._design = RandomSearch(space, seed, default_first=default_first)
        self._many = many
        self._best = best
        self._trials: dict[int, Trial] = {}

    def tell(self, trial: Trial) -> None:
        """Store the trial's current state."""
        self._design.tell(trial)
        self._trials[trial.number] = trial

    def ask(self) -> Decision:
        """A further configuration of the round, then the best of the round; `End` when the space is exhausted."""
        count = len(self._trials)
        if (count == 0 or count % self._many) and isinstance(new := self._design.ask(), Start):
            return Start(new.config, 1)
        number = self._kept(count)
        if number is not None:
            return Continue(number)
        new = self._design.ask()
        return Start(new.config, 1) if isinstance(new, Start) else new

    def _kept(self, count: int) -> int | None:
        """The best trial of the last round that is kept and not yet trained to its end."""
        begin = (count - 1) // self._many * self._many
        round_ = [trial for number, trial in sorted(self._trials.items()) if number >= begin and trial.curve]
        round_.sort(key=lambda trial: -trial.curve[0].utility)
        waiting = [t.number for t in round_[: self._best] if t.state is TrialState.SUSPENDED]
        return waiting[0] if waiting else None
