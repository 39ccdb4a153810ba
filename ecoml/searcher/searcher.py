"""Searcher: what a user drives. It opens meter, data and run folder, runs the loop, and resumes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ecoml.carbon.spec import grid_of
from ecoml.endings import EndReason, SearchEnd, StopReason, TrialEnd
from ecoml.energy import Purpose
from ecoml.errors import EcomlError, SearchFailed, StorageError, UsageError
from ecoml.format import describe_search_end
from ecoml.ledger import Ledger, Metering
from ecoml.limits import Limits, budget_in_joules
from ecoml.meter.base import describe_sources
from ecoml.meter.required import refuse_unmeasured
from ecoml.metric import ACCURACY, Metric
from ecoml.run.folder import RunFolder, check_free, default_path
from ecoml.run.listeners import Listener, Listeners
from ecoml.run.result import Result, metric_of, result_of
from ecoml.run.snapshot import Snapshot, read_snapshot
from ecoml.searcher.budget import budget_of_co2e, refuse_spent, too_small
from ecoml.searcher.getting_ready import getting_ready
from ecoml.searcher.hosts.choosing import RemoteWorkers
from ecoml.searcher.interrupts import Interrupts
from ecoml.searcher.loop import Loop
from ecoml.searcher.metering import meter_for, open_metering, refuse_mixture
from ecoml.searcher.search import Search
from ecoml.searcher.settings import EnergySource, SearchSettings
from ecoml.searcher.size_limit import Parameters, size_limit
from ecoml.searcher.use_limit import refuse_untried
from ecoml.searcher.waiting import CleanWait
from ecoml.searcher.warm_start import WarmStart
from ecoml.searcher.workers import Stepper, seats_of, stepper_of
from ecoml.space import Space
from ecoml.strategies import Start, Strategy
from ecoml.strategies.base import Learns
from ecoml.training.base import Declares, Executor, OnData, Pooled
from ecoml.training.create import create_executor
from ecoml.training.function import FunctionExecutor, TrainFunction
from ecoml.trial import Measurement, Trial, TrialState

if TYPE_CHECKING:
    from ecoml.meter.base import Meter
    from ecoml.searcher.hosts.choosing import Workers

UNKNOWN_SHARE = 0.1
"""Of the budget is set aside for each trial that `ask` gives while nothing is known of what a trial takes."""

Show = Callable[[Search], AbstractContextManager[None]]
"""Shows a search while the context it gives is open; see `ecoml.report.terminal.progress.show`."""


class Searcher:
    """A search for the best models that an energy budget buys.

    Args:
        space: What may be tried.
        train: A training function (see `ecoml.training.function`), or an executor such as `CnnTraining`; None for a
            search that is driven by `ask` and `tell`.
        budget_kwh: Ceiling on the energy of the whole search, in kWh.
        budget_j: The same in joules; give one of the two, or `budget_gco2e` among the limits.
        strategy: A name (see `ecoml strategies`), the path of a strategy file, or any object with `ask` and `tell`.
        seed: Of proposals, data split and initial weights.
        directory: The run folder; it must be new. By default one below `runs/`.
        metric: What the scores of `train` are; an executor that says so itself is given none. By default a validation
            accuracy in [0, 1].
        energy: `metered`: the joules are those of this host's meter. `reported`: each measurement brings its own, no
            meter is opened, and nothing else is charged.
        meter: A meter of one's own, or what is said of this host's sources (`node`, `prometheus:URL?query=…`, …, one or
            several); by default this host's.
        trace: Keep power over time in the run folder; the report draws it.
        parameters: Counts the trainable numbers of a configuration; not needed for the built-in training.
        workers: Where trials train side by side, each on an energy account of its own: `local:4` (four processes of
            this host) or `ray://HEAD:PORT` (a worker on each node of a Ray cluster). By default this process.
        warm_start: A run folder whose trials inform the strategy. Their energy is not charged again, and they are no
            trials of this search.
        grid_intensity: Carbon intensity of the electricity: g/kWh, a CSV of time and g/kWh, `electricitymaps:ZONE` or
            `watttime:REGION`. Without it nothing is said of CO2e, and nobody is asked.
        show: Shows what happens; by default nothing does.
        listeners: Are told what happens: trackers (`ecoml.integrations`), or objects of one's own with `on_trial`,
            `on_measurement` and `on_end`.
        **limits: What ends the search, or a training, before the budget does; see `ecoml.Limits`.

    Raises:
        UsageError: Something here cannot be used; nothing has been written.

    Attributes:
        settings: All that decides how the search goes.
        budget_j: The ceiling in joules.
        directory: The run folder, an absolute path: a training may change the working directory.
    """

    def __init__(
        self,
        space: Space,
        train: TrainFunction | Executor | None = None,
        *,
        budget_kwh: float | None = None,
        budget_j: float | None = None,
        strategy: str | Path | Strategy = "bayes",
        seed: int = 0,
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
        listeners: Iterable[Listener] = (),
        **limits: Any,
    ) -> None:
        asked, grid = Limits.of(limits), grid_of(grid_intensity)
        if budget_kwh is not None or budget_j is not None or asked.budget_gco2e is None:
            budget_j = budget_in_joules(budget_kwh, budget_j)
        executor = _executor(train)
        meter, sources = _meter(meter)
        settings = SearchSettings(
            *(space, strategy, seed, _metric(metric, executor), energy, asked, trace), grid=grid, sources=sources
        )
        from_co2e = budget_j is None
        if budget_j is None:
            assert grid is not None, "the settings refuse a budget of CO2e without it"
            assert asked.budget_gco2e is not None, "else it was refused"
            grid.start()
            budget_j = budget_of_co2e(asked.budget_gco2e, grid, asked.until_s)
        if warm_start is not None:
            settings = replace(settings, warm_start=WarmStart.of_run(warm_start, space, settings.metric))
        path = (default_path(settings.strategy_name) if directory is None else Path(directory)).absolute()
        check_free(path)
        self._set_up(settings, executor, path, budget_j, meter, show, parameters, workers, listeners)
        self._unnamed, self._from_co2e = directory is None, from_co2e

    def _set_up(
        self,
        settings: SearchSettings,
        executor: Executor | None,
        path: Path,
        budget_j: float,
        meter: Meter | None,
        show: Show | None,
        parameters: Parameters | None,
        workers: Workers | None,
        listeners: Iterable[Listener],
    ) -> None:
        if executor is not None and hasattr(executor, "seed") and executor.seed != settings.seed:
            executor = copy.copy(executor)  # another search may be going on with this one
            executor.seed = settings.seed
        self.settings = settings
        self.budget_j = budget_j
        self.directory = path
        self._executor = executor
        self._workers = None if workers is None else RemoteWorkers(workers)
        if self._workers is not None:
            self._workers.refuse(settings)
        self._strategy = settings.create_strategy()
        refuse_untried(settings.limits, executor)
        self._size = size_limit(settings.limits.max_parameters, executor, parameters)
        self._meter = meter
        self._meter_is_ours = meter is None
        self._show: Show = show or (lambda _search: nullcontext())
        self._listeners = Listeners(listeners)
        self._folder: RunFolder | None = None
        self._before: Snapshot | None = None
        self._search: Search | None = None
        self._interrupts = Interrupts()
        self._asked: set[int] = set()
        self._unnamed = False  # whether the run folder may get another number
        self._from_co2e = False  # whether the energy budget is what that on CO2e can stand for
        self._domains: Sequence[str] = ()  # of the meter, one for each of several workers

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
        show: Show | None = None,
        listeners: Iterable[Listener] = (),
    ) -> Self:
        """A searcher that goes on where a run folder was left: after a crash, a Ctrl-C, or an exhausted budget.

        Args:
            directory: The run folder.
            train: The same training as before; not needed for the built-in one.
            budget_kwh: A new ceiling on the whole search, what is spent already included; by default the old one.
            budget_j: The same in joules.
            budget_gco2e: A new ceiling on CO2e in grams, what is spent already included; by default the old one.
            strategy: The same object as before, if the strategy was one; it is told all stored trials.
            meter: As in the constructor.
            parameters: The same function as before, if there was one.
            workers: As in the constructor; by default those of before.
            grid_intensity: Another one from here on; by default as before.
            show: As in the constructor.
            listeners: As in the constructor.

        Raises:
            RunFolderError: Not a run folder, or a newer one.
            RunLockedError: Another process is writing it.
            BudgetError: The budget is spent, and no larger one is given.
        """
        path = Path(directory).absolute()
        folder = RunFolder.open(path)
        try:
            before = read_snapshot(folder.ledger, metric_of(folder.settings))
            new_budget = budget_kwh is not None or budget_j is not None
            total_j = budget_in_joules(budget_kwh, budget_j) if new_budget else before.settings["budget_j"]
            settings = SearchSettings.of_run(folder.settings, path, reported=before.reported, strategy=strategy)
            own, sources = _meter(meter)
            budget_gco2e = before.settings.get("budget_g") if budget_gco2e is None else budget_gco2e
            before.settings["budget_g"] = budget_gco2e
            grid = grid_of(grid_intensity) or settings.grid
            limits = replace(settings.limits, budget_gco2e=budget_gco2e)
            settings = replace(settings, grid=grid, limits=limits, sources=sources or settings.sources)
            derived = folder.settings["run"].get("budget_from_co2e", False) and not new_budget
            if derived and budget_gco2e is not None and grid is not None:
                grid.start()
                total_j = max(total_j, budget_of_co2e(budget_gco2e, grid, limits.until_s))
            refuse_spent(path, total_j, before)
            executor = _executor(train) or create_executor(
                folder.settings.get("executor", {}), path, folder.settings.get("data", {})
            )
            self = cls.__new__(cls)
            workers = workers or folder.settings.get("workers", {}).get("given") or None
            self._set_up(settings, executor, path, total_j, own, show, parameters, workers, listeners)
            self._folder, self._before = folder, before
        except BaseException:
            folder.close()
            raise
        return self

    def run(self) -> Result:
        """Search until the budget, a limit or the strategy ends it.

        Raises:
            BudgetError: The budget ended before the first measurement; nothing is left on disk.
            SearchFailed: No trial succeeded.
            KeyboardInterrupt: After all that was measured is safe; `Searcher.resume` goes on.
        """
        if self._executor is None:
            raise UsageError("this searcher was given no training; pass one, or drive it with ask() and tell()")
        if self._search is not None and self._search.ended is not None:
            raise UsageError(
                f"this search is over; to go on with it: ecoml.Searcher.resume({str(self.directory)!r}, …).run()"
            )
        with self:
            search = self._open()
            stepper = self._stepper(search)
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
            self._refuse_emptiness(search)
            return self.result

    def _stepper(self, search: Search) -> Stepper:
        """What advances runs: on this process's workers, or on those of other hosts."""
        assert self._executor is not None
        assert self._folder is not None
        if self._workers is None:
            return stepper_of(seats_of(self._executor, search.ledger, self._domains), search.interruptible)
        return self._workers.stepper(self._executor, self.settings, search.ledger, self._folder, search.interruptible)

    def ask(self) -> Trial | None:
        """The next trial to train by one's own means.

        None when the search is over, or where nothing more fits beside the trials that are under way.
        """
        search = self._open()
        if search.ended:
            return None
        if search.ledger.metered and self._asked:
            raise UsageError(f"tell the result of trial {min(self._asked)} first: two trials cannot be metered apart")
        unknown_j = UNKNOWN_SHARE * self.budget_j
        for number in self._asked:  # with what is known by now
            search.reserve(search.trials[number], unknown_j)
        if self._asked and not search.has_room(unknown_j):
            return None
        decision = search.decide()
        if isinstance(decision, SearchEnd):
            if not self._asked:  # else there may be room again when what is under way has been told
                search.end(decision)
            return None
        trial = search.begin(decision) if isinstance(decision, Start) else search.trials[decision.number]
        if not search.reserve(trial, unknown_j):
            search.change(trial, TrialState.STOPPED, TrialEnd(EndReason.BUDGET))
            if not self._asked:
                search.end(search.spent_on(trial))
            return None
        if trial.state is not TrialState.RUNNING:
            search.change(trial, TrialState.RUNNING)
        self._asked.add(trial.number)
        search.ledger.enter(Purpose.TRAINING, trial.number)
        return trial

    def tell(
        self,
        trial: Trial,
        score: float,
        energy_j: float | None = None,
        *,
        uncertainty_j: float = 0.0,
        done: bool = True,
    ) -> None:
        """The score of a trial that `ask` gave; with `energy="reported"` also its energy since the last `tell`.

        Args:
            trial: The trial.
            score: As the metric has it; not a number if the training failed.
            energy_j: Joules since the measurement before.
            uncertainty_j: Half-width of `energy_j`.
            done: Whether its training is over; otherwise further points may be told.

        Raises:
            UsageError: The trial is not under way.
            TrainingError: A value makes no sense, or contradicts where the search's energy comes from.
        """
        search = self._open()
        if trial.number not in self._asked:
            raise UsageError(f"trial {trial.number} is not under way; tell what ask() gave, once")
        measurement = Measurement(score, energy_j, uncertainty_j)
        try:
            search.record(trial, measurement)
        finally:
            if trial.state.ended:
                self._asked.discard(trial.number)
        if done and not trial.state.ended:
            search.change(trial, TrialState.FINISHED, TrialEnd(EndReason.FINISHED))
        if trial.state.ended:
            self._asked.discard(trial.number)
        else:
            search.reserve(trial)
            search.ledger.enter(Purpose.TRAINING, trial.number)

    @property
    def result(self) -> Result:
        """What is known by now."""
        search = self._open()
        if search.ledger.closed:
            return Result.load(self.directory)
        search.ledger.settle()
        assert self._folder is not None, "an open search has a folder"
        return result_of(search.ledger.snapshot(), self._folder.settings, self.directory)

    def close(self) -> None:
        """Let go of meter, ledger and run folder. May be called twice."""
        if self._search is not None:
            self._search.close()
            if self._listeners and not self._search.ledger.closed:
                with suppress(StorageError):
                    self._listeners.end(self.result)
            self._search.ledger.close()
        if self._folder is not None:
            self._folder.close()
        if self.settings.grid is not None:
            self.settings.grid.close()
        if self._meter_is_ours and self._meter is not None:
            self._meter.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> Search:
        """Everything a search needs, opened once: first what may be refused, then the run folder."""
        if self._search is not None:
            return self._search
        executor, settings = self._executor, self.settings
        if settings.grid is not None:
            settings.grid.start()
        metering = self._open_metering() if settings.energy == "metered" else None
        if isinstance(executor, Pooled) and metering is not None and len(gpus := executor.gpus()) > 1:
            from ecoml.meter.counters.ordinals import domains_of

            self._domains = domains_of(gpus, metering.meter.sources)
        if executor is not None:
            spent_j = self._before.spent_j if self._before is not None else 0.0
            with getting_ready(executor, metering, self.budget_j - spent_j):
                executor.prepare(settings.space)
        if isinstance(executor, OnData) and self._folder is not None and "data" in self._folder.settings:
            executor.refuse_changed(self._folder.settings["data"], self.directory)
        if isinstance(executor, OnData) and isinstance(executor, Declares) and executor.metric != settings.metric:
            told = f"its scores are {settings.metric.name}, and this training measures {executor.metric.name}"
            raise UsageError(f"{self.directory}: {told}; give the training that metric")
        if metering is not None and settings.warm_start is not None:
            settings.warm_start.refuse_mixture(metering.meter.provenance)
        if metering is not None and executor is not None and self._before is None:
            ready_j = metering.window.energy_j
            if ready_j >= self.budget_j:
                raise too_small(self.budget_j, ready_j, metering.window.provenance, "getting ready")
        if self._folder is None:
            numbered = self._unnamed
            self._folder = RunFolder.create(
                self.directory, self._to_dict(metering), settings.files(), numbered=numbered
            )
            self.directory = self._folder.path
        ledger = Ledger(
            *(self._folder, self.budget_j, settings.metric, metering),
            trace=settings.trace,
            lease_s=0.0 if self._workers is None else self._workers.lease_s,
            grid=settings.grid,
            budget_g=settings.limits.budget_gco2e,
        )
        self._search = Search(settings, self._strategy, executor, ledger, self._interrupts, self._size)
        if settings.grid is not None and settings.limits.when_clean_g_per_kwh is not None:
            self._search.wait = CleanWait(settings.grid, settings.limits, ledger, self._interrupts.allowed)
        if self._before is not None:
            self._search.restore(ledger.snapshot().trials)
        if self._listeners:
            self._listeners.start(self.result)
            self._search.listeners.append(self._listeners.heard)
        return self._search

    def _open_metering(self) -> Metering:
        """The one meter of this search, watched from here on."""
        if self._meter is None:
            self._meter = meter_for(self._executor, self.settings.sources)
        if self.settings.limits.require_measured:
            refuse_unmeasured(self._meter)
        if self._before is not None:
            refuse_mixture(self.directory, self._before, self._meter.provenance)
        return open_metering(self._meter, self.budget_j, self._before)

    def _to_dict(self, metering: Metering | None) -> dict[str, Any]:
        """For `run.toml`."""
        settings = self.settings.to_dict()
        described = dict(self._executor.describe()) if self._executor is not None else {"kind": "ask-and-tell"}
        settings["run"]["problem"] = str(described.get("data") or described.get("name") or described["kind"])
        settings["run"]["budget_j"] = self.budget_j
        if self._workers is not None:
            settings["workers"] = self._workers.to_dict()
        if self._from_co2e:
            settings["run"]["budget_from_co2e"] = True
        if self.settings.warm_start is not None:
            settings["warm_start"]["learnt"] = isinstance(self._strategy, Learns)
        if metering is not None and (sources := describe_sources(metering.meter.sources)):
            settings["meter"] = sources
        if isinstance(self._executor, OnData):
            settings["data"] = dict(self._executor.data_table())
        settings["executor"] = {key: value for key, value in described.items() if value is not None}
        return settings

    def _refuse_emptiness(self, search: Search) -> None:
        if any(trial.curve for trial in search.trials):
            return
        if any(trial.state is TrialState.FAILED for trial in search.trials):
            assert search.ended is not None, "it has just ended"
            raise SearchFailed(
                f"no trial succeeded: {describe_search_end(search.ended, self.settings.metric)};"
                f" the account is in {self.directory}",
                spent_j=search.ledger.spent_j,
            )
        ledger = search.ledger
        if not search.trials and self._size.excluded:
            ledger.delete()
            raise self._size.refusal()
        if search.trials and self._before is None:
            ledger.delete()
            raise too_small(self.budget_j, ledger.spent_j, ledger.provenance, "getting ready and the first trial")


def _meter(given: Meter | str | Sequence[str] | None) -> tuple[Meter | None, tuple[str, ...]]:
    """A meter of one's own, and what is said of this host's sources."""
    if given is None or isinstance(given, str):
        return None, (given,) if given else ()
    return (None, tuple(given)) if isinstance(given, Sequence) else (given, ())


def _metric(given: Metric | None, executor: Executor | None) -> Metric:
    """What the scores are: as the executor says, or else the caller."""
    if not isinstance(executor, Declares):
        return ACCURACY if given is None else given
    if given is not None and given != executor.metric:
        raise UsageError(f"the training measures {executor.metric.name}; leave metric={given.name!r} out")
    return executor.metric


def _executor(train: TrainFunction | Executor | None) -> Executor | None:
    if train is None or isinstance(train, Executor):
        return train
    if callable(train):
        return FunctionExecutor(train)
    raise UsageError(f"the training is a {type(train).__name__}; give a function of the configuration or an executor")
