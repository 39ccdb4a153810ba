"""Searcher: the one loop. It asks the strategy, advances runs, charges the ledger, and keeps the budget."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ecoml.energy import Provenance, Purpose, comparable
from ecoml.errors import EcomlError, MeterError, SearchFailed, StorageError, UsageError
from ecoml.meter.idle import Idle, measure_idle
from ecoml.run import Ledger, Metering
from ecoml.run.budget import budget_in_joules, refuse_spent, too_small
from ecoml.run.folder import RunFolder, check_free, default_path
from ecoml.run.result import Result, result_of
from ecoml.run.store import Snapshot, read_snapshot
from ecoml.searcher.interrupts import Interrupts
from ecoml.searcher.loop import Loop
from ecoml.searcher.settings import Settings
from ecoml.searcher.warm_start import WarmStart
from ecoml.searcher.workers import ParallelRunner
from ecoml.space import Space
from ecoml.strategies import Start, Strategy
from ecoml.strategies.base import Learns
from ecoml.training.base import Divided, Executor, Floored, OnGpus, Part
from ecoml.training.create import create_executor
from ecoml.training.function import FunctionExecutor, TrainFunction, brings_energy
from ecoml.training.size import Parameters, size_limit
from ecoml.trial import Measurement, Trial, TrialState

if TYPE_CHECKING:
    from ecoml.meter.base import Meter

INTERRUPTED = "interrupted"
"""How the reason begins when a search was left before its end."""


class Searcher:
    """A search for the best networks that an energy budget buys.

    Args:
        space: What may be tried.
        train: A training function (see `ecoml.training.function`), or an executor such as `CnnTraining`; None for a
            search that is driven by `ask` and `tell`.
        budget_kwh: Ceiling on the energy of the whole search, in kWh.
        budget_j: The same in joules; give one of the two.
        strategy: A name (see `ecoml strategies`), the path of a strategy file, or any object with `ask` and `tell`.
        seed: Of proposals, data split and initial weights.
        directory: The run folder; it must be new. By default one below `runs/`.
        meter: A meter of one's own; by default that of this host.
        max_trials: End after so many trials.
        target: End when a measurement reaches this validation accuracy.
        require_measured: Refuse to run on an estimate.
        trace: Keep power over time in the run folder; the report draws it.
        max_parameters: Networks with more trainable numbers are never trained.
        parameters: Counts those of a configuration; not needed for the built-in training.
        max_energy_per_training_j: A training is stopped before a step that would make it take more joules, and what
            took more is on no front.
        spend_all: Go on to the end of the budget, even where the strategy expects no more of the rest.
        warm_start: A run folder whose trials inform the strategy. Their energy is not charged again, and they are no
            trials of this search.
        progress: Show what happens.

    Raises:
        UsageError: Something here cannot be used; nothing has been written.

    Attributes:
        plan: All that decides how the search goes.
        budget_j: The ceiling in joules.
        directory: The run folder.
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
        meter: Meter | None = None,
        max_trials: int | None = None,
        target: float | None = None,
        require_measured: bool = False,
        trace: bool = False,
        max_parameters: int | None = None,
        parameters: Parameters | None = None,
        max_energy_per_training_j: float | None = None,
        spend_all: bool = False,
        warm_start: str | Path | None = None,
        progress: bool = True,
    ) -> None:
        budget_j = budget_in_joules(budget_kwh, budget_j)
        plan = Settings(
            space,
            strategy,
            seed,
            max_trials,
            target,
            require_measured,
            trace,
            max_parameters,
            max_energy_per_training_j,
            spend_all,
        )
        if warm_start is not None:
            plan = replace(plan, warm_start=WarmStart.of_run(warm_start, space))
        path = Path(directory) if directory is not None else default_path(plan.strategy_name)
        check_free(path)
        self._set_up(plan, _executor(train), path, budget_j, meter, progress, parameters)

    def _set_up(
        self,
        plan: Settings,
        executor: Executor | None,
        path: Path,
        budget_j: float,
        meter: Meter | None,
        progress: bool,
        parameters: Parameters | None,
    ) -> None:
        self.plan = plan
        self.budget_j = budget_j
        self.directory = path
        self._executor = executor
        self._strategy = plan.create_strategy()
        self._size = size_limit(plan.max_parameters, executor, parameters)
        self._meter = meter
        self._meter_is_ours = meter is None
        self._progress = progress
        self._folder: RunFolder | None = None
        self._before: Snapshot | None = None
        self._search: Loop | None = None
        self._interrupts = Interrupts()
        self._asked: set[int] = set()
        self._parts: Sequence[Part] = ()  # of an executor that trains on several GPUs at once
        self._domains: Sequence[str] = ()  # of each of them
        if executor is not None and hasattr(executor, "seed"):
            executor.seed = plan.seed

    @classmethod
    def resume(
        cls,
        directory: str | Path,
        train: TrainFunction | Executor | None = None,
        *,
        budget_kwh: float | None = None,
        budget_j: float | None = None,
        strategy: Strategy | None = None,
        meter: Meter | None = None,
        parameters: Parameters | None = None,
        progress: bool = True,
    ) -> Self:
        """A searcher that goes on where a run folder was left: after a crash, a Ctrl-C, or an exhausted budget.

        Args:
            directory: The run folder.
            train: The same training as before; not needed for the built-in one.
            budget_kwh: A new ceiling on the whole search, what is spent already included; by default the old one.
            budget_j: The same in joules.
            strategy: The same object as before, if the strategy was one; it is told all stored trials.
            meter: As in the constructor.
            parameters: The same function as before, if there was one.
            progress: As in the constructor.

        Raises:
            RunFolderError: Not a run folder, or a newer one.
            RunLockedError: Another process is writing it.
            BudgetError: The budget is spent, and no larger one is given.
        """
        path = Path(directory)
        folder = RunFolder.open(path)
        try:
            before = read_snapshot(folder.ledger)
            new_budget = budget_kwh is not None or budget_j is not None
            total_j = budget_in_joules(budget_kwh, budget_j) if new_budget else before.settings["budget_j"]
            refuse_spent(path, total_j, before)
            plan = Settings.from_settings(folder.settings, path, strategy)
            executor = _executor(train) or create_executor(folder.settings.get("executor", {}), path)
            self = cls.__new__(cls)
            self._set_up(plan, executor, path, total_j, meter, progress, parameters)
            self._folder, self._before = folder, before
        except BaseException:
            folder.close()
            raise
        return self

    def run(self) -> Result:
        """Search until the budget, the target, `max_trials` or the strategy ends it.

        Raises:
            BudgetError: The budget ended before the first measurement; nothing is left on disk.
            SearchFailed: No trial succeeded.
            KeyboardInterrupt: After all that was measured is safe; `Searcher.resume` goes on.
        """
        if self._executor is None:
            raise UsageError("this searcher was given no training; pass one, or drive it with ask() and tell()")
        with self:
            search = self._open()
            with self._interrupts, self._shown(search):
                try:
                    search.end(self._loop(search))
                except KeyboardInterrupt:
                    search.end(f"{INTERRUPTED} by the user", test=False)
                    raise
                except EcomlError as error:
                    with suppress(StorageError):
                        search.end(f"{INTERRUPTED}: {error}", test=False)
                    raise
            self._refuse_emptiness(search)
            return self.result

    def ask(self) -> Trial | None:
        """The next trial to train by one's own means, or None when the search is over."""
        search = self._open()
        if search.ended:
            return None
        if search.ledger.metered and not search.ledger.provisional and self._asked:
            raise UsageError(f"tell the result of trial {min(self._asked)} first: two trials cannot be metered apart")
        decision = search.decide()
        if isinstance(decision, str):
            search.end(decision)
            return None
        trial = search.begin(decision) if isinstance(decision, Start) else search.trials[decision.number]
        search.reserve(trial)
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
        """The validation accuracy of a trial that `ask` gave, and its energy since the last `tell` if one has it.

        Args:
            trial: The trial.
            score: In [0, 1]; not a number if the training failed.
            energy_j: Joules since the measurement before; None: what the meter saw since `ask`.
            uncertainty_j: Half-width of `energy_j`.
            done: Whether its training is over; otherwise further points may be told.
        """
        search = self._open()
        if trial.number not in self._asked:
            raise UsageError(f"trial {trial.number} is not under way; tell what ask() gave, once")
        if energy_j is None and len(self._asked) > 1:
            raise UsageError(f"trial {trial.number}: several trials are under way, so tell its energy_j as well")
        search.record(trial, Measurement(score, energy_j, uncertainty_j))
        if done and not trial.state.ended:
            search.change(trial, TrialState.FINISHED)
        if trial.state.ended:
            self._asked.discard(trial.number)
        else:
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
            self._search.ledger.close()
        if self._folder is not None:
            self._folder.close()
        if self._meter_is_ours and self._meter is not None:
            self._meter.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def _loop(self, search: Loop) -> str:
        if self._parts:
            return ParallelRunner(search, self._parts, self._domains).run()
        while True:
            decision = search.decide()
            if isinstance(decision, str):
                return decision
            trial = search.begin(decision) if isinstance(decision, Start) else search.trials[decision.number]
            if reason := search.advance(trial, decision.steps):
                return reason

    def _open(self) -> Loop:
        """Everything the loop needs, opened once: first what may be refused, then the run folder."""
        if self._search is not None:
            return self._search
        metered = not self._brings_energy()
        metering = self._open_metering() if metered else None
        if isinstance(self._executor, Divided) and metering is not None and len(gpus := self._executor.gpus()) > 1:
            from ecoml.meter.counters.ordinals import domains_of

            self._domains = domains_of(gpus, metering.meter.sources)
        if self._executor is not None:
            self._executor.prepare(self.plan.space)
        if isinstance(self._executor, Divided) and len(parts := self._executor.parts()) > 1:
            self._parts = parts
        may_bring_energy = self._executor is None or isinstance(self._executor, FunctionExecutor)
        if metering is not None and not may_bring_energy and self.plan.warm_start is not None:
            self.plan.warm_start.refuse_mixture(metering.meter.provenance)
        if metering is not None and not may_bring_energy and self._before is None:
            ready_j = metering.window.energy_j
            if ready_j >= self.budget_j:
                raise too_small(self.budget_j, ready_j, metering.window.provenance, "getting ready")
        open_metering = self._open_metering if metering is None else lambda: metering
        if self._folder is None:
            self._folder = RunFolder.create(self.directory, self._settings(), self.plan.files())
        ledger = Ledger(self._folder, self.budget_j, open_metering, metered=metered, trace=self.plan.trace)
        self._search = Loop(self.plan, self._strategy, self._executor, ledger, self._interrupts, self._size)
        if self._before is not None:
            self._search.restore(ledger.snapshot().trials)
        return self._search

    def _brings_energy(self) -> bool:
        if self._before is not None and self._before.progress:
            return self._before.reported
        return isinstance(self._executor, FunctionExecutor) and brings_energy(self._executor.function)

    def _open_metering(self) -> Metering:
        """The one meter of this search, watched from here on."""
        if self._meter is None:
            from ecoml.meter import open_meter
            from ecoml.meter.counters.ordinals import nvml_indices

            gpus = nvml_indices(self._executor.gpus()) if isinstance(self._executor, OnGpus) else None
            self._meter = open_meter(gpus=gpus)
        from ecoml.meter.required import refuse_unmeasured

        meter = self._meter
        if self.plan.require_measured:
            refuse_unmeasured(meter)
        self._refuse_mixture(meter.provenance)
        opened_s, window = time.monotonic(), meter.window().__enter__()
        known = self._before.idle if self._before is not None else {}
        left_j = self.budget_j - (self._before.spent_j if self._before is not None else 0.0)
        return Metering(meter, window, opened_s, Idle(known) if known else measure_idle(meter, left_j))

    def _refuse_mixture(self, now: Provenance) -> None:
        """Joules of a counter and joules of a model in one search would be compared as if they were the same."""
        before = self._before.by_purpose[Purpose.TRAINING].provenance if self._before is not None else now
        if not comparable(before, now):
            raise MeterError(
                f"{self.directory}: its energy was {before} so far and would be {now} here; go on where it is {before}"
                " (see `ecoml meters`), or start a new run"
            )

    def _settings(self) -> dict[str, Any]:
        settings = self.plan.to_settings()
        described = dict(self._executor.describe()) if self._executor is not None else {"kind": "ask-and-tell"}
        settings["run"]["problem"] = str(described.get("data") or described.get("name") or described["kind"])
        settings["run"]["budget_j"] = self.budget_j
        if self.plan.warm_start is not None:
            settings["warm_start"]["learnt"] = isinstance(self._strategy, Learns)
        settings["executor"] = {key: value for key, value in described.items() if value is not None}
        if isinstance(self._executor, Floored) and (floor := self._executor.floor()) is not None:
            settings["floor"] = floor.to_dict()
        return settings

    def _refuse_emptiness(self, search: Loop) -> None:
        if any(trial.curve for trial in search.trials):
            return
        if any(trial.state is TrialState.FAILED for trial in search.trials):
            raise SearchFailed(
                f"no trial succeeded: {search.ended}; the account is in {self.directory}", spent_j=search.ledger.spent_j
            )
        ledger = search.ledger
        if not search.trials and self._size.excluded:
            ledger.delete()
            raise self._size.refusal()
        if search.trials and self._before is None:
            ledger.delete()
            raise too_small(self.budget_j, ledger.spent_j, ledger.provenance, "getting ready and the first trial")

    @contextmanager
    def _shown(self, search: Loop) -> Iterator[None]:
        if not self._progress:
            yield
            return
        from ecoml.report.terminal.progress import show

        with show(search):
            yield


def _executor(train: TrainFunction | Executor | None) -> Executor | None:
    if train is None or isinstance(train, Executor):
        return train
    if callable(train):
        return FunctionExecutor(train)
    raise UsageError(f"the training is a {type(train).__name__}; give a function of the configuration or an executor")
