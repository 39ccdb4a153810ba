"""What getting ready takes on a GPU: its context, its libraries and their first kernels, up to a kilojoule.

It is forecast by what it took on such a GPU the last time, so that a budget which it would eat is refused before it is
spent. On a CPU it is a few joules, and what it took is looked at afterwards.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ecoml.energy import J_PER_KWH
from ecoml.errors import BudgetError
from ecoml.format import format_energy
from ecoml.ledger import Metering
from ecoml.meter.base import Meter
from ecoml.training.base import Executor, GetsReady

FIRST_TIME_J = 1000.0
"""Of each GPU, as long as nothing is known: the upper end of what others report."""

_WARM_SHARE = 0.5
"""What took less than this share of the last time found something warm, and says nothing of the next time."""

log = logging.getLogger("ecoml")


@contextmanager
def getting_ready(executor: Executor, metering: Metering | None, budget_j: float) -> Iterator[None]:
    """Around `Executor.prepare`: refuse what the forecast would eat, and remember what it took.

    Args:
        executor: What gets ready.
        metering: What sees its joules; None: nothing does.
        budget_j: What is left to spend.

    Raises:
        BudgetError: Getting ready alone is forecast to take it all.
    """
    gpus = _gpus(metering.meter) if metering is not None else ()
    if metering is None or not gpus or not isinstance(executor, GetsReady) or executor.ready:
        yield
        return
    known = _remembered()
    forecast_j = sum(known.get(name, FIRST_TIME_J) for name in gpus)
    source = (
        "as it did here before" if all(name in known for name in gpus) else "a guess, as it was never measured here"
    )
    log.info("getting ready on %s is forecast to take %s (%s)", ", ".join(gpus), format_energy(forecast_j), source)
    before_j = metering.window.energy_j
    if before_j + forecast_j >= budget_j:
        raise BudgetError(
            f"the budget of {format_energy(budget_j)} is too small for a GPU: getting ready alone (its context, its"
            f" libraries, their first kernels) is forecast to take {format_energy(forecast_j)} ({source}); give several"
            f" times that, at least --budget-kwh {4 * forecast_j / J_PER_KWH:.2g}, or train on the CPU",
            spent_j=before_j,
        )
    yield
    each_j = (metering.window.energy_j - before_j) / len(gpus)
    if fresh := {name: each_j for name in gpus if each_j >= _WARM_SHARE * known.get(name, 0.0)}:
        _remember({**known, **fresh})


def _gpus(meter: Meter) -> tuple[str, ...]:
    """Name of each GPU that is counted."""
    counted = (source for source in meter.sources if source.used and source.domain.startswith(("gpu:", "module:")))
    return tuple(source.hardware.name if source.hardware is not None else source.domain for source in counted)


def _file() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ecoml" / "getting-ready.json"


def _remembered() -> dict[str, float]:
    """Joules by the name of a GPU; none where there is no such file, or it is damaged."""
    try:
        found = json.loads(_file().read_text(encoding="utf-8"))
        return {str(name): float(joules) for name, joules in found.items() if float(joules) > 0}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _remember(joules: dict[str, float]) -> None:
    with suppress(OSError):  # a cache: the next time is a guess again
        _file().parent.mkdir(parents=True, exist_ok=True)
        temporary = _file().with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(joules, indent=1), encoding="utf-8")
        temporary.replace(_file())
