"""Strategy files: a TOML file that names a strategy and its settings.

strategy = "grid"
description = "5 levels a parameter"

[settings]
levels = 5

[repeat]        # optional: train every configuration several times, and end after this many configurations
times = 8
rounds = 64
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from ecoml.errors import UsageError, did_you_mean
from ecoml.space import Space
from ecoml.space.toml import read_toml
from ecoml.strategies.asha import Halving
from ecoml.strategies.base import Strategy
from ecoml.strategies.bayes import Bayes
from ecoml.strategies.botorch import Nehvi
from ecoml.strategies.factorial import Factorial
from ecoml.strategies.grid import GridSearch
from ecoml.strategies.peers import require
from ecoml.strategies.peers.flaml_search import flaml_search
from ecoml.strategies.peers.optuna_study import OptunaSearch
from ecoml.strategies.peers.paper_search import PaperSearch
from ecoml.strategies.peers.smac_facade import SmacSearch
from ecoml.strategies.peers.syne_tune_scheduler import syne_tune_search
from ecoml.strategies.random import RandomSearch
from ecoml.strategies.repeated import Repeated
from ecoml.strategies.top_k import TopK


@dataclass(frozen=True, slots=True)
class StrategyFile:
    """The content of a strategy file.

    Attributes:
        description: One line.
        create: Makes the strategy for a space and a seed.
        package: A package that it needs and that ecoml does not install; None for most.
    """

    description: str
    create: Callable[[Space, int], Strategy]
    package: str | None = None


_KINDS: Mapping[str, Callable[..., Strategy]] = {
    "bayes": Bayes,
    "factorial": Factorial,
    "flaml": flaml_search,
    "grid": GridSearch,
    "mo-asha": Halving,
    "nehvi": Nehvi,
    "optuna": OptunaSearch,
    "paper-bo": PaperSearch,
    "random": RandomSearch,
    "smac": SmacSearch,
    "syne-tune": syne_tune_search,
    "top-k": TopK,
}
_PACKAGES = {"flaml": "flaml", "optuna": "optuna", "smac": "smac", "syne-tune": "syne_tune"}
_STRICT = ConfigDict(extra="forbid", strict=True)


def read_strategy(path: Path) -> StrategyFile:
    """Read a strategy file.

    Raises:
        UsageError: It cannot be read, is not TOML, or contains something unknown.
    """
    data = read_toml(path)
    kind, known = data.get("strategy"), ", ".join(_KINDS)
    if kind is None:
        raise UsageError(f"{path}: the key `strategy` is missing; it is one of {known}")
    if not isinstance(kind, str) or kind not in _KINDS:
        hint = did_you_mean(kind, _KINDS) if isinstance(kind, str) else f"known are {known}"
        raise UsageError(f"{path}: strategy = {kind!r} is not known; {hint}")
    sections = {"settings": _settings_of(_KINDS[kind], given=2), "repeat": _settings_of(Repeated, given=1)}
    keys: dict[str, Any] = {
        "strategy": (str, ...),
        "description": (str, ""),
        "settings": (sections["settings"], ...),
        "repeat": (sections["repeat"] | None, None),
    }
    file = create_model("File", __config__=_STRICT, **keys)
    try:
        said: Any = file.model_validate({"settings": {}} | data)
    except ValidationError as error:
        raise UsageError(f"{path}: {_first(error, {'': file} | sections)}") from None
    package = _PACKAGES.get(kind)

    def create(space: Space, seed: int) -> Strategy:
        if package is not None:
            require(package)
        try:
            strategy = _KINDS[kind](space, seed, **dict(said.settings))
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from None
        return strategy if said.repeat is None else Repeated(strategy, **dict(said.repeat))

    return StrategyFile(said.description, create, package)


def _settings_of(kind: Callable[..., Strategy], given: int) -> type[BaseModel]:
    """A pydantic model of a constructor's arguments, without the first few."""
    hints = get_type_hints(vars(kind)["__init__"] if isinstance(kind, type) else kind, include_extras=True)
    parameters = list(signature(kind).parameters.values())[given:]
    fields: dict[str, Any] = {
        p.name: (hints[p.name], ... if p.default is Parameter.empty else p.default) for p in parameters
    }
    return create_model("Settings", __config__=_STRICT, **fields)


def _first(error: ValidationError, sections: Mapping[str, type[BaseModel]]) -> str:
    """The first error in one line, and the number of further ones."""
    errors = error.errors(include_url=False)
    first = errors[0]
    *section, name = (str(part) for part in first["loc"])
    where = ".".join([*section, name])
    if first["type"] == "extra_forbidden":
        known = sections["".join(section)].model_fields
        what = f"`{where}` is not a key of this strategy; {did_you_mean(name, known) if known else 'remove it'}"
    else:
        what = f"`{where}` = {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return what + more
