"""Carries out the requests of an optimiser that has more state than it was told.

A peer requests the training of a configuration up to a step, is told the learning curve up to there, and says how far
to go on. Its state is never restored but replayed: a new peer makes the same requests as the old one, and known results
are told at once, until it makes a new request. An interrupted search continues with the same requests.

If a peer requests a configuration again, for more steps or not, the suspended training is continued, and only the
additional steps take energy. Peers that restart a training for every longer request would pay for all of its steps;
this favours them. Configurations that may not be started are told as failures. When a peer has no further requests, or
only such that need no training, the rest of the space is tried at random, in complete trainings.

A peer of partial trainings must know the length of a training. If the executor does not know it, the first training
runs to its end, and its curve answers the peer's requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ecoml.space import Choice, Float, Parameter, Space
from ecoml.strategies.base import Continue, Decision, Goal, Start, ask_feasible
from ecoml.strategies.enumeration import Key, key
from ecoml.strategies.random import RandomSearch
from ecoml.trial import Config, Point, Trial, TrialState

_REFUSALS = 200  # requests in a row that may not be started
_REPEATS = 30  # requests in a row whose results are known


@dataclass(frozen=True, slots=True)
class Request:
    """The training of a configuration.

    Attributes:
        values: Values of all free parameters, those of inactive ones too.
        until: The step up to which to train; None: to the end.
    """

    values: Mapping[str, Any]
    until: int | None = None


class Peer(Protocol):
    """An optimiser of another project. Its requests are numbered from 0."""

    def suggest(self) -> Request | None:
        """Its next request; None: it has no further ones."""

    def report(self, number: int, curve: Sequence[Point], state: TrialState | None) -> int | None:
        """Process the result of a request.

        Args:
            number: The request.
            curve: The points up to the requested step; none if the configuration may not be started.
            state: How the training ended before that step; None: it has reached it and can go on.

        Returns:
            The step up to which the training goes on; None: the request is done. Without effect if it has ended.
        """


Connect = Callable[[int | None, Mapping[str, Any] | None], Peer]
"""A new peer, of the length of a training (None: unknown yet) and the values of its first request (None: its own)."""


@dataclass(slots=True)
class _Open:
    """A request that is not done."""

    number: int
    config: Config
    until: int | None


class PeerSearch:
    """Carries out the requests of a peer.

    Args:
        space: The space to search.
        seed: ≥ 0; the same seed and the same trials give the same decisions.
        connect: Makes the peer.
        partial: Whether the peer requests partial trainings, so that it must know their length.
        default_first: Whether the first request is the space's default configuration, if there is one.
    """

    def __init__(self, space: Space, seed: int, connect: Connect, *, partial: bool, default_first: bool = True) -> None:
        self._space = space
        self._connect = connect
        self._partial = partial
        self._length: int | None = None
        self._default = all_values(space) if default_first and space.default is not None else None
        self._design = RandomSearch(space, seed, default_first=False)  # for what the peer leaves
        self._goal = Goal()
        self._trials: dict[Key, Trial] = {}
        self._peer: Peer | None = None
        self._play_again()

    def pursue(self, goal: Goal) -> None:
        """Start only feasible configurations; use the length of a training, if it is known."""
        self._goal = goal
        if self._partial and goal.steps is not None:
            self._length = goal.steps(self._space.decode(np.full(self._space.dimension, 0.5)))

    def tell(self, trial: Trial) -> None:
        """Store the trial's current state; the first trial to finish shows the length of a training."""
        self._design.tell(trial)
        self._trials[key(trial.config)] = trial
        if self._partial and self._length is None and trial.state is TrialState.FINISHED and trial.curve:
            self._length = trial.step
            self._play_again()

    def ask(self) -> Decision:
        """What the peer's first open request needs; a random configuration when the peer has no further requests."""
        for request in self._requests():
            if (decision := self._next(request)) is not None:
                return decision
        return ask_feasible(self._design, self._goal.feasible)

    def _play_again(self) -> None:
        self._peer = None
        self._over = self._space.dimension == 0
        self._open: list[_Open] = []
        self._number = 0
        self._refused = self._repeated = 0
        self._told: dict[Key, int] = {}  # steps of a configuration that the peer was told

    def _requests(self) -> Iterator[_Open]:
        """The open requests, then further ones, until there are none."""
        yield from list(self._open)
        while not self._over:
            if self._peer is None:
                self._peer = self._connect(self._length, self._default)
            suggestion = self._peer.suggest()
            if suggestion is None or self._refused >= _REFUSALS or self._repeated >= _REPEATS:
                self._over = True
                return
            request = _Open(self._number, as_ours(self._space, suggestion.values), suggestion.until)
            self._number += 1
            self._open.append(request)
            yield request

    def _next(self, request: _Open) -> Decision | None:
        """What a request needs, once the peer was told what is known; None: nothing, or its training is under way."""
        while True:
            trial = self._trials.get(key(request.config))
            unlimited = self._partial and (self._length is None or (request.until or 0) >= self._length)
            until = None if unlimited else request.until
            if trial is None and self._goal.feasible(request.config):
                return Start(request.config, until)
            if trial is not None and not trial.state.ended and (until is None or trial.step < until):
                rest = None if until is None else until - trial.step
                return Continue(trial.number, rest) if trial.state is TrialState.SUSPENDED else None
            request.until = self._answer(request, trial)
            if request.until is None:
                self._open.remove(request)
                return None

    def _answer(self, request: _Open, trial: Trial | None) -> int | None:
        """Tell the peer the result of a request; returns the step up to which to go on, None if the request is done."""
        assert self._peer is not None
        curve: Sequence[Point] = () if trial is None else trial.curve[: request.until]
        reached = request.until is not None and len(curve) == request.until
        state = None if reached else TrialState.FAILED if trial is None else trial.state
        further = self._peer.report(request.number, curve, state)
        told = self._told.get(key(request.config), -1)
        if trial is None:
            self._refused += 1
        elif len(curve) > told:
            self._refused = self._repeated = 0
            self._told[key(request.config)] = len(curve)
        else:
            self._repeated += 1
        return further if reached else None


def all_values(space: Space) -> dict[str, Any]:
    """The default of every free parameter, also of inactive ones; without a default the middle of its range."""
    return {name: p.decode(0.5) if p.default is None else p.default for name, p in space.free.items()}


def as_ours(space: Space, values: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a peer's values, which may be numpy's, or off a bound by rounding."""
    return space.decode(np.array([p.encode(_fitted(p, values[name])) for name, p in space.free.items()]))


def _fitted(parameter: Parameter, value: Any) -> Any:
    if isinstance(parameter, Choice):
        return value
    number = float(value) if isinstance(parameter, Float) else round(value)
    return min(max(number, parameter.low), parameter.high)
