"""The settings of a search, as `run.toml` stores them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Any, Literal

from ecoml.carbon.grid import Grid
from ecoml.carbon.spec import grid_of
from ecoml.carbon.table import IntensityTable
from ecoml.errors import UsageError
from ecoml.limits import Limits
from ecoml.meter.choice import SourceChoice
from ecoml.metric import ACCURACY, Metric
from ecoml.run.folder import RunFolder, read_settings
from ecoml.run.result import limits_of, metric_of
from ecoml.searcher.setup import warm_start
from ecoml.searcher.setup.warm_start import WarmStart
from ecoml.space import Space
from ecoml.strategies import Strategy, create_strategy

EnergySource = Literal["metered", "reported"]
"""The source of joules: this host's meter, or the training itself."""

STRATEGY_FILE, GRID_FILE = "strategy.toml", "grid.csv"


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """The settings of a search, apart from the executor and the meter.

    Attributes:
        space: The configurations that may be tried.
        strategy: A name, the path of a strategy file, or an object with `ask` and `tell`.
        seed: Random seed of proposals, data split and initial weights.
        metric: The metric of the scores.
        energy: Whether energy is metered or reported.
        limits: The limits of the search.
        trace: Whether to store power over time in the run folder.
        warm_start: Trials of another run that inform the strategy; None: there are none.
        grid: The carbon intensity of the electricity; None: no CO2e is computed.
        sources: The selected energy sources (`ecoml.meter.choice`).
    """

    space: Space
    strategy: str | Path | Strategy
    seed: int = 0
    metric: Metric = ACCURACY
    energy: EnergySource = "metered"
    limits: Limits = field(default_factory=Limits)
    trace: bool = False
    warm_start: WarmStart | None = None
    grid: Grid | None = None
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.space, Space):
            raise UsageError(f"the space is a {type(self.space).__name__}; give an ecoml.Space or ecoml.load_space(…)")
        if isinstance(self.seed, bool) or not isinstance(self.seed, Integral) or self.seed < 0:
            raise UsageError(f"the seed is {self.seed!r}; give a whole number of 0 or more")
        object.__setattr__(self, "seed", int(self.seed))
        if self.energy not in ("metered", "reported"):
            raise UsageError(f'energy is {self.energy!r}; give "metered", or "reported" if the training reports it')
        if not isinstance(self.metric, Metric):
            raise UsageError(f'the metric is {self.metric!r}; give ecoml.Metric("validation loss", minimize=True)')
        self.limits.check_target(self.metric)
        self._check_grid()
        SourceChoice.of(self.sources)
        if self.energy == "reported":
            if self.sources:
                raise UsageError("a training that reports its energy is not metered: leave out the meter's sources")
            if self.limits.require_measured:
                raise UsageError("a training that reports its energy is not metered: leave out require_measured")

    def _check_grid(self) -> None:
        """Refuse limits on CO2e that the grid's intensity does not support."""
        limits = self.limits
        if self.grid is None and (limits.budget_gco2e is not None or limits.when_clean_g_per_kwh is not None):
            raise UsageError(
                "CO2e is energy × the grid's intensity: give --grid-intensity (a number of g/kWh, a CSV,"
                " electricitymaps:ZONE or watttime:REGION)"
            )
        if limits.when_clean_g_per_kwh is not None and self.grid is not None and not self.grid.varies:
            raise UsageError(
                f"a grid stated as {self.grid.name} never gets cleaner: waiting needs a CSV or a provider's intensity"
            )

    def create_strategy(self) -> Strategy:
        """A new strategy that has been told nothing.

        Raises:
            UsageError: The name is unknown, the file cannot be used, or it is no object with `ask` and `tell`.
        """
        if isinstance(self.strategy, str | Path):
            return create_strategy(self.strategy, self.space, self.seed)
        if isinstance(self.strategy, type):
            raise UsageError(
                f"the strategy is the class {self.strategy.__name__}; give an object, as in ecoml.Bayes(space, seed)"
            )
        if not isinstance(self.strategy, Strategy):
            raise UsageError(
                f"the strategy is a {type(self.strategy).__name__}; give a name (see `ecoml strategies`), the path of a"
                " .toml file, or an object with ask() and tell(trial)"
            )
        return self.strategy

    @property
    def strategy_name(self) -> str:
        """A short name of the strategy, for people and for folders."""
        if not isinstance(self.strategy, str | Path):
            return type(self.strategy).__name__.lower()
        path = Path(self.strategy)
        if path.name == STRATEGY_FILE and (path.parent / "run.toml").is_file():  # the copy in a run folder
            return str(read_settings(path.parent)["run"]["strategy"])
        return path.stem

    @property
    def _has_strategy_file(self) -> bool:
        return isinstance(self.strategy, str | Path) and Path(self.strategy).suffix == ".toml"

    def to_dict(self) -> dict[str, Any]:
        """The settings for `run.toml`."""
        settings: dict[str, Any] = {
            "run": {
                "strategy": self.strategy_name,
                "own_strategy": not isinstance(self.strategy, str | Path),
                "strategy_file": self._has_strategy_file,
                "seed": self.seed,
                "energy": self.energy,
                "trace": self.trace,
            },
            "metric": self.metric.to_dict(),
            "limits": self.limits.to_dict(),
            "space": self.space.to_dict(),
        }
        if self.grid is not None:
            settings["run"]["grid_intensity"] = self.grid.spec
        if self.sources:
            settings["run"]["meter"] = list(self.sources)
        if self.warm_start is not None:
            settings["warm_start"] = self.warm_start.to_settings()
        return settings

    def files(self) -> dict[str, str]:
        """The files that go into the run folder together with `run.toml`, so that the run needs no other file."""
        files = {}
        if isinstance(self.strategy, str | Path) and self._has_strategy_file:
            files[STRATEGY_FILE] = Path(self.strategy).read_text(encoding="utf-8")
        if self.warm_start is not None:
            files[warm_start.FILE] = self.warm_start.to_json()
        if isinstance(self.grid, IntensityTable):
            files[GRID_FILE] = self.grid.text
        return files

    @classmethod
    def of_run(
        cls, settings: Mapping[str, Any], folder: Path, *, reported: bool, strategy: Strategy | None = None
    ) -> SearchSettings:
        """The settings of a run folder.

        Args:
            settings: Its `run.toml`.
            folder: The run folder.
            reported: Whether its joules are reported, for a folder that does not say so.
            strategy: The strategy, if it was an object of the user's.

        Raises:
            UsageError: The strategy was an object of the user's, and none is given now; or the reverse.
        """

        from ecoml.space.schema import space_of  # pydantic costs a fifth of a second

        run = settings["run"]
        if strategy is None and run.get("own_strategy", False):
            raise UsageError(
                f"{folder}: its strategy was an object of your own ({run['strategy']}); give it again, in Python:"
                " ecoml.Searcher.resume(…, strategy=…)"
            )
        if strategy is not None and not run.get("own_strategy", True):
            raise UsageError(f"{folder}: its strategy is {run['strategy']}, and goes on; leave strategy= out")
        kept, earlier, table = folder / STRATEGY_FILE, folder / warm_start.FILE, folder / GRID_FILE
        from_file = run.get("strategy_file", kept.is_file())
        if strategy is None and from_file and not kept.is_file():
            raise UsageError(f"{folder}: {STRATEGY_FILE}, the file of its strategy, is missing; copy it there, too")
        metric = metric_of(settings)
        return cls(
            space=space_of(settings["space"], where=str(folder / "run.toml")),
            strategy=strategy if strategy is not None else (kept if from_file else run["strategy"]),
            seed=run["seed"],
            metric=metric,
            energy=run.get("energy", "reported" if reported else "metered"),
            limits=limits_of(settings),
            trace=run.get("trace", False),
            warm_start=WarmStart.from_json(earlier.read_text(encoding="utf-8"), metric) if earlier.is_file() else None,
            grid=grid_of(table if table.is_file() else run.get("grid_intensity")),
            sources=tuple(run.get("meter", ())),
        )


def keep_changes(
    folder: RunFolder, budget_j: float, limits: Limits, grid: Grid | None, sources: tuple[str, ...], workers: object
) -> None:
    """Store what a resumed search changes from now on.

    Args:
        folder: The run folder.
        budget_j: Its budget from now on, in joules.
        limits: Its limits from now on.
        grid: Another grid; None: as before.
        sources: Other sources of its meter; empty: as before.
        workers: Its workers from now on; None: there are none.
    """
    before = folder.settings
    run = before["run"] | {"budget_j": budget_j} | ({"meter": list(sources)} if sources else {})
    files: dict[str, str | None] = {}
    if grid is not None:
        run = run | {"grid_intensity": grid.spec}
        files[GRID_FILE] = grid.text if isinstance(grid, IntensityTable) else None
    tables = {"run": run, "limits": limits.to_dict()}
    if "workers" in before:
        tables["workers"] = {**before["workers"], "given": workers if isinstance(workers, str) else ""}
    folder.change(files, **tables)
