"""What the tests of the training share: accounts that write down, and trainings without a worker around them."""

from __future__ import annotations

import math

from ecoml.energy import Purpose
from ecoml.errors import BudgetExhausted
from ecoml.training.images.data.loader import load
from ecoml.training.images.worker import device
from ecoml.training.images.worker.loop import Training
from ecoml.training.images.worker.workload import Workload
from ecoml.trial import Trial


class Book:
    """Writes down what a run tells its account; refuses the budget check with the given number."""

    def __init__(self, refused: float = math.inf) -> None:
        self.entries: list[str] = []
        self.checks = 0
        self.refused = refused

    def check_budget(self) -> None:
        self.checks += 1
        if self.checks == self.refused:
            raise BudgetExhausted
        if self.entries[-1] != "check":
            self.entries.append("check")

    def enter(self, purpose: Purpose) -> None:
        if self.entries[-1:] != [purpose.value]:
            self.entries.append(purpose.value)


def workload(name="digits", seed=0):
    """What is trained on, on the CPU."""
    return Workload(name, None, False, "cpu", seed, 1, True, 0.2, False)


def task(name="digits", seed=0):
    """Data on the CPU, for trainings in this very process."""
    return device.task_of(load(name), workload(name, seed))


def training(of, config, number=0, book=None, build=None):
    """A training in this very process."""
    return Training(of, number, config, book or Book(), build)


def start(executor, config, number=0, book=None):
    """A run of an executor."""
    return executor.start(Trial(number, config), book or Book())


def rest(run):
    """The accuracies of a run's remaining epochs."""
    scores = []
    while True:
        try:
            scores.append(next(run).score)
        except StopIteration:
            return scores


def advanced(of):
    """The accuracies of a training's remaining epochs."""
    return [found.accuracy for found in iter(of.advance, None)]
