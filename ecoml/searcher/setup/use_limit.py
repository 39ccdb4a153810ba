"""The limits on use: networks that would take too much for an image are, as far as that is known, never trained.

Known beforehand is what the arithmetic takes at least, and what a smaller network of the same kind was found to take.
"""

from __future__ import annotations

from ecoml.errors import UsageError
from ecoml.limits import Limits
from ecoml.training.base import Executor, Foresees, Pooled, Used, Work
from ecoml.trial import Config, Trial

_CLEARLY = 1.1
"""A network takes clearly too much if it takes so many times what it may: figures of the next try differ a little."""


class UseLimit:
    """Whether configurations describe networks that may be cheap enough to use.

    Args:
        limits: What an image may take.
        executor: Tries networks, and may know something of them beforehand.
    """

    def __init__(self, limits: Limits, executor: Executor | None) -> None:
        self._limits = limits
        self._foresees = executor if limits.of_use and isinstance(executor, Foresees) else None
        self._too_dear: list[Work] = []

    def __call__(self, config: Config) -> bool:
        """Whether it is worth training, as far as is known."""
        work = None if self._foresees is None else self._foresees.work(config)
        if work is None:
            return True
        most_s, most_j = self._limits.max_latency_s, self._limits.max_inference_energy_j
        if (most_s is not None and work.least_s > most_s) or (most_j is not None and work.least_j > most_j):
            return False
        return not any(work.no_less_than(other) for other in self._too_dear)

    def learn(self, trial: Trial) -> None:
        """A network was tried: what does no less than it is not to be trained, if it takes clearly too much."""
        if trial.usage is None or self._limits.use_share(trial.usage.single) <= _CLEARLY or self._foresees is None:
            return
        if (work := self._foresees.work(trial.config)) is not None:
            self._too_dear.append(work)


def refuse_untried(limits: Limits, executor: Executor | None) -> None:
    """Refuse limits on use where networks cannot be tried while nothing else runs.

    Raises:
        UsageError: So it is.
    """
    if limits.of_use and not isinstance(executor, Used):
        raise UsageError(
            "max_latency_s and max_inference_energy_j need networks that can be tried in use, as those of the built-in"
            " training can; leave them out, and give a network that is too slow a worse score"
        )
    if limits.of_use and isinstance(executor, Pooled) and len(executor.gpus()) > 1:
        raise UsageError(
            "networks are tried in use while nothing else runs: with max_latency_s or max_inference_energy_j name one"
            " device"
        )
