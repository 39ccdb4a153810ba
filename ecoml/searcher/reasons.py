"""Reasons why a trial or a search must end: values of `ecoml.endings`, or None."""

from __future__ import annotations

import math
import traceback
from collections.abc import Sequence
from pathlib import Path

from ecoml.endings import EndReason, FailureKind, SearchEnd, StopReason, TrialEnd
from ecoml.errors import in_one_line
from ecoml.ledger import Ledger
from ecoml.limits import Limits
from ecoml.metric import Metric
from ecoml.trial import Measurement, Point, Usage

_OURS = Path(__file__).parents[1]


def what_is_wrong(metric: Metric, measurement: Measurement) -> TrialEnd | None:
    """The reason why a measurement cannot be used."""
    score, energy_j = measurement.score, measurement.energy_j
    if math.isnan(score):
        return TrialEnd(FailureKind.DIVERGED)
    if not metric.allows(score):
        return TrialEnd(FailureKind.OUT_OF_RANGE, {"score": score})
    if energy_j is not None and not (math.isfinite(energy_j) and energy_j > 0):
        return TrialEnd(FailureKind.BAD_ENERGY, {"energy_j": energy_j})
    return None


def failure_of(error: BaseException) -> TrialEnd:
    """The reason of a trial's failure, from an error of its training, with the line of the user's code that
    raised it.
    """
    kind = FailureKind.WORKER_LOST if isinstance(error, ChildProcessError) else FailureKind.ERROR
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        kind = FailureKind.OUT_OF_MEMORY
    details = {"message": in_one_line(error)}
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if _OURS not in Path(f.filename).parents and "site-packages" not in f.filename]
    if theirs:
        details["where"] = f"{Path(theirs[-1].filename).name}:{theirs[-1].lineno}"
    return TrialEnd(kind, details)


def too_dear(limits: Limits, curve: Sequence[Point]) -> TrialEnd | None:
    """The reason if a training has exceeded its energy limit, or would with a next step like its last one."""
    if limits.max_energy_per_training_j is None:
        return None
    point = curve[-1]
    last_j = point.energy_j - (curve[-2].energy_j if len(curve) > 1 else 0.0)
    if limits.allows_j(point.energy_j + last_j):
        return None
    reason = EndReason.NEXT_STEP_TOO_MUCH if limits.allows_j(point.energy_j) else EndReason.TOOK_TOO_MUCH
    told = {"energy_j": point.energy_j, "provenance": point.energy.provenance.value}
    return TrialEnd(reason, {**told, "limit_j": limits.max_energy_per_training_j})


def too_dear_to_use(limits: Limits, usage: Usage) -> TrialEnd:
    """The end of a trial whose predictions exceed a limit."""
    most = {"limit_s": limits.max_latency_s, "limit_j": limits.max_inference_energy_j}
    one = usage.single
    told = {"latency_s": one.latency_s, "energy_j": one.energy.energy_j, "provenance": one.energy.provenance.value}
    return TrialEnd(EndReason.TOO_DEAR_TO_USE, {**told, **{name: x for name, x in most.items() if x is not None}})


def budget_spent(ledger: Ledger, next_j: float) -> SearchEnd:
    """The end of a search whose budget has no room for a further step of this energy."""
    left_j = ledger.left_j
    if ledger.budget.left_by_co2e:
        return SearchEnd(StopReason.BUDGET_SPENT, {"co2e_g": ledger.spent_g})
    if left_j <= 0 or next_j <= 0:
        return SearchEnd(StopReason.BUDGET_SPENT)
    told = {"next_j": next_j, "left_j": left_j, "provenance": ledger.provenance.value}
    return SearchEnd(StopReason.BUDGET_SPENT, told)
