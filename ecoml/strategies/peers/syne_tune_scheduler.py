"""Syne Tune's asynchronous successive halving with its default settings (Salinas et al., Syne Tune, 2022).

A scheduler suggests a configuration, is told every measurement of it, and continues or stops it: a stopped trial is
left suspended, and never continued. It is the stopping variant of ASHA. MOASHA is told the negative utility and the
joules of a trial so far, the others the utility only.

Syne Tune draws most configurations from numpy's global random numbers, whatever its `random_seed` is; they are seeded
here for each suggestion. It has no conditional parameters: it is told values of inactive ones too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from ecoml.space import Choice, Float, Parameter, Space
from ecoml.strategies.peers import alone, require
from ecoml.strategies.peers.requests import PeerSearch, Request
from ecoml.trial import Point, TrialState

if TYPE_CHECKING:
    from syne_tune.backend.trial_status import Trial
    from syne_tune.optimizer.scheduler import TrialScheduler

Scheduler = Literal["asha", "asha-cqr", "bohb", "moasha"]


def syne_tune_search(
    space: Space, seed: int, scheduler: Scheduler = "asha", *, default_first: bool = True
) -> PeerSearch:
    """A search by a scheduler of Syne Tune.

    Args:
        space: The space to search.
        seed: ≥ 0; the same seed and the same trials give the same decisions.
        scheduler: `asha`: random configurations. `asha-cqr`: by conformalised quantile regression. `bohb`: by kernel
            densities. `moasha`: random ones, ranked by fronts of utility and joules.
        default_first: Whether the first trial is the space's default configuration, if there is one.

    Raises:
        UsageError: Syne Tune is not installed.
    """
    require("syne_tune")
    if scheduler == "asha-cqr":
        require("huggingface_hub")  # Syne Tune imports it there without requiring it

    def connect(length: int | None, first: Mapping[str, Any] | None) -> _Halving:
        return _Halving(space, seed, scheduler, length or 1, first)

    return PeerSearch(space, seed, connect, partial=True, default_first=default_first)


class _Halving:
    """A scheduler, driven as Syne Tune's `Tuner` drives it with one worker."""

    def __init__(
        self, space: Space, seed: int, scheduler: Scheduler, length: int, first: Mapping[str, Any] | None
    ) -> None:
        self._seed = seed
        self._first = first
        with alone("syne_tune", [seed]):
            domains = {name: _domain(parameter) for name, parameter in space.free.items()}
            self._scheduler = _create(scheduler, domains, length, seed % 2**31)
        self._trials: list[Trial] = []
        self._told: list[int] = []

    def suggest(self) -> Request:
        """The default configuration, then the scheduler's suggestions, each for one step at first."""
        from syne_tune.backend.trial_status import Trial

        number = len(self._trials)
        with alone("syne_tune", [self._seed, number]):
            values = self._scheduler.suggest().config if self._first is None or number else dict(self._first)
            self._trials.append(Trial(number, values, datetime.now()))
            self._scheduler.on_trial_add(self._trials[-1])
        self._told.append(0)
        return Request(values, until=1)

    def report(self, number: int, curve: Sequence[Point], state: TrialState | None) -> int | None:
        """Tell the scheduler the new points; it is asked after each of them."""
        from syne_tune.optimizer.scheduler import SchedulerDecision

        trial = self._trials[number]
        with alone("syne_tune", [self._seed, number, len(curve)]):
            for point in curve[self._told[number] :]:
                if self._scheduler.on_trial_result(trial, _result(point)) == SchedulerDecision.STOP:
                    self._scheduler.on_trial_remove(trial)
                    return None
            if state is TrialState.FAILED or not curve:
                self._scheduler.on_trial_error(trial)
            elif state is not None:
                self._scheduler.on_trial_complete(trial, _result(curve[-1]))
        self._told[number] = len(curve)
        return len(curve) + 1


def _create(name: Scheduler, domains: Mapping[str, Any], length: int, seed: int) -> TrialScheduler:
    from syne_tune.optimizer.baselines import ASHA, ASHACQR, BOHB
    from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA

    space = dict(domains)
    if name == "moasha":
        return MOASHA(space, ["loss", "joules"], time_attr="step", max_t=length, random_seed=seed)
    kind = {"asha": ASHA, "asha-cqr": ASHACQR, "bohb": BOHB}[name]
    return kind(space, metric="loss", time_attr="step", max_t=length, random_seed=seed)


def _result(point: Point) -> dict[str, float]:
    return {"loss": -point.utility, "joules": point.energy_j, "step": point.step}


def _domain(parameter: Parameter) -> Any:
    from syne_tune.config_space import choice, lograndint, loguniform, randint, uniform

    if isinstance(parameter, Choice):
        return choice(list(parameter.options))
    if isinstance(parameter, Float):
        return (loguniform if parameter.log else uniform)(parameter.low, parameter.high)
    return (lograndint if parameter.log else randint)(parameter.low, parameter.high)
