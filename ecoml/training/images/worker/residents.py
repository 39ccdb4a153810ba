"""Suspended trainings that stay on the device, with their recordings, as long as memory allows.

Their host has a checkpoint file of each, so a training survives its worker, and can leave the device at any time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ecoml.training.images.worker.loop import Training

MOST = 256
"""Largest number of trainings that stay at once."""

MOST_RECORDED = 24
"""Largest number of trainings with recordings: torch has 32 streams, and then returns the same ones again."""

ROOM = 2.0
"""This many times the estimated memory of a training must be free beside those that stay."""


class Residents:
    """The suspended trainings of one device; the least recently used leaves first."""

    def __init__(self) -> None:
        self._waiting: dict[int, Training] = {}  # by run

    def __len__(self) -> int:
        return len(self._waiting)

    def keep(self, run: int, training: Training) -> None:
        """Keep the training of a run until it is resumed."""
        self._waiting[run] = training
        while len(self._waiting) > MOST:
            self._let_go()

    def take(self, run: int, epoch: int) -> Training | None:
        """The training of a run that resumes after this many epochs; None if it has left, or continued elsewhere."""
        training = self._waiting.pop(run, None)
        if training is not None and training.epoch != epoch:
            training.release()
            return None
        return training

    def drop(self, run: int) -> None:
        """Free the training of a run, if it is here."""
        if (training := self._waiting.pop(run, None)) is not None:
            training.release()

    def clear(self) -> None:
        """Free all of them."""
        while self._waiting:
            self._let_go()

    def make_room(self, needed: int | None, free: Callable[[], int | None]) -> None:
        """Free trainings until another one fits.

        Args:
            needed: Estimated bytes of the other one; None for a network of the user's own, which gets the device for
                itself.
            free: Bytes that are currently free; None if unknown.
        """
        while self._waiting and (needed is None or _short(ROOM * needed, free())):
            self._let_go()
        for training in [each for each in self._waiting.values() if each.recorded][: -(MOST_RECORDED - 1)]:
            training.release()

    def _let_go(self) -> None:
        """Free the least recently used training."""
        self.drop(next(iter(self._waiting)))


def _short(needed: float, free: int | None) -> bool:
    return free is None or needed > free
