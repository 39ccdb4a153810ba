"""Why a trial or a search is over: a member of an enumeration, with the few numbers that belong to it.

They are stored, compared and sent to JSON as such; `ecoml.format` makes sentences of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class EndReason(StrEnum):
    """Why a trial ended that did not fail. Details in brackets."""

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
    """What went wrong with a trial. Details in brackets."""

    DIVERGED = "diverged"  # its score is not a number
    OUT_OF_RANGE = "out-of-range"  # a score that the metric does not have (score)
    BAD_ENERGY = "bad-energy"  # reported joules that are not a positive number (energy_j)
    OUT_OF_MEMORY = "out-of-memory"  # (message)
    WORKER_LOST = "worker-lost"  # the process that trained it is gone (message)
    NO_MEASUREMENT = "no-measurement"  # it came to its end without a measurement
    ERROR = "error"  # it raised (message)


class StopReason(StrEnum):
    """Why a search is over. Details in brackets."""

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
        """Whether the search came to its end, rather than being left before it."""
        return self not in (StopReason.INTERRUPTED, StopReason.ERROR)


_KINDS = {member.value: member for kind in (EndReason, FailureKind) for member in kind}


@dataclass(frozen=True, slots=True)
class TrialEnd:
    """Why a trial is over.

    Attributes:
        reason: The reason, or what went wrong.
        details: What belongs to it, JSON values by name (see the enumerations).
    """

    reason: EndReason | FailureKind
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether the trial failed."""
        return isinstance(self.reason, FailureKind)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"reason": self.reason.value, **self.details}

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> TrialEnd:
        """From what `to_dict` gave."""
        return cls(_KINDS[table["reason"]], {key: value for key, value in table.items() if key != "reason"})


@dataclass(frozen=True, slots=True)
class SearchEnd:
    """Why a search is over.

    Attributes:
        reason: The reason.
        details: What belongs to it, JSON values by name (see `StopReason`); `excluded_above` with any of them: networks
            of more parameters than that were left out.
    """

    reason: StopReason
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"reason": self.reason.value, **self.details}

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> SearchEnd:
        """From what `to_dict` gave."""
        return cls(StopReason(table["reason"]), {key: value for key, value in table.items() if key != "reason"})
