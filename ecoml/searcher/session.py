"""One session of a search: its open meter, training, run folder and ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ecoml.energy import co2e_g
from ecoml.errors import SearchFailed, StorageError, UsageError
from ecoml.format import describe_search_end
from ecoml.ledger import Ledger, Metering
from ecoml.meter.base import Meter, describe_sources
from ecoml.meter.required import refuse_unmeasured
from ecoml.run.folder import RunFolder
from ecoml.run.listeners import Listeners
from ecoml.run.result import Result, result_of
from ecoml.run.storage.snapshot import Snapshot
from ecoml.searcher.energy.budget import too_small
from ecoml.searcher.energy.getting_ready import getting_ready
from ecoml.searcher.energy.metering import meter_for, open_metering, refuse_mixture
from ecoml.searcher.energy.waiting import CleanWait
from ecoml.searcher.hosts.choosing import RemoteWorkers
from ecoml.searcher.interrupts import Interrupts
from ecoml.searcher.search import Search
from ecoml.searcher.setup.network_limits import SizeLimit
from ecoml.searcher.setup.settings import SearchSettings
from ecoml.searcher.workers import Stepper, seats_of, stepper_of
from ecoml.strategies.base import Learns
from ecoml.training.base import Declares, Executor, OnData, Pooled
from ecoml.trial import TrialState

CLOSED = "this searcher is closed; make another one, or continue its search by ecoml.Searcher.resume(directory)"


class Session:
    """A session; nothing is open before `open`.

    Args:
        settings: The settings of the search.
        executor: The executor; None for a search driven by `ask` and `tell`.
        directory: The run folder.
        budget_j: The budget in joules.
        size: The size limit of networks.
        interrupts: The places where it may be interrupted.
        meter: The user's meter; None: that of this host, which the session closes.
        workers: Workers on other hosts; None: this process's.
        listeners: Listeners of the search.
        folder: The run folder of an earlier session; None: a new one is made.
        before: The state that earlier sessions left.
        keep: Stores what this session changes in the run folder, once nothing more is refused.
        numbered: Whether a new run folder may get another number.
        from_co2e: Whether the energy budget was computed from the CO2e budget.

    Attributes:
        directory: The run folder, an absolute path.
        search: The search, once the session is open.
    """

    def __init__(
        self,
        settings: SearchSettings,
        executor: Executor | None,
        directory: Path,
        budget_j: float,
        size: SizeLimit,
        interrupts: Interrupts,
        *,
        meter: Meter | None,
        workers: RemoteWorkers | None,
        listeners: Listeners,
        folder: RunFolder | None = None,
        before: Snapshot | None = None,
        keep: Callable[[], None] | None = None,
        numbered: bool = False,
        from_co2e: bool = False,
    ) -> None:
        self.directory = directory
        self.search: Search | None = None
        self._settings = settings
        self._strategy = settings.create_strategy()
        self._executor = executor
        self._budget_j = budget_j
        self._size = size
        self._interrupts = interrupts
        self._meter, self._meter_is_ours = meter, meter is None
        self._workers = workers
        self._listeners = listeners
        self._folder = folder
        self._before = before
        self._keep = keep
        self._numbered = numbered
        self._from_co2e = from_co2e
        self._closed = False
        self._domains: Sequence[str] = ()  # of the meter, one for each of several workers

    def open(self) -> Search:
        """Open everything that a search needs: first what may be refused, then the run folder."""
        if self.search is not None:
            return self.search
        if self._closed:
            raise UsageError(CLOSED)
        settings, executor = self._settings, self._executor
        if settings.grid is not None:
            settings.grid.start()
        metering = self._open_metering() if settings.energy == "metered" else None
        if executor is not None:
            self._get_ready(executor, metering)
        if metering is not None and settings.warm_start is not None:
            settings.warm_start.refuse_mixture(metering.meter.provenance)
        if metering is not None and executor is not None and self._before is None:
            ready_j, budget_g = metering.window.energy_j, settings.limits.budget_gco2e
            ready_g = 0.0 if settings.grid is None else co2e_g(ready_j, settings.grid.at(time.time()))
            grams = None if budget_g is None or ready_g < budget_g else (budget_g, ready_g)
            if ready_j >= self._budget_j or grams is not None:
                raise too_small(self._budget_j, ready_j, metering.window.provenance, "getting ready", grams)
        if self._folder is None:
            self._folder = RunFolder.create(
                self.directory, self._to_dict(metering), settings.files(), numbered=self._numbered
            )
            self.directory = self._folder.path
        elif self._keep is not None:
            self._keep()
        ledger = Ledger(
            *(self._folder, self._budget_j, settings.metric, metering),
            trace=settings.trace,
            lease_s=0.0 if self._workers is None else self._workers.lease_s,
            grid=settings.grid,
            budget_g=settings.limits.budget_gco2e,
        )
        self.search = search = Search(settings, self._strategy, executor, ledger, self._interrupts, self._size)
        if settings.grid is not None and settings.limits.when_clean_g_per_kwh is not None:
            search.wait = CleanWait(settings.grid, settings.limits, ledger, self._interrupts.allowed)
        if self._before is not None:
            search.restore(ledger.snapshot().trials)
        if self._listeners:
            self._listeners.start(self.result)
            search.listeners.append(self._listeners.heard)
        return search

    def _open_metering(self) -> Metering:
        """The meter of this search and its window, which starts now."""
        if self._meter is None:
            self._meter = meter_for(self._executor, self._settings.sources)
        if self._settings.limits.require_measured:
            refuse_unmeasured(self._meter)
        if self._before is not None:
            refuse_mixture(self.directory, self._before, self._meter.provenance)
        return open_metering(self._meter, self._budget_j, self._before)

    def _get_ready(self, executor: Executor, metering: Metering | None) -> None:
        """Load what the training needs, and refuse data or a metric that have changed."""
        if isinstance(executor, Pooled) and metering is not None and len(gpus := executor.gpus()) > 1:
            from ecoml.meter.counters.ordinals import domains_of

            self._domains = domains_of(gpus, metering.meter)
        spent_j = self._before.spent_j if self._before is not None else 0.0
        with getting_ready(executor, metering, self._budget_j - spent_j, self._strategy):
            executor.prepare(self._settings.space)
        if isinstance(executor, OnData) and self._folder is not None and "data" in self._folder.settings:
            executor.refuse_changed(self._folder.settings["data"], self.directory)
        metric = self._settings.metric
        if isinstance(executor, Declares) and executor.metric != metric:
            told = f"its scores are {metric.name}, but this training measures {executor.metric.name}"
            raise UsageError(f"{self.directory}: {told}; give a training with that metric")

    def _to_dict(self, metering: Metering | None) -> dict[str, Any]:
        """The content of `run.toml`."""
        settings = self._settings.to_dict()
        described = dict(self._executor.describe()) if self._executor is not None else {"kind": "ask-and-tell"}
        settings["run"]["problem"] = str(described.get("data") or described.get("name") or described["kind"])
        settings["run"]["budget_j"] = self._budget_j
        if self._workers is not None:
            settings["workers"] = self._workers.to_dict()
        if self._from_co2e:
            settings["run"]["budget_from_co2e"] = True
        if self._settings.warm_start is not None:
            settings["warm_start"]["learnt"] = isinstance(self._strategy, Learns)
        if metering is not None and (sources := describe_sources(metering.meter.sources)):
            settings["meter"] = sources
        if isinstance(self._executor, OnData):
            settings["data"] = dict(self._executor.data_table())
        settings["executor"] = {key: value for key, value in described.items() if value is not None}
        return settings

    def stepper(self, executor: Executor) -> Stepper:
        """The stepper of runs: on this process's workers, or on other hosts."""
        search = self.open()
        ledger, interruptible = search.ledger, search.interruptible
        if self._workers is None:
            return stepper_of(seats_of(executor, ledger, self._domains), interruptible)
        assert self._folder is not None, "an open search has a folder"
        return self._workers.stepper(executor, self._settings, ledger, self._folder, interruptible)

    @property
    def result(self) -> Result:
        """The result so far."""
        search = self.open()
        if search.ledger.closed:
            return Result.load(self.directory)
        search.ledger.settle()
        assert self._folder is not None, "an open search has a folder"
        return result_of(search.ledger.snapshot(), self._folder.settings, self.directory)

    def refuse_emptiness(self) -> None:
        """Raise an error if nothing was measured.

        Raises:
            SearchFailed: No trial succeeded.
            UsageError: Every proposed network is too large; no file is left on disk.
            BudgetError: The budget was spent before the first measurement; no file is left on disk.
        """
        search = self.open()
        ledger = search.ledger
        if any(trial.curve for trial in search.trials):
            return
        if any(trial.state is TrialState.FAILED for trial in search.trials):
            assert search.ended is not None, "it has just ended"
            raise SearchFailed(
                f"no trial succeeded: {describe_search_end(search.ended, self._settings.metric)};"
                f" the account is in {self.directory}",
                spent_j=ledger.spent_j,
            )
        if not search.trials and self._size.excluded:
            ledger.delete()
            raise self._size.refusal()
        if search.trials and self._before is None:
            budget_g = self._settings.limits.budget_gco2e
            grams = (budget_g, ledger.spent_g) if budget_g is not None and ledger.budget.left_by_co2e else None
            ledger.delete()
            what = "the preparation and the first trial"
            raise too_small(self._budget_j, ledger.spent_j, ledger.provenance, what, grams)

    def close(self) -> None:
        """Close meter, ledger and run folder. May be called twice."""
        self._closed = True
        if self.search is not None:
            self.search.close()
            if self._listeners and not self.search.ledger.closed:
                with suppress(StorageError):
                    self._listeners.end(self.result)
            self.search.ledger.close()
        if self._folder is not None:
            self._folder.close()
        if self._settings.grid is not None:
            self._settings.grid.close()
        if self._meter_is_ours and self._meter is not None:
            self._meter.close()
