"""Opens the metering of a session."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ecoml.energy import Provenance, Purpose, comparable
from ecoml.errors import MeterError
from ecoml.ledger import Metering
from ecoml.meter.base import Meter, pace_of
from ecoml.meter.idle import Idle, measure_idle
from ecoml.run.storage.snapshot import Snapshot
from ecoml.training.base import Executor, OnGpus


def meter_for(executor: Executor | None, sources: Sequence[str] = ()) -> Meter:
    """This host's meter with these sources; of its GPUs only those that the executor uses, if it says so."""
    from ecoml.meter import open_meter
    from ecoml.meter.counters.ordinals import nvml_indices

    gpus = nvml_indices(executor.gpus()) if isinstance(executor, OnGpus) else None
    return open_meter(gpus=gpus, sources=sources)


def open_metering(meter: Meter, budget_j: float, before: Snapshot | None) -> Metering:
    """A window over the session that starts now, and the host's idle power.

    Args:
        meter: The meter.
        budget_j: The budget of the entire search.
        before: The state that earlier sessions left, if any; idle power is measured once.
    """
    opened_s, window = pace_of(meter).clock(), meter.window().__enter__()
    if before is not None and before.idle:
        return Metering(meter, window, opened_s, Idle(before.idle))
    left_j = budget_j - (before.spent_j if before is not None else 0.0)
    return Metering(meter, window, opened_s, measure_idle(meter, left_j))


def refuse_mixture(run: Path, before: Snapshot, now: Provenance) -> None:
    """Refuse to resume with joules of another kind: measured and estimated joules must not be compared in one search.

    Raises:
        MeterError: Earlier sessions of this run had joules of another kind.
    """
    source = before.by_purpose[Purpose.TRAINING].provenance
    if not comparable(source, now):
        raise MeterError(
            f"{run}: its energy was {source} so far and would be {now} here; continue on a host where it is {source}"
            " (see `ecoml meters`), or start a new run"
        )
