"""The limits on networks, of their size and of their predictions: those beyond a limit are never trained.

Known before training: the number of parameters, the least cost of the arithmetic of a prediction, and the measured cost
of smaller networks of the same kind.
"""

from __future__ import annotations

from collections.abc import Callable

from ecoml.errors import UsageError
from ecoml.limits import Limits
from ecoml.training.base import Executor, Foresees, Pooled, Sized, Used, Work
from ecoml.trial import Config, Trial

Parameters = Callable[[Config], int]
"""Returns the number of trainable parameters of a configuration's network."""

_CLEARLY = 1.1
"""Factor by which a measured cost must exceed its limit to count for other networks; measurements differ a little."""

AFTERWARDS = "ecoml report RUN --max-latency MS --max-inference-energy J"
"""Chooses among the models that were measured at the end of a search, when nothing else ran."""


class SizeLimit:
    """Whether configurations describe networks that are small enough.

    Args:
        most: The largest number of parameters; None: no limit.
        parameters: Counts them before the network is built.

    Attributes:
        smallest: Parameters of the smallest network so far; None before the first.
        excluded: Whether any network was too large.
    """

    def __init__(self, most: int | None, parameters: Parameters | None) -> None:
        self.most = most
        self.smallest: int | None = None
        self.excluded = False
        self._parameters = parameters

    def __call__(self, config: Config) -> bool:
        """Whether the network has at most `most` parameters.

        Raises:
            UsageError: The function that counts them fails, or does not return a number.
        """
        if self.most is None or self._parameters is None:
            return True
        try:
            number = int(self._parameters(config))
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(
                f"parameters({dict(config)!r:.120}) raised {type(error).__name__}: {error}; it must"
                " return the number of trainable parameters"
            ) from error
        self.smallest = number if self.smallest is None else min(self.smallest, number)
        self.excluded |= number > self.most
        return number <= self.most

    @property
    def details(self) -> dict[str, int]:
        """The details for `SearchEnd` that concern the limit."""
        return {"excluded_above": self.most} if self.excluded and self.most is not None else {}

    def refusal(self) -> UsageError:
        """The error for a limit under which no network could be trained."""
        return UsageError(
            f"max_parameters is {self.most:,}, and no network so small was found: the smallest of those proposed has"
            f" {self.smallest:,}; give a larger max_parameters=, or a space with smaller"
            " networks"
        )


def size_limit(most: int | None, executor: Executor | None, parameters: Parameters | None) -> SizeLimit:
    """The limit, with the parameters counted by `parameters` or by the executor.

    Raises:
        UsageError: There is a limit, and neither of them can count, or `parameters` is no function.
    """
    if parameters and not callable(parameters):
        raise UsageError(f"parameters is {parameters!r}; give a function")
    count = parameters or (executor.parameters if isinstance(executor, Sized) else None)
    if most is not None and count is None:
        raise UsageError(
            "max_parameters needs the size of a network before it is trained, which only the built-in training knows;"
            " give a function that counts: parameters=lambda config: …"
        )
    return SizeLimit(most, count)


class UseLimit:
    """Whether a configuration may satisfy the limits on predictions.

    Args:
        limits: The limits on one prediction.
        executor: Measures networks, and may know a lower bound of their cost.
    """

    def __init__(self, limits: Limits, executor: Executor | None) -> None:
        self._limits = limits
        self._foresees = executor if limits.of_use and isinstance(executor, Foresees) else None
        self._too_dear: list[Work] = []

    def __call__(self, config: Config) -> bool:
        """Whether a configuration may satisfy the limits, as far as is known."""
        work = None if self._foresees is None else self._foresees.work(config)
        if work is None:
            return True
        most_s, most_j = self._limits.max_latency_s, self._limits.max_inference_energy_j
        if (most_s is not None and work.least_s > most_s) or (most_j is not None and work.least_j > most_j):
            return False
        return not any(work.no_less_than(other) for other in self._too_dear)

    def learn(self, trial: Trial) -> None:
        """Store a measurement: if it clearly exceeds a limit, networks of at least this size are not trained."""
        cost = trial.cost_of_use
        if cost is None or self._limits.use_share(*cost) <= _CLEARLY or self._foresees is None:
            return
        if (work := self._foresees.work(trial.config)) is not None:
            self._too_dear.append(work)


def refuse_untried(limits: Limits, executor: Executor | None) -> None:
    """Check that networks can be measured while nothing else runs on their device, if there are limits on predictions.

    Raises:
        UsageError: They cannot.
    """
    if limits.of_use and not isinstance(executor, Used):
        raise UsageError(
            "max_latency_s and max_inference_energy_j need a training whose predictions can be measured, such as the"
            " built-in one; leave them out, and give slow networks a worse score instead"
        )
    if limits.of_use and isinstance(executor, Pooled) and len(executor.gpus()) > 1:
        raise UsageError(
            "trainings on other GPUs share the processor that starts each prediction, so that a prediction measured"
            " beside them would take too long: with max_latency_s or max_inference_energy_j name one device, or leave"
            f" them out and choose when the search has ended: {AFTERWARDS}"
        )
