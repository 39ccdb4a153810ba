"""Strategy files: a TOML that names a strategy and its settings.

strategy = "grid"
description = "5 levels a parameter"
[settings]
levels = 5
[repeat]        # optional: train every configuration several times, and end after so many of them
times = 8
rounds = 64
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ecoml.errors import UsageError
from ecoml.space import Space
from ecoml.strategies.asha import Halving
from ecoml.strategies.base import Strategy
from ecoml.strategies.factorial import Factorial
from ecoml.strategies.grid import Endpoints, GridSearch, Order
from ecoml.strategies.random import RandomSearch, Sampler
from ecoml.strategies.repeated import Repeated
from ecoml.strategies.top_k import TopK


@dataclass(frozen=True, slots=True)
class StrategyFile:
    """What a strategy file says.

    Attributes:
        description: One line.
        create: Makes the strategy, of a space and a seed.
        package: What it needs beyond what ecoml installs, None for most.
    """

    description: str
    create: Callable[[Space, int], Strategy]
    package: str | None = None


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _RandomSettings(_Strict):
    sampler: Sampler = "uniform"


class _GridSettings(_Strict):
    levels: int = Field(default=5, ge=2)
    endpoints: Endpoints = "both"
    order: Order = "random"
    subset: int | None = Field(default=None, ge=1)


class _BayesSettings(_Strict):
    initial: int | None = Field(default=None, ge=2)


class _Random(_Strict):
    strategy: Literal["random"]
    description: str = ""
    settings: _RandomSettings = _RandomSettings()

    def create(self, space: Space, seed: int) -> Strategy:
        return RandomSearch(space, seed, **self.settings.model_dump())


class _Grid(_Strict):
    strategy: Literal["grid"]
    description: str = ""
    settings: _GridSettings = _GridSettings()

    def create(self, space: Space, seed: int) -> Strategy:
        return GridSearch(space, seed, **self.settings.model_dump())


class _Bayes(_Strict):
    strategy: Literal["bayes"]
    description: str = ""
    settings: _BayesSettings = _BayesSettings()

    def create(self, space: Space, seed: int) -> Strategy:
        from ecoml.strategies.bayes import Bayes

        return Bayes(space, seed, **self.settings.model_dump())


class _Nehvi(_Strict):
    strategy: Literal["nehvi"]
    description: str = ""
    settings: _BayesSettings = _BayesSettings()

    def create(self, space: Space, seed: int) -> Strategy:
        from ecoml.strategies.botorch import Nehvi

        return Nehvi(space, seed, **self.settings.model_dump())


class _HalvingSettings(_Strict):
    least: int = Field(default=1, ge=1)
    factor: int = Field(default=3, ge=2)


class _Halving(_Strict):
    strategy: Literal["mo-asha"]
    description: str = ""
    settings: _HalvingSettings = _HalvingSettings()

    def create(self, space: Space, seed: int) -> Strategy:
        return Halving(space, seed, **self.settings.model_dump())


class _TopKSettings(_Strict):
    many: int = Field(default=64, ge=1)
    best: int = Field(default=4, ge=1)


class _TopK(_Strict):
    strategy: Literal["top-k"]
    description: str = ""
    settings: _TopKSettings = _TopKSettings()

    def create(self, space: Space, seed: int) -> Strategy:
        return TopK(space, seed, **self.settings.model_dump())


class _FactorialSettings(_Strict):
    factors: list[str] = Field(min_length=1)
    draws: int = Field(default=24, ge=1)
    times: int = Field(default=1, ge=1)


class _Factorial(_Strict):
    strategy: Literal["factorial"]
    description: str = ""
    settings: _FactorialSettings

    def create(self, space: Space, seed: int) -> Strategy:
        return Factorial(space, seed, **self.settings.model_dump())


class _PaperSettings(_Strict):
    inputs: Literal["unscaled", "scaled"] = "unscaled"


class _Paper(_Strict):
    strategy: Literal["paper-bo"]
    description: str = ""
    settings: _PaperSettings = _PaperSettings()

    def create(self, space: Space, seed: int) -> Strategy:
        from ecoml.strategies.peers.paper_search import PaperSearch

        return PaperSearch(space, seed, **self.settings.model_dump())


class _OptunaSettings(_Strict):
    sampler: Literal["tpe", "gp", "nsga2"] = "tpe"
    pruner: Literal["none", "median", "hyperband"] = "none"

    @model_validator(mode="after")
    def _one_objective(self) -> Self:
        if self.sampler == "nsga2" and self.pruner != "none":
            raise ValueError("Optuna prunes with one objective only; use another sampler, or no pruner")
        return self


class _Optuna(_Strict):
    strategy: Literal["optuna"]
    description: str = ""
    settings: _OptunaSettings = _OptunaSettings()

    def create(self, space: Space, seed: int) -> Strategy:
        from ecoml.strategies.peers.optuna_study import OptunaSearch

        return OptunaSearch(space, seed, **self.settings.model_dump())


class _SmacSettings(_Strict):
    facade: Literal["hyperparameter-optimization", "multi-fidelity"] = "hyperparameter-optimization"


class _Smac(_Strict):
    strategy: Literal["smac"]
    description: str = ""
    settings: _SmacSettings = _SmacSettings()

    def create(self, space: Space, seed: int) -> Strategy:
        from ecoml.strategies.peers.smac_facade import SmacSearch

        return SmacSearch(space, seed, **self.settings.model_dump())


class _Repeat(_Strict):
    times: int = Field(ge=1)
    rounds: int | None = Field(default=None, ge=1)
    count_failures: bool = True


_KINDS: Mapping[
    str, type[_Random | _Grid | _Bayes | _Factorial | _Nehvi | _Halving | _TopK | _Paper | _Optuna | _Smac]
] = {
    "bayes": _Bayes,
    "factorial": _Factorial,
    "grid": _Grid,
    "mo-asha": _Halving,
    "nehvi": _Nehvi,
    "optuna": _Optuna,
    "paper-bo": _Paper,
    "random": _Random,
    "smac": _Smac,
    "top-k": _TopK,
}
_PACKAGES = {"optuna": "optuna", "smac": "smac"}


def read_strategy(path: Path) -> StrategyFile:
    """Read a strategy file.

    Raises:
        UsageError: It cannot be read, is not TOML, or says something that no strategy knows.
    """
    data = _read_toml(path)
    kind = data.get("strategy")
    known = ", ".join(_KINDS)
    if kind is None:
        raise UsageError(f"{path}: the key `strategy` is missing; it is one of {known}")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise UsageError(f"{path}: strategy = {kind!r} is not known; use one of {known}")
    repeated = data.pop("repeat", None)
    try:
        spec = _KINDS[kind].model_validate(data)
        repeat = None if repeated is None else _Repeat.model_validate(repeated)
    except ValidationError as error:
        raise UsageError(f"{path}: {_first(error)}") from None

    def create(space: Space, seed: int) -> Strategy:
        strategy = spec.create(space, seed)
        return strategy if repeat is None else Repeated(strategy, **repeat.model_dump())

    return StrategyFile(spec.description, create, _PACKAGES.get(kind))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text; save it as UTF-8") from None
    except IsADirectoryError:
        raise UsageError(f"{path}: is a folder; name a .toml file in it") from None
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from None


def _first(error: ValidationError) -> str:
    """The first of the errors in one line, and how many more there are."""
    errors = error.errors(include_url=False)
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        what = f"`{where}` is not a key of this strategy; remove it"
    else:
        what = f"`{where}` = {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return what + more
