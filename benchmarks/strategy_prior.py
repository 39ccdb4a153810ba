"""Problems whose spaces get a default and a prior around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from strategy_problems import TrainingTask

from ecoml.space import Choice, Parameter, Space
from ecoml.trial import Config


def with_default(space: Space, default: Config) -> Space:
    """The space with this default configuration."""
    return _changed(space, {name: replace(p, default=default[name]) for name, p in space.free.items()})


def with_prior(space: Space, width: float | None) -> Space:
    """The space with this `prior_width` for all its parameters, for choices at most an even share; None: unchanged."""
    if width is None:
        return space
    widths = {
        name: min(width, 1.0 - 1.0 / p.count) if isinstance(p, Choice) else width for name, p in space.free.items()
    }
    return _changed(space, {name: replace(p, prior_width=widths[name]) for name, p in space.free.items()})


def _changed(space: Space, free: Mapping[str, Parameter]) -> Space:
    return Space({**space.parameters, **free}, name=space.name, description=space.description)


class Centred:
    """A problem with another space of the same configurations."""

    def __init__(self, task: TrainingTask, space: Space) -> None:
        self._task = task
        self.space = space

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)
