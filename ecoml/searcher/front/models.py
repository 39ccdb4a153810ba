"""The models of a run: the weights of every point of the front, as safetensors in `models/`.

They are saved during the search, and tested once at the end with the reserved energy.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ecoml.energy import Purpose
from ecoml.errors import StorageError, in_one_line
from ecoml.ledger import Ledger
from ecoml.metric import Metric
from ecoml.run.choice.lifetime import choices
from ecoml.run.models import model_path
from ecoml.searcher.interrupts import Interrupts
from ecoml.training.base import Executor, Run, Saving, Tested, Used
from ecoml.trial import Measurement, Trial

_MARGIN = 1.25  # of the forecast of a test, for loading the model

_USE_SHARE = 0.02
"""Largest energy for measuring predictions, as a share of what the search has spent."""

_USE_S, _READY_S = 0.1, 0.05
"""Seconds for which a model predicts, for each batch size; and the approximate time to load it."""

_UPDATES = 5
"""A measurement covers at least this many updates of the slowest counter."""


def keep_only(directory: Path, front: Sequence[Trial]) -> None:
    """Delete the weights of trials that have left the front."""
    kept = {model_path(directory, trial) for trial in front}
    for path in (directory / "models").glob("trial-*.safetensors"):
        if path not in kept:
            path.unlink(missing_ok=True)


class FrontModels:
    """Saves and tests models; does nothing if the executor has no networks to save.

    Args:
        executor: Saves and tests them.
        ledger: The ledger, whose folder stores them, and to which tests are charged.
        interrupts: A test may be interrupted.
        metric: The metric of the scores.

    Attributes:
        kept: Whether there are networks to save.
    """

    def __init__(self, executor: Executor | None, ledger: Ledger, interrupts: Interrupts, metric: Metric) -> None:
        self._executor = executor if isinstance(executor, Tested) else None
        self.kept = self._executor is not None
        self._ledger = ledger
        self._interruptible = interrupts.allowed
        self._metric = metric
        self._said = False  # that a network could not be kept

    def keep(self, run: Run | None, trial: Trial, kept: Sequence[Trial]) -> None:
        """Save the network of `trial`, and delete those that are no longer to be kept.

        Raises:
            ChildProcessError, TimeoutError: The process that held the network has ended.
            StorageError: The folder cannot be written.
        """
        if self._executor is None or run is None:
            return
        self._save(run, trial)
        keep_only(self._ledger.path, kept)

    def _save(self, run: Run | None, trial: Trial) -> None:
        if self._executor is None or run is None:
            return
        path = model_path(self._ledger.path, trial)
        try:
            if isinstance(run, Saving):
                run.save(path)
            else:
                self._executor.save(run, trial, path)
        except (ChildProcessError, TimeoutError):
            raise
        except OSError as error:
            raise StorageError(
                f"{path}: {error.strerror or error}; earlier measurements are saved:"
                f" free some space, then continue with `ecoml resume`",
                spent_j=self._ledger.spent_j,
            ) from error
        except Exception as error:  # a model of the caller's own that no file can hold: its score stands
            if not self._said:
                self._ledger.note(f"networks could not be saved, from trial {trial.number} on: {in_one_line(error)}")
            self._said = True

    def keep_back(self, front: Sequence[Trial]) -> None:
        """Reserve the energy for testing the front, and for measuring what predictions cost."""
        if self._executor is not None:
            use_j = _USE_SHARE * self._ledger.spent_j if isinstance(self._executor, Used) else 0.0
            self._ledger.budget.keep_back(sum(self._test_j(trial) for trial in front) + use_j)

    def test(self, first: Sequence[Trial], front: Sequence[Trial]) -> None:
        """Test the networks once, the recommended ones first, then the front, as far as the budget allows."""
        if self._executor is None:
            return
        for trial in {(trial.number, trial.step): trial for trial in (*first, *front)}.values():
            path = model_path(self._ledger.path, trial)
            if self._ledger.budget_j - self._ledger.spent_j < self._test_j(trial) or not path.is_file():
                continue
            self._ledger.enter(Purpose.EVALUATION)
            try:
                with self._interruptible:
                    tested = self._executor.test(path)
            except Exception as error:  # the search is done: what it found must not be lost to its last act
                self._ledger.note(f"trial {trial.number}, step {trial.step} could not be tested: {in_one_line(error)}")
            else:
                found = tested if isinstance(tested, Measurement) else Measurement(tested)
                self._ledger.add_test(trial, found.score, found.details)
            self._ledger.enter(Purpose.OVERHEAD)
            self._ledger.settle()

    def use(self, first: Sequence[Trial], front: Sequence[Trial]) -> None:
        """Measure what predictions cost, for the recommended models first, with a small share of the search's
        energy.
        """
        executor, ledger = self._executor, self._ledger
        power_w = ledger.power_w
        if not isinstance(executor, Used) or not power_w:
            return
        each_s = self._each_s
        each_j = power_w * (2 * each_s + _READY_S)
        left_j = min(_USE_SHARE * ledger.spent_j, ledger.budget_j - ledger.spent_j)
        good = sorted(front, key=lambda trial: trial not in choices(front, self._metric))
        order = list({(trial.number, trial.step): trial for trial in (*first, *good)}.values())
        for trial in [trial for trial in order if trial.usage is None][: int(left_j / each_j)]:
            self._try(trial, each_s, each_j)

    def try_at_once(self, run: Run | None, trial: Trial) -> None:
        """Measure the cost of predictions with the network of a trial in training, if the budget allows it.

        Raises:
            ChildProcessError, TimeoutError: The process with the network has ended.
            StorageError: The folder cannot be written.
        """
        self._save(run, trial)
        if power_w := self._ledger.power_w:
            each_s = self._each_s
            self._try(trial, each_s, power_w * (2 * each_s + _READY_S))
        model_path(self._ledger.path, trial).unlink(missing_ok=True)  # the front decides whether it is kept

    @property
    def _each_s(self) -> float:
        return max(_USE_S, _UPDATES * self._ledger.update_s)

    def _try(self, trial: Trial, each_s: float, each_j: float) -> None:
        executor, ledger = self._executor, self._ledger
        path = model_path(ledger.path, trial)
        if not isinstance(executor, Used) or not path.is_file() or ledger.budget_j - ledger.spent_j < each_j:
            return
        ledger.enter(Purpose.EVALUATION)
        try:
            with self._interruptible:
                trial.usage = executor.use(path, each_s, ledger.window)
        except Exception as error:  # as in `test`
            ledger.note(f"trial {trial.number}, step {trial.step} could not be measured in use: {in_one_line(error)}")
        else:
            ledger.add_usage(trial, trial.usage)
        ledger.enter(Purpose.OVERHEAD)
        ledger.settle()

    def _test_j(self, trial: Trial) -> float:
        assert self._executor is not None
        return _MARGIN * trial.curve[-1].evaluation_j * self._executor.test_cost
