"""Plan: all that decides how a search goes, as `run.toml` keeps it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecoml.errors import UsageError
from ecoml.searcher import warm_start
from ecoml.searcher.warm_start import WarmStart
from ecoml.space import Space
from ecoml.space.schema import space_of
from ecoml.strategies import Strategy, create_strategy


@dataclass(frozen=True, slots=True)
class Settings:
    """All that decides how a search goes, apart from the executor and the meter.

    Attributes:
        space: What may be tried.
        strategy: A name, the path of a strategy file, or an object with `ask` and `tell`.
        seed: Of proposals, data split and initial weights.
        max_trials: End after so many trials; None: no such end.
        target: End when a measurement reaches this validation accuracy; None: no such end.
        require_measured: Refuse to run on an estimate.
        trace: Keep power over time in the run folder.
        max_parameters: The most trainable numbers that a network may have; None: any number.
        max_energy_per_training_j: The most joules that one training may take; None: any number.
        spend_all: Go on to the end of the budget, even where the strategy expects no more of the rest.
        warm_start: Trials of another run that inform the strategy; None: none.
    """

    space: Space
    strategy: str | Path | Strategy
    seed: int
    max_trials: int | None = None
    target: float | None = None
    require_measured: bool = False
    trace: bool = False
    max_parameters: int | None = None
    max_energy_per_training_j: float | None = None
    spend_all: bool = False
    warm_start: WarmStart | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.space, Space):
            raise UsageError(f"the space is a {type(self.space).__name__}; give an ecoml.Space or ecoml.load_space(…)")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise UsageError(f"the seed is {self.seed!r}; give a whole number from 0 on")
        if self.target is not None and not 0 < self.target <= 1:
            raise UsageError(f"the target accuracy is {self.target}; give a share in (0, 1], such as 0.95")
        if self.max_trials is not None and self.max_trials < 1:
            raise UsageError(f"max_trials is {self.max_trials}; give at least 1")
        if self.max_parameters is not None and (
            isinstance(self.max_parameters, bool) or not isinstance(self.max_parameters, int) or self.max_parameters < 1
        ):
            raise UsageError(f"max_parameters is {self.max_parameters!r}; give a whole number from 1 on")
        most_j = self.max_energy_per_training_j
        if most_j is not None and not (math.isfinite(most_j) and most_j > 0):
            raise UsageError(f"the most energy of a training is {most_j:g} J; give a positive, finite number")

    def create_strategy(self) -> Strategy:
        """A strategy that has seen nothing yet.

        Raises:
            UsageError: Unknown name, broken file, or an object without `ask` and `tell`.
        """
        if isinstance(self.strategy, str | Path):
            return create_strategy(self.strategy, self.space, self.seed)
        if not isinstance(self.strategy, Strategy):
            raise UsageError(
                f"the strategy is a {type(self.strategy).__name__}; give a name (see `ecoml strategies`), the path of a"
                " .toml file, or an object with ask() and tell(trial)"
            )
        return self.strategy

    @property
    def strategy_name(self) -> str:
        """The strategy in short, for people and for folders."""
        if isinstance(self.strategy, str | Path):
            return Path(self.strategy).stem
        return type(self.strategy).__name__.lower()

    def to_settings(self) -> dict[str, Any]:
        """For `run.toml`."""
        run = {
            "strategy": self.strategy_name,
            "seed": self.seed,
            "max_trials": self.max_trials,
            "target_accuracy": self.target,
            "require_measured": self.require_measured,
            "trace": self.trace,
            "max_parameters": self.max_parameters,
            "max_energy_per_training_j": self.max_energy_per_training_j,
            "spend_all": self.spend_all,
        }
        settings = {
            "run": {key: value for key, value in run.items() if value is not None},
            "space": self.space.to_dict(),
        }
        if self.warm_start is not None:
            settings["warm_start"] = self.warm_start.to_settings()
        return settings

    def files(self) -> dict[str, str]:
        """What goes into the run folder beside `run.toml`, so that the run needs no other file."""
        files = {}
        if isinstance(self.strategy, str | Path) and Path(self.strategy).is_file():
            files[STRATEGY_FILE] = Path(self.strategy).read_text(encoding="utf-8")
        if self.warm_start is not None:
            files[warm_start.FILE] = self.warm_start.to_json()
        return files

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], folder: Path, strategy: Strategy | None = None) -> Settings:
        """The plan of a run folder.

        Raises:
            UsageError: The strategy was an object of the caller's, and none is given now.
        """
        run = settings["run"]
        kept, earlier = folder / STRATEGY_FILE, folder / warm_start.FILE
        return cls(
            space=space_of(settings["space"], where=str(folder / "run.toml")),
            strategy=strategy or (kept if kept.is_file() else run["strategy"]),
            seed=run["seed"],
            max_trials=run.get("max_trials"),
            target=run.get("target_accuracy"),
            require_measured=run.get("require_measured", False),
            trace=run.get("trace", False),
            max_parameters=run.get("max_parameters"),
            max_energy_per_training_j=run.get("max_energy_per_training_j"),
            spend_all=run.get("spend_all", False),
            warm_start=WarmStart.from_json(earlier.read_text(encoding="utf-8")) if earlier.is_file() else None,
        )


STRATEGY_FILE = "strategy.toml"
