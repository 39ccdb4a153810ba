"""What happens before the first trial: the training gets ready, while the strategy imports its libraries.

Preparing a GPU (its context, its libraries and their first kernels) takes up to a kilojoule.

It is forecast from the last preparation of such a GPU, so that a budget that does not exceed it is refused before it is
spent. On a CPU the preparation takes a few joules, and is checked afterwards.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ecoml.energy import J_PER_KWH
from ecoml.errors import BudgetError
from ecoml.format import format_energy
from ecoml.ledger import Metering
from ecoml.meter.base import Meter
from ecoml.outside.folders import cache_folder, write_whole
from ecoml.strategies.base import NeedsLibraries, Strategy
from ecoml.training.base import Executor, GetsReady

FIRST_TIME_J = 1500.0
"""Joules per GPU while nothing is known: 1.07 kJ were measured on an H100, and four seconds for compiling our kernels,
which happens once on a machine, are added.
"""

_WARM_SHARE = 0.5
"""A preparation with less than this share of the last energy found a warm GPU, and is not used for the next
forecast.
"""

log = logging.getLogger("ecoml")


@contextmanager
def getting_ready(executor: Executor, metering: Metering | None, budget_j: float, strategy: Strategy) -> Iterator[None]:
    """A context around `Executor.prepare`: refuses a budget that the forecast exceeds, and stores the energy that it
    took. While a GPU is prepared, the strategy imports its libraries.

    Args:
        executor: The executor that prepares.
        metering: The session's metering; None: energy is reported.
        budget_j: Joules left to spend.
        strategy: The strategy of the search.

    Raises:
        BudgetError: The forecast of the preparation is as large as the budget.
    """
    gpus = _gpus(metering.meter) if metering is not None else ()
    if metering is None or not gpus or not isinstance(executor, GetsReady) or executor.ready:
        yield
        return
    known = _remembered()
    forecast_j = sum(known.get(name, FIRST_TIME_J) for name in gpus)
    source = (
        "as the last time on this machine"
        if all(name in known for name in gpus)
        else "a guess, as it was never measured here"
    )
    log.info("preparing %s is forecast to take %s (%s)", ", ".join(gpus), format_energy(forecast_j), source)
    before_j = metering.window.energy_j
    if before_j + forecast_j >= budget_j:
        raise BudgetError(
            f"the budget of {format_energy(budget_j)} is too small for a GPU: preparing it (its context, its"
            f" libraries, their first kernels) is forecast to take {format_energy(forecast_j)} ({source}); give several"
            f" times that, at least --budget-kwh {4 * forecast_j / J_PER_KWH:.2g}, or train on the CPU",
            spent_j=before_j,
        )
    with _loading(strategy):
        yield
    each_j = (metering.window.energy_j - before_j) / len(gpus)
    if fresh := {name: each_j for name in gpus if each_j >= _WARM_SHARE * known.get(name, 0.0)}:
        _remember({**known, **fresh})


@contextmanager
def _loading(strategy: Strategy) -> Iterator[None]:
    """A context during which the strategy imports its libraries; it ends when both are done.

    BoTorch takes seconds to import; a GPU that waits for it draws more than a hundred watts (H200: 26 % of a search of
    3.6 kJ went into waiting for the optimiser).
    """
    if not isinstance(strategy, NeedsLibraries):
        yield
        return

    def load() -> None:
        with suppress(Exception):  # the first decision raises it again
            strategy.import_libraries()

    thread = threading.Thread(target=load, name="ecoml-loading", daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _gpus(meter: Meter) -> tuple[str, ...]:
    """Names of the GPUs that are counted."""
    counted = (source for source in meter.sources if source.used and source.domain.startswith(("gpu:", "module:")))
    return tuple(source.hardware.name if source.hardware is not None else source.domain for source in counted)


def _file() -> Path:
    return cache_folder() / "getting-ready.json"


def _remembered() -> dict[str, float]:
    """Joules by the name of a GPU; empty if there is no such file, or if it is damaged."""
    try:
        found = json.loads(_file().read_text(encoding="utf-8"))
        return {str(name): float(joules) for name, joules in found.items() if float(joules) > 0}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _remember(joules: dict[str, float]) -> None:
    with suppress(OSError):  # a cache: the next time is a guess again
        write_whole(_file(), json.dumps(joules, indent=1))
