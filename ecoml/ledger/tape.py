"""The tape: the meter's energy in pieces, cut where the purpose changes, until it is entered.

Pieces that follow one another on the same purpose are one window: the edge between them cancels. So are the pieces of a
step (training, then evaluation), and all pieces of a sitting, which are what the host took.
"""

from __future__ import annotations

from ecoml.energy import Energy, Purpose

_OF_STEP = (Purpose.TRAINING, Purpose.EVALUATION)

Key = tuple[Purpose, int | None]


class Tape:
    """What was cut and is not entered yet.

    Attributes:
        host: All pieces since the sitting began, as one window; entering them takes nothing from it.
    """

    def __init__(self) -> None:
        self.host: Energy | None = None
        self._apart: dict[Key, Energy] = {}
        self._last: tuple[Key, Energy] | None = None
        self._step: Energy | None = None
        self._step_goes_on = False
        self._evaluation_j = 0.0
        self._told: set[str] = set()

    def add(self, purpose: Purpose, trial: int | None, piece: Energy) -> None:
        """A piece that begins where the one before ended. A gap that lasts is kept once."""
        bare = Energy(piece.domains)
        piece = Energy(piece.domains, tuple(gap for gap in piece.gaps if gap not in self._told))
        self._told.update(piece.gaps)
        self.host = bare if self.host is None else self.host.then(bare)
        key = purpose, trial
        if self._last is not None and self._last[0] == key:
            self._last = key, self._last[1].then(piece)
        else:
            self._put_apart()
            self._last = key, piece
        if purpose not in _OF_STEP:
            self._step_goes_on = False
            return
        if self._step is None:
            self._step = bare
        else:
            self._step = self._step.then(bare) if self._step_goes_on else self._step + bare
        self._step_goes_on = True
        if purpose is Purpose.EVALUATION:
            self._evaluation_j += piece.energy_j

    @property
    def pending(self) -> dict[Key, Energy]:
        """What is not entered yet, by purpose and trial."""
        pending = dict(self._apart)
        if self._last is not None:
            key, piece = self._last
            pending[key] = pending.get(key, Energy()) + piece
        return pending

    @property
    def step(self) -> Energy:
        """Training and evaluation since the last step ended, entered or not."""
        return self._step or Energy()

    @property
    def evaluation_j(self) -> float:
        """The evaluation's part of the step."""
        return self._evaluation_j

    def entered(self) -> None:
        """All that was pending is entered."""
        self._apart, self._last = {}, None

    def end_step(self) -> None:
        """The next piece of training is another step's."""
        self._step, self._step_goes_on, self._evaluation_j = None, False, 0.0

    def _put_apart(self) -> None:
        if self._last is not None:
            key, piece = self._last
            self._apart[key] = self._apart.get(key, Energy()) + piece
