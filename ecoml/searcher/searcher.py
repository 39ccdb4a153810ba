"""Searcher: the class that a user drives. It opens meter, data and run folder, runs the loop, and resumes."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ecoml.carbon.spec import grid_of
from ecoml.endings import SearchEnd, StopReason
from ecoml.errors import EcomlError, StorageError, UsageError
from ecoml.limits import Limits, budget_in_joules
from ecoml.meter.choice import meter_or_sources
from ecoml.metric import Metric
from ecoml.run.folder import RunFolder, check_free, default_path
from ecoml.run.listeners import Listener, Listeners
from ecoml.run.result import Result, metric_of
from ecoml.run.storage.snapshot import read_snapshot
from ecoml.searcher.by_hand import ByHand
from ecoml.searcher.energy.budget import budget_of_co2e, refuse_complete, refuse_spent
from ecoml.searcher.hosts.choosing import RemoteWorkers
from ecoml.searcher.interrupts import Interrupts
from ecoml.searcher.loop import Loop
from ecoml.searcher.search import Search
from ecoml.searcher.session import Session
from ecoml.searcher.setup.network_limits import Parameters, refuse_untried, size_limit
from ecoml.searcher.setup.settings import EnergySource, SearchSettings, keep_changes
from ecoml.searcher.setup.warm_start import WarmStart
from ecoml.space import Space
from ecoml.strategies import Strategy
from ecoml.training.base import Executor
from ecoml.training.create import create_executor, declared, executor_of
from ecoml.training.function import TrainFunction
from ecoml.trial import Measurement, Trial

if TYPE_CHECKING:
    from ecoml.meter.base import Meter
    from ecoml.searcher.hosts.choosing import Workers

Show = Callable[[Search], AbstractContextManager[None]]
"""Shows a search while its context is open; see `ecoml.report.terminal.progress.show`."""


class Searcher:
    """A search for the best models within an energy budget.

    Args:
        space: The configurations that may be tried.
        train: A training function (see `ecoml.training.function`), or an executor such as `CnnTraining`; None for a
            search driven by `ask` and `tell`.
        budget_kwh: Energy budget of the entire search, in kWh.
        budget_j: The budget in joules; give one of the two, or the limit `budget_gco2e`.
        strategy: A name (see `ecoml strategies`), the path of a strategy file, or any object with `ask` and `tell`,
            which serves one search.
        seed: Random seed of proposals, data split and initial weights. Default: the training's, if it has one, or 0.
        directory: The run folder; it must be new. Default: a folder below `runs/`.
        metric: The metric of `train`; leave it out for an executor that declares its metric. Default: a validation
            accuracy in [0, 1].
        energy: `metered`: this host's meter measures the joules. `reported`: each measurement has its own joules, no
            meter is opened, and nothing else is charged.
        meter: Your own meter, or a description of this host's sources (`node`, `prometheus:URL?query=…`, …, one or
            several); default: this host's counters.
        trace: Whether to store power over time in the run folder; the report plots it.
        parameters: A function that counts the trainable parameters of a configuration; not needed for the built-in
            training.
        workers: Workers that train trials in parallel, each with its own energy account: `local:4` (four processes of
            this host) or `ray://HEAD:PORT` (a worker on each node of a Ray cluster). Default: this process.
        warm_start: A run folder whose trials inform the strategy. Their energy is not charged again, and they do not
            belong to this search.
        grid_intensity: Carbon intensity of the electricity: g/kWh, a CSV of time and g/kWh, `electricitymaps:ZONE` or
            `watttime:REGION`. Without it no CO2e is computed, and no request is sent.
        show: Shows the progress; default: nothing is shown.
        listeners: Objects (or one) that are told about trials: trackers (`ecoml.integrations`), or your own with
            `on_trial`, `on_measurement` and `on_end`.
        **limits: Limits that end the search or a training before the budget is spent; see `ecoml.Limits`.

    Raises:
        UsageError: An argument cannot be used; no file has been written.

    Attributes:
        settings: The settings of the search.
        budget_j: The budget in joules.
    """

    def __init__(
        self,
        space: Space,
        train: TrainFunction | Executor | None = None,
        *,
        budget_kwh: float | None = None,
        budget_j: float | None = None,
        strategy: str | Path | Strategy = "bayes",
        seed: int | None = None,
        directory: str | Path | None = None,
        metric: Metric | None = None,
        energy: EnergySource = "metered",
        meter: Meter | str | Sequence[str] | None = None,
        trace: bool = False,
        parameters: Parameters | None = None,
        workers: Workers | None = None,
        warm_start: str | Path | None = None,
        grid_intensity: float | str | Path | None = None,
        show: Show | None = None,
        listeners: Listener | Iterable[Listener] = (),
        **limits: Any,
    ) -> None:
        asked, grid = Limits.of(limits, inspect.signature(Searcher).parameters), grid_of(grid_intensity)
        asked.refuse_past()
        if budget_kwh is not None or budget_j is not None or asked.budget_gco2e is None:
            budget_j = budget_in_joules(budget_kwh, budget_j)
        executor = executor_of(train)
        seed = getattr(executor, "seed", 0) if seed is None else seed
        own, sources = meter_or_sources(meter)
        settings = SearchSettings(
            *(space, strategy, seed, declared(metric, executor), energy, asked, trace), grid=grid, sources=sources
        )
        if warm_start is not None:
            settings = replace(settings, warm_start=WarmStart.of_run(warm_start, space, settings.metric))
        path = (default_path(settings.strategy_name) if directory is None else Path(directory)).absolute()
        check_free(path)
        from_co2e = budget_j is None
        if budget_j is None:
            assert grid is not None, "the settings refuse a budget of CO2e without it"
            assert asked.budget_gco2e is not None, "else it was refused"
            grid.start()
            budget_j = budget_of_co2e(asked.budget_gco2e, grid, asked.until_s)
        self._set_up(
            *(settings, executor, path, budget_j, parameters, workers, show),
            meter=own,
            listeners=Listeners(listeners),
            numbered=directory is None,
            from_co2e=from_co2e,
        )

    def _set_up(
        self,
        settings: SearchSettings,
        executor: Executor | None,
        path: Path,
        budget_j: float,
        parameters: Parameters | None,
        workers: Workers | None,
        show: Show | None,
        **given: Any,
    ) -> None:
        if executor is not None and hasattr(executor, "seed") and executor.seed != settings.seed:
            executor = copy.copy(executor)  # another search may be going on with this one
            executor.seed = settings.seed
        if show and not callable(show):
            raise UsageError(f"show is {show!r}; give a function")
        if settings.energy == "reported" and given["meter"] is not None:
            raise UsageError("a training that reports its energy is not metered: leave out meter=")
        if workers is not None and executor is None:
            raise UsageError("workers= run a training: pass one as train=, or leave out workers= for ask() and tell()")
        if workers is not None and given["meter"] is not None:
            raise UsageError("each worker has a meter of its own: leave out either meter= or workers=")
        self.settings = settings
        self.budget_j = budget_j
        self._executor = executor
        self._show: Show = show or (lambda _search: nullcontext())
        self._interrupts = Interrupts()
        remote = None if workers is None else RemoteWorkers(workers)
        if remote is not None:
            remote.refuse(settings)
        refuse_untried(settings.limits, executor)
        size = size_limit(settings.limits.max_parameters, executor, parameters)
        self._session = Session(settings, executor, path, budget_j, size, self._interrupts, workers=remote, **given)

    @classmethod
    def resume(
        cls,
        directory: str | Path,
        train: TrainFunction | Executor | None = None,
        *,
        budget_kwh: float | None = None,
        budget_j: float | None = None,
        budget_gco2e: float | None = None,
        strategy: Strategy | None = None,
        meter: Meter | str | Sequence[str] | None = None,
        parameters: Parameters | None = None,
        workers: Workers | None = None,
        grid_intensity: float | str | Path | None = None,
        spend_all: bool = False,
        show: Show | None = None,
        listeners: Listener | Iterable[Listener] = (),
    ) -> Self:
        """A searcher that continues a run folder: after a crash, a Ctrl-C, a spent budget, or an early end.

        Args:
            directory: The run folder.
            train: The same training as before; not needed for the built-in one.
            budget_kwh: A new total budget of the search, including what was already spent; default: the old one.
            budget_j: The new budget in joules.
            budget_gco2e: A new total CO2e budget in grams, including what was already spent; default: the old one.
            strategy: The same object as before, if the strategy was an object; it is told all stored trials.
            meter: As in the constructor.
            parameters: The same function as before, if there was one.
            workers: As in the constructor; default: the same as before.
            grid_intensity: Another one from now on; default: the same as before.
            spend_all: From now on continue until the budget is spent, even if the strategy expects little.
            show: As in the constructor.
            listeners: As in the constructor.

        Raises:
            RunFolderError: The folder is no run folder, or of a newer version.
            RunLockedError: Another process is writing it.
            BudgetError: The budget is spent, and no larger one is given.
            UsageError: The search is complete, and neither a budget nor `spend_all` is given.
        """
        path = Path(directory).absolute()
        folder = RunFolder.open(path)
        with ExitStack() as refused:
            refused.callback(folder.close)
            before = read_snapshot(folder.ledger, metric_of(folder.settings))
            new_budget = budget_kwh is not None or budget_j is not None
            total_j = budget_in_joules(budget_kwh, budget_j) if new_budget else before.settings["budget_j"]
            settings = SearchSettings.of_run(folder.settings, path, reported=before.reported, strategy=strategy)
            own, sources = meter_or_sources(meter)
            if not new_budget and budget_gco2e is None and not spend_all:
                refuse_complete(path, before, settings.metric)
            budget_gco2e = before.settings.get("budget_g") if budget_gco2e is None else budget_gco2e
            before.settings["budget_g"] = budget_gco2e
            other_grid = grid_of(grid_intensity)
            grid = other_grid or settings.grid
            limits = replace(
                settings.limits, budget_gco2e=budget_gco2e, spend_all=spend_all or settings.limits.spend_all
            )
            settings = replace(settings, grid=grid, limits=limits, sources=sources or settings.sources)
            derived = folder.settings["run"].get("budget_from_co2e", False) and not new_budget
            if derived and budget_gco2e is not None and grid is not None:
                refused.callback(grid.close)
                grid.start()
                total_j = max(total_j, budget_of_co2e(budget_gco2e, grid, limits.until_s))
            refuse_spent(path, total_j, before)
            executor = executor_of(train) or create_executor(
                folder.settings.get("executor", {}), path, folder.settings.get("data", {})
            )
            self = cls.__new__(cls)
            started_with = folder.settings.get("workers")
            if workers is not None and started_with is None:
                raise UsageError(f"{path}: this search was started without workers; continue it without them, too")
            workers = workers or (started_with or {}).get("given") or None
            self._set_up(
                *(settings, executor, path, total_j, parameters, workers, show),
                meter=own,
                listeners=Listeners(listeners),
                folder=folder,
                before=before,
                keep=partial(keep_changes, folder, total_j, limits, other_grid, sources, workers),
            )
            refused.pop_all()
        return self

    def run(self) -> Result:
        """Search until the budget, a limit or the strategy ends the search.

        Raises:
            BudgetError: The budget was spent before the first measurement; no file is left on disk.
            SearchFailed: No trial succeeded.
            KeyboardInterrupt: Ctrl-C was pressed. All measurements are saved, and `Searcher.resume` continues the
                search.
        """
        if self._executor is None:
            raise UsageError("this searcher has no training; pass one, or use ask() and tell()")
        opened = self._session.search
        if opened is not None and opened.ended is not None:
            raise UsageError(
                f"this search has ended; to continue it: ecoml.Searcher.resume({str(self.directory)!r}, …).run()"
            )
        with self:
            search = self._session.open()
            stepper = self._session.stepper(self._executor)
            search.ledger.commit_late()
            with self._interrupts, self._show(search):
                try:
                    search.end(Loop(search, stepper).run())
                except KeyboardInterrupt:
                    search.end(SearchEnd(StopReason.INTERRUPTED), test=False)
                    raise
                except EcomlError as error:
                    with suppress(StorageError):
                        search.end(SearchEnd(StopReason.ERROR, {"message": str(error)}), test=False)
                    raise
            self._session.refuse_emptiness()
            return self.result

    @property
    def directory(self) -> Path:
        """The run folder as an absolute path, because a training may change the working directory."""
        return self._session.directory

    def ask(self) -> Trial | None:
        """The next trial, which the caller trains.

        None when the search has ended, or when no further trial fits in addition to the running ones.
        """
        return self._by_hand.ask()

    def tell(
        self,
        trial: Trial,
        score: float,
        energy_j: float | None = None,
        *,
        uncertainty_j: float = 0.0,
        done: bool = True,
    ) -> bool:
        """Record the score of a trial from `ask`; with `energy="reported"` also its energy since the last `tell`.

        Args:
            trial: The trial, or a copy of it from another process.
            score: The score, as the metric defines it; NaN if the training failed.
            energy_j: Joules since the measurement before.
            uncertainty_j: Half-width of `energy_j`.
            done: Whether its training has ended; otherwise further points may be told.

        Returns:
            Whether the training may go on; False also if its next step does not fit into the budget, or if the target
            is reached.

        Raises:
            UsageError: The trial is not running.
            TrainingError: A value makes no sense, or contradicts the search's source of energy.
        """
        return self._by_hand.tell(trial, Measurement(score, energy_j, uncertainty_j), done=done)

    @cached_property
    def _by_hand(self) -> ByHand:
        return ByHand(self._session.open())

    @property
    def result(self) -> Result:
        """The result so far."""
        return self._session.result

    def close(self) -> None:
        """Close meter, ledger and run folder. May be called twice."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()
