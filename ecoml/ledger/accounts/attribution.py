"""Attribution: the meter's energy in pieces, cut where the purpose changes, until they are entered.

Consecutive pieces of the same purpose are one window: the edge between them cancels. So are the pieces of a step
(training, then evaluation), and all pieces of a session, which are the host's energy. If several trials run at once, a
piece is divided first (`sharing.py`), and consecutive shares of a trial are joined in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ecoml.energy import EnergyByDomain, Purpose, co2e_g
from ecoml.ledger.accounts.sharing import Activity

_OF_STEP = (Purpose.TRAINING, Purpose.EVALUATION)


@dataclass(slots=True)
class Step:
    """Training and evaluation of a trial since its last step ended, entered or not.

    Attributes:
        energy: The energy.
        evaluation_j: Joules of the evaluation.
        goes_on: Whether the next piece starts where the last one ended.
        co2e_g: Its grams of CO2e, each piece at the intensity of its time; 0 if unknown.
    """

    energy: EnergyByDomain
    evaluation_j: float = 0.0
    goes_on: bool = True
    co2e_g: float = 0.0


class Attribution:
    """The pieces that are not entered yet.

    Attributes:
        host: All pieces since the session started, as one window; entering them does not change it.
        pending_g: Grams of CO2e of the energy that is not entered yet, by purpose and trial.
    """

    def __init__(self) -> None:
        self.host: EnergyByDomain | None = None
        self._apart: dict[Activity, EnergyByDomain] = {}
        self._last: dict[Activity, EnergyByDomain] = {}
        self._steps: dict[int | None, Step] = {}
        self._told: set[str] = set()
        self.pending_g: dict[Activity, float] = {}

    def add(self, piece: EnergyByDomain, divided: Mapping[Activity, EnergyByDomain], g_per_kwh: float = 0.0) -> None:
        """Add a piece that starts where the one before ended, with its division. A gap that continues is stored
        once.
        """
        bare = EnergyByDomain(piece.domains)
        self.host = bare if self.host is None else self.host.then(bare)
        for activity in [activity for activity in self._last if activity not in divided]:
            self._put_apart(activity)
        for step in [step for trial, step in self._steps.items() if not _goes_on(trial, divided)]:
            step.goes_on = False
        for activity, share in divided.items():
            new = EnergyByDomain(share.domains, tuple(gap for gap in share.gaps if gap not in self._told))
            self._last[activity] = self._last[activity].then(new) if activity in self._last else new
            grams = co2e_g(share.energy_j, g_per_kwh)
            self.pending_g[activity] = self.pending_g.get(activity, 0.0) + grams
            self._add_to_step(activity, EnergyByDomain(share.domains), grams)
        self._told.update(piece.gaps)

    @property
    def pending(self) -> dict[Activity, EnergyByDomain]:
        """The energy that is not entered yet, by purpose and trial."""
        pending = dict(self._apart)
        for activity, piece in self._last.items():
            pending[activity] = pending.get(activity, EnergyByDomain()) + piece
        return pending

    def step(self, trial: int) -> Step:
        """The step of a trial."""
        return self._steps.get(trial, Step(EnergyByDomain()))

    def entered(self) -> None:
        """All pending energy has been entered."""
        self._apart, self._last, self.pending_g = {}, {}, {}

    def end_step(self, trial: int) -> None:
        """The next piece of a trial's training belongs to another step."""
        self._steps.pop(trial, None)

    def _put_apart(self, activity: Activity) -> None:
        self._apart[activity] = self._apart.get(activity, EnergyByDomain()) + self._last.pop(activity)

    def _add_to_step(self, activity: Activity, bare: EnergyByDomain, grams: float) -> None:
        purpose, trial = activity
        if purpose not in _OF_STEP:
            return
        step = self._steps.get(trial)
        if step is None:
            step = self._steps[trial] = Step(bare)
        else:
            step.energy = step.energy.then(bare) if step.goes_on else step.energy + bare
            step.goes_on = True
        step.co2e_g += grams
        if purpose is Purpose.EVALUATION:
            step.evaluation_j += bare.energy_j


def _goes_on(trial: int | None, divided: Mapping[Activity, EnergyByDomain]) -> bool:
    return any((purpose, trial) in divided for purpose in _OF_STEP)
