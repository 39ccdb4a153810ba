"""Real trainings of `cnn-small`, recorded by `record.py`. Strategies see validation accuracies, and are evaluated by
test accuracies.

    python benchmarks/strategy_recorded.py digits 200,500,700,1000,1600   # how many trainings the smooth curves need

A configuration gets the recorded training that is nearest in the unit cube (`recorded`), with its noise, or the curve
of a small network fitted to the test accuracies (`recorded-smooth`), as if validated on as many images. Joules are CPU
seconds times the estimate's power of a busy CPU.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from record import DEFAULTS, Row, read
from strategy_problems import Array, Nearest, Noisy, TrainingTask, fitted, log_odds

import ecoml
from ecoml.errors import UsageError
from ecoml.meter.counters.constants import BUILT_IN
from ecoml.space import Space

RECORDED = ("recorded", "recorded-smooth")
"""The ways to read a recording."""

FOLDER = Path(__file__).parent / "recorded"

_SMOOTH_FROM = 1000  # trainings: fitted to 650, the network promises 90 % on FashionMNIST, where the best has 86 %
_HELD = 0.15  # share of the trainings on which fits to fewer are compared
_CHANCE = 0.1  # accuracy of a network that diverged, because all these data have ten classes


@dataclass
class Measured:
    """A problem that measures one score, and evaluates configurations by another."""

    told: TrainingTask
    exact: TrainingTask

    @property
    def space(self) -> Space:
        return self.told.space

    def curve(self, config: Mapping[str, Any]) -> tuple[Array, Array]:
        return self.told.curve(config)


@dataclass
class Recording:
    """The trainings of one data set.

    Attributes:
        name: Of the data.
        space: `cnn-small`.
        u: Their points of the unit cube (n, d).
        validation: Accuracies of every epoch (n, T).
        test: Likewise.
        step_j: Joules of every epoch (n, T).
    """

    name: str
    space: Space
    u: Array = field(repr=False)
    validation: Array = field(repr=False)
    test: Array = field(repr=False)
    step_j: Array = field(repr=False)

    @property
    def default_j(self) -> float:
        """Joules of a training of the default."""
        return float(self.step_j[:DEFAULTS].sum(axis=1).mean())

    def default_alone(self, trainings: float) -> float:
        """Test accuracy of the best validated of this many trainings of the default; at most those recorded."""
        validation, test = self.validation[:DEFAULTS, -1], self.test[:DEFAULTS, -1]
        draws = itertools.combinations(range(DEFAULTS), min(int(trainings), DEFAULTS))
        return float(np.mean([test[max(draw, key=lambda i: validation[i])] for draw in draws]))

    def nearest(self, seed: int) -> Measured:
        """A problem that reads the table. Of the default's trainings a search sees one, chosen by its seed."""
        kept = np.r_[seed % DEFAULTS, DEFAULTS : len(self.u)]
        u, step_j = self.u[kept], self.step_j[kept]
        told, exact = (Nearest(self.space, u, score[kept], step_j) for score in (self.validation, self.test))
        return Measured(told, exact)

    def smooth(self, kept_in: Path) -> Noisy:
        """A problem that evaluates a network, which is stored in a file of the folder.

        Raises:
            UsageError: Too few trainings are recorded.
        """
        if (count := len(self.u)) < _SMOOTH_FROM:
            raise UsageError(
                f"{count} trainings on {self.name!r} are recorded, and a smooth model needs {_SMOOTH_FROM};"
                " record more, or ask for --mapping recorded"
            )
        file = kept_in / f"smooth-{self.name}-{len(self.u)}.npz"
        images = round(1.0 / float(np.diff(np.unique(self.validation)).min()))
        return Noisy(fitted(self.space, self.u, self.test, self.step_j, file), images)


def recording(name: str) -> Recording:
    """A recording by the name of its data.

    Raises:
        UsageError: There is none; the message names the command that makes it.
    """
    rows, _ = read(FOLDER / f"{name}.parquet")
    if len(rows) <= DEFAULTS:
        known = ", ".join(path.stem for path in sorted(FOLDER.glob("*.parquet"))) or "none yet"
        raise UsageError(
            f"no trainings on {name!r} are recorded ({known} are); python benchmarks/record.py --data {name}"
        )
    space = ecoml.load_space("cnn-small")
    u = np.array([space.encode(_config(space, row)) for row in rows])
    steps = int(space.fixed["epochs"])
    validation, test = (np.array([_whole(row[key], steps, _CHANCE) for row in rows]) for key in ("validation", "test"))
    cpu_s = np.array([_whole(row["cpu_s"], steps, float(np.mean(row["cpu_s"]))) for row in rows])
    return Recording(name, space, u, validation, test, BUILT_IN.busy_w_per_cpu * cpu_s)


def _whole(values: Sequence[float], steps: int, rest: float) -> list[float]:
    """The missing epochs of a training that diverged and was not continued."""
    return [*values, *[rest] * (steps - len(values))]


def _config(space: Space, row: Row) -> dict[str, Any]:
    return space.fixed | {name: row[name] for name in space.free if row[name] is not None}


def mappings(name: str) -> tuple[str, ...]:
    """The ways to read a recording now; `recorded-smooth` needs more trainings.

    Raises:
        UsageError: There is no recording.
    """
    return RECORDED if len(recording(name).u) >= _SMOOTH_FROM else RECORDED[:1]


def open_recorded(family: str, task: str, seed: int, kept_in: Path) -> TrainingTask:
    """A recording as one of `RECORDED`, for a search with this seed; the networks are stored in the folder."""
    of = recording(task)
    return of.smooth(kept_in) if family == "recorded-smooth" else of.nearest(seed)


def explained(name: str, counts: Sequence[int]) -> Iterator[str]:
    """How well networks fitted to so many recorded trainings explain others, always the same ones: a row for each."""
    of = recording(name)
    held, rest = np.split(
        np.random.default_rng(0).permutation(np.arange(DEFAULTS, len(of.u))), [round(_HELD * len(of.u))]
    )
    true = of.test[held, -1]
    better = true >= np.median(true)
    yield "| fitted to | explained log odds | error in the upper half | best of 4,000 random | best recorded |"
    yield "|---|---|---|---|---|"
    for count in counts:
        if count > len(rest):
            raise UsageError(f"{count} trainings on {name!r} are not there beside {len(held)} others; {len(rest)} are")
        kept = rest[:count]
        with TemporaryDirectory() as folder:
            smooth = fitted(of.space, of.u[kept], of.test[kept], of.step_j[kept], Path(folder) / f"{count}.npz")
        found = _ends(smooth, of.u[held])
        drawn = _ends(smooth, np.random.default_rng(1).random((4000, of.u.shape[1])))
        share = 1.0 - np.mean((log_odds(found) - log_odds(true)) ** 2) / np.var(log_odds(true))
        error = np.sqrt(np.mean((found - true)[better] ** 2))
        best = of.test[DEFAULTS:, -1].max()
        yield f"| {count} | {share:.0%} | {100 * error:.2f} points | {drawn.max():.1%} | {best:.1%} |"


def _ends(problem: TrainingTask, u: Array) -> Array:
    return np.array([problem.curve(problem.space.decode(point))[0][-1] for point in u])


if __name__ == "__main__":
    try:
        for line in explained(sys.argv[1], [int(count) for count in sys.argv[2].split(",")]):
            print(line)
    except UsageError as error:
        raise SystemExit(f"error: {error}") from None
