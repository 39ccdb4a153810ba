"""Why a trial or a search ended: a member of an enumeration, with the few numbers that belong to it.

These values are stored, compared and written to JSON; `ecoml.format` turns them into sentences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class EndReason(StrEnum):
    """Why a trial ended that did not fail. The comments name the details of each reason."""

    FINISHED = "finished"  # its run came to its own end
    BUDGET = "budget"  # the search's budget ended, or has no room for a further step
    TARGET = "target"  # the target was reached, by it or by another
    TOOK_TOO_MUCH = "took-too-much"  # more joules than a training may take (limit_j, energy_j)
    NEXT_STEP_TOO_MUCH = "next-step-too-much"  # a further step would make it so (limit_j, energy_j)
    TOO_DEAR_TO_USE = "too-dear-to-use"  # an image takes more than it may (latency_s, energy_j, provenance, the limits)
    SEARCH_ENDED = "search-ended"  # it was suspended, and never taken up again
    INTERRUPTED = "interrupted"  # the search was left before its end
    HOST_LOST = "host-lost"  # the host that held it is gone (host)


class FailureKind(StrEnum):
    """Why a trial failed. The comments name the details of each kind."""

    DIVERGED = "diverged"  # its score is not a number
    OUT_OF_RANGE = "out-of-range"  # a score that the metric does not have (score)
    BAD_ENERGY = "bad-energy"  # reported joules that are not a positive number (energy_j)
    OUT_OF_MEMORY = "out-of-memory"  # (message)
    WORKER_LOST = "worker-lost"  # the process that trained it is gone (message)
    NO_MEASUREMENT = "no-measurement"  # it came to its end without a measurement
    ERROR = "error"  # it raised (message)


class StopReason(StrEnum):
    """Why a search ended. The comments name the details of each reason."""

    # (left_j, and next_j or training_j of a further step or training foreseen; co2e_g, where that of CO2e is spent)
    BUDGET_SPENT = "budget-spent"
    TARGET_REACHED = "target-reached"  # (target)
    MAX_TRIALS = "max-trials"  # (trials)
    EXHAUSTED = "exhausted"  # every configuration has been tried
    NOT_WORTH_IT = "not-worth-it"  # what is left promises too little (spent_j, promise, worth)
    NOTHING_FEASIBLE = "nothing-feasible"  # no proposal is within the limits
    STRATEGY = "strategy"  # the strategy's own reason (message)
    FAILURES = "failures"  # too many trials in a row failed (trials, last)
    INTERRUPTED = "interrupted"  # by the user
    ERROR = "error"  # (message)

    @property
    def complete(self) -> bool:
        """Whether the search ended on its own, and was not interrupted."""
        return self not in (StopReason.INTERRUPTED, StopReason.ERROR)


_KINDS = {member.value: member for kind in (EndReason, FailureKind) for member in kind}


@dataclass(frozen=True, slots=True)
class TrialEnd:
    """Why a trial ended.

    Attributes:
        reason: The reason, or the kind of failure.
        details: The numbers and texts that belong to the reason, JSON values by name (see the enumerations).
    """

    reason: EndReason | FailureKind
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether the trial failed."""
        return isinstance(self.reason, FailureKind)

    def to_dict(self) -> dict[str, Any]:
        """The value as a JSON object."""
        return {"reason": self.reason.value, **self.details}

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> TrialEnd:
        """The value of an object that `to_dict` made."""
        return cls(_KINDS[table["reason"]], {key: value for key, value in table.items() if key != "reason"})


@dataclass(frozen=True, slots=True)
class SearchEnd:
    """Why a search ended.

    Attributes:
        reason: The reason.
        details: The numbers that belong to the reason, JSON values by name (see `StopReason`). With any reason,
            `excluded_above` says that networks with more parameters than this were left out.
    """

    reason: StopReason
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The value as a JSON object."""
        return {"reason": self.reason.value, **self.details}

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> SearchEnd:
        """The value of an object that `to_dict` made."""
        return cls(StopReason(table["reason"]), {key: value for key, value in table.items() if key != "reason"})
