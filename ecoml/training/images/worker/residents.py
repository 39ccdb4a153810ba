"""Suspended trainings that stay on the device, with what was recorded of them, as long as memory allows.

The file of each is with its host: so it survives its worker, and may leave the device at any time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ecoml.training.images.worker.loop import Training

MOST = 256
"""Trainings that stay at once."""

MOST_RECORDED = 24
"""Trainings that have recordings at once: torch has 32 streams, and then gives out the same ones again."""

ROOM = 2.0
"""What a training is estimated to take must be free so many times beside those that stay."""


class Residents:
    """The suspended trainings of one device; the one that was used last leaves last."""

    def __init__(self) -> None:
        self._waiting: dict[int, Training] = {}  # by run

    def __len__(self) -> int:
        return len(self._waiting)

    def keep(self, run: int, training: Training) -> None:
        """Let the training of a run stay until its next turn."""
        self._waiting[run] = training
        while len(self._waiting) > MOST:
            self._let_go()

    def take(self, run: int, epoch: int) -> Training | None:
        """The training of a run that is to go on after so many epochs; None if it has left, or went on elsewhere."""
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
        """Let trainings go until another one has room.

        Args:
            needed: Bytes that it is estimated to take; None, for a network of the caller's own: it gets the device to
                itself.
            free: Bytes that are free at the moment; None if unknown.
        """
        while self._waiting and (needed is None or _short(ROOM * needed, free())):
            self._let_go()
        for training in [each for each in self._waiting.values() if each.recorded][: -(MOST_RECORDED - 1)]:
            training.release()

    def _let_go(self) -> None:
        """Free the training that was used longest ago."""
        self.drop(next(iter(self._waiting)))


def _short(needed: float, free: int | None) -> bool:
    return free is None or needed > free
