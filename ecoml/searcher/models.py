"""The models of a run: the weights of every point of the front, as safetensors in `models/`.

While a search runs they are kept as files, and tested once at the end for what was kept back.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ecoml.energy import Purpose
from ecoml.errors import StorageError, in_one_line
from ecoml.ledger import Ledger
from ecoml.metric import Metric
from ecoml.run.models import model_path
from ecoml.run.result import recommend
from ecoml.searcher.interrupts import Interrupts
from ecoml.training.base import Executor, Run, Saving, Tested
from ecoml.trial import Measurement, Trial

_MARGIN = 1.25  # of the forecast of a test, for loading the model


def keep_only(directory: Path, front: Sequence[Trial]) -> None:
    """Delete the weights of trials that have left the front."""
    kept = {model_path(directory, trial) for trial in front}
    for path in (directory / "models").glob("trial-*.safetensors"):
        if path not in kept:
            path.unlink(missing_ok=True)


class FrontModels:
    """Does nothing where the executor has no networks to keep.

    Args:
        executor: Saves and tests them.
        ledger: Whose folder they are kept in, and whose energy their test takes.
        interrupts: A test may be interrupted.
        metric: What the scores are.

    Attributes:
        kept: Whether there are networks to keep.
    """

    def __init__(self, executor: Executor | None, ledger: Ledger, interrupts: Interrupts, metric: Metric) -> None:
        self._executor = executor if isinstance(executor, Tested) else None
        self.kept = self._executor is not None
        self._ledger = ledger
        self._metric = metric
        self._interruptible = interrupts.allowed
        self._said = False  # that a network could not be kept

    def keep(self, run: Run | None, trial: Trial, front: Sequence[Trial]) -> None:
        """Save the network of `trial`, which has joined the front, and delete those that have left it.

        Raises:
            ChildProcessError, TimeoutError: What held the network is gone, and it with it.
            StorageError: The folder cannot be written to.
        """
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
                f"{path}: {error.strerror or error}; what was measured before is safe: make room, then go on with"
                " `ecoml resume`",
                spent_j=self._ledger.spent_j,
            ) from error
        except Exception as error:  # a model of the caller's own that no file can hold: its score stands
            if not self._said:
                self._ledger.note(f"networks could not be kept, from trial {trial.number} on: {in_one_line(error)}")
            self._said = True
        keep_only(self._ledger.path, front)

    def keep_back(self, front: Sequence[Trial]) -> None:
        """Keep enough energy back to test the front."""
        if self._executor is not None:
            self._ledger.keep_back(sum(self._test_j(trial) for trial in front))

    def test(self, front: Sequence[Trial]) -> None:
        """Test the networks once, the recommended one first, as far as the budget goes."""
        if self._executor is None:
            return
        best = recommend(front, self._metric)
        for trial in sorted(front, key=lambda trial: trial is not best):
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

    def _test_j(self, trial: Trial) -> float:
        assert self._executor is not None
        return _MARGIN * trial.curve[-1].evaluation_j * self._executor.test_cost
