"""How right the joules of trials are whose epochs are shorter than an update of the GPU's counter.

    python benchmarks/meter.py slow-counter [--seconds S] [--seeds N] [--json]

A simulated board updates its counter every 100 ms. Trials follow each other with a few milliseconds between them, and a
lap is cut where an account would cut one: at the end of each epoch, and where its evaluation begins. Loads:

    steady    150 W
    steps     150 W, with steps to anything between 70 and 600 W, at times that have nothing to do with the epochs
    work      each trial draws its own power, 70 to 600 W; an epoch is 70 % training, 20 % evaluation at half of that,
              and 10 % waiting at 80 W

each on a board whose power can be read together with its energy, and on one of which only the energy can be read.
"""

from __future__ import annotations

import bisect
import itertools
import json
import math
import random
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path

from ecoml.energy import Energy
from ecoml.meter import open_meter
from ecoml.testing.hosts import SimulatedHost

PERIOD_S = 0.1
SHAPES = ((10, 0.003), (10, 0.01), (10, 0.03), (3, 0.1), (1, 0.3), (12, 0.1), (20, 0.1), (4, 0.5))
"""Epochs of a trial, and how long each takes."""
FEWEST = 40
DOMAIN = "gpu:0"
FINE_S = 0.005
LATE_S = 0.001
"""The meter's thread wakes up later than it wanted by up to this."""
LEARN_S = 3.0

Power = float | Callable[[float], float]
Pieces = list[tuple[float, Power]]
"""Seconds between two laps and the power meanwhile, for each piece of an epoch."""
Load = Callable[[float], Pieces]
"""Gives the pieces of an epoch that takes about so many seconds."""


@dataclass
class Errors:
    """What was found over many trials of one kind."""

    trials: list[tuple[Energy, float]] = field(default_factory=list)
    """Told, and true in J."""
    epochs_j: list[float] = field(default_factory=list)
    """Told."""
    lost_j: float = 0.0
    """By how much all laps together differ from the window they were cut from."""

    def figures(self) -> dict[str, float]:
        """Shares, but for the last."""
        relative = [(told, true_j, told.energy_j / true_j - 1) for told, true_j in self.trials]
        return {
            "rms error": math.sqrt(statistics.fmean(error**2 for _, _, error in relative)),
            "epochs at 0 J": statistics.fmean(told_j <= 0 for told_j in self.epochs_j),
            "± of edges": statistics.fmean(told.edge_j / true_j for told, true_j, _ in relative),
            "inside it": statistics.fmean(abs(error) * true_j <= told.edge_j for told, true_j, error in relative),
            "± in all": statistics.fmean(told.uncertainty_j / true_j for told, true_j, _ in relative),
            "attributed": statistics.fmean(told.provenance == "attributed" for told, _, _ in relative),
            "lost J": self.lost_j,
        }


def steady(_rng: random.Random) -> Callable[[], Load]:
    """150 W."""
    return lambda: lambda epoch_s: [(epoch_s, 150.0)]


def steps(rng: random.Random) -> Callable[[], Load]:
    """150 W for a second on average, then anything between 70 and 600 W for a third of one."""
    times_s, powers_w = [0.0], [150.0]

    def power_w(now_s: float) -> float:
        while times_s[-1] <= now_s:
            calm = powers_w[-1] == 150.0
            times_s.append(times_s[-1] + rng.expovariate(3.0 if calm else 1.0))
            powers_w.append(math.exp(rng.uniform(math.log(70), math.log(600))) if calm else 150.0)
        return powers_w[bisect.bisect_right(times_s, now_s) - 1]

    return lambda: lambda epoch_s: [(epoch_s, power_w)]


def work(rng: random.Random) -> Callable[[], Load]:
    """Each trial its own power, in training, evaluation and waiting."""

    def trial() -> Load:
        train_w = math.exp(rng.uniform(math.log(70), math.log(600)))
        return lambda epoch_s: [(0.7 * epoch_s, train_w), (0.2 * epoch_s, train_w / 2), (0.1 * epoch_s, 80.0)]

    return trial


BOARDS = {"energy, power": True, "energy": False}
LOADS: dict[str, Callable[[random.Random], Callable[[], Load]]] = {"steady": steady, "steps": steps, "work": work}


def measure(load: str, epochs: int, epoch_s: float, *, power: bool, seconds: float, seeds: int) -> Errors:
    """Many trials on a simulated board."""
    errors = Errors()
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            rng = random.Random(seed)  # noqa: S311 - repeatable
            _measure(errors, Path(folder), rng, load, epochs, epoch_s, power=power, seconds=seconds / seeds)
    return errors


def _measure(
    errors: Errors,
    folder: Path,
    rng: random.Random,
    load: str,
    epochs: int,
    epoch_s: float,
    *,
    power: bool,
    seconds: float,
) -> None:
    host = SimulatedHost(folder)
    board = host.add_gpu(150.0, period_s=PERIOD_S, phase_s=rng.uniform(0, PERIOD_S), limit_w=700.0, shows_power=power)
    begin = LOADS[load](rng)

    def go_by(lasts_s: float, power_w: Power) -> None:
        nonlocal read_s
        end_s = host.now_s + lasts_s
        while host.now_s < end_s:
            step_s = min(FINE_S, end_s - host.now_s, max(read_s - host.now_s, 1e-6))
            board.power_w = power_w(host.now_s + step_s / 2) if callable(power_w) else power_w
            host.advance(step_s)
            if host.now_s >= read_s:
                meter.read()
                read_s = host.now_s + (wait_s(host.now_s) or math.inf) + rng.uniform(0.0, LATE_S)

    read_s = math.inf
    with open_meter(root=folder, nvml=host.nvml, clock=host.clock) as meter:
        wait_s = meter._gauges[0].wait_s
        while host.now_s < 1000.0 + LEARN_S:  # as the polling thread does until it knows the period
            go_by(rng.uniform(0.08, 0.14) * PERIOD_S, 150.0)
            meter.read()
        window, read_s = meter.window(), host.now_s
        laps_j = []
        for _ in range(max(FEWEST, int(seconds / epochs / epoch_s))):
            pieces_of, parts = begin(), list[Energy]()
            before_j = board.true_j
            for _ in range(epochs):
                epoch = []
                for lasts_s, power_w in pieces_of(epoch_s * rng.uniform(0.95, 1.05)):
                    go_by(lasts_s, power_w)
                    epoch.append(window.lap().domains[DOMAIN])
                errors.epochs_j.append(math.fsum(part.energy_j for part in epoch))
                parts += epoch
            laps_j += [part.energy_j for part in parts]
            errors.trials.append((reduce(Energy.then, parts), board.true_j - before_j))
            go_by(rng.uniform(0.001, 0.01), 80.0 if load == "work" else pieces_of(epoch_s)[0][1])
            laps_j.append(window.lap().domains[DOMAIN].energy_j)
        errors.lost_j = max(errors.lost_j, abs(math.fsum(laps_j) - window.by_domain[DOMAIN]))


def table(seconds: float, seeds: int, shapes: Sequence[tuple[int, float]]) -> list[dict[str, str | float]]:
    """All boards, loads and shapes of trials."""
    rows: list[dict[str, str | float]] = []
    for board, load, (epochs, epoch_s) in itertools.product(BOARDS, LOADS, shapes):
        found = measure(load, epochs, epoch_s, power=BOARDS[board], seconds=seconds, seeds=seeds)
        rows.append({"board": board, "load": load, "trial": f"{epochs} × {epoch_s:g} s"} | found.figures())
    return rows


def run(seconds: float, seeds: int, *, as_json: bool, shapes: Sequence[tuple[int, float]] = SHAPES) -> None:
    """Print the table."""
    rows = table(seconds, seeds, shapes)
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    out = Table(*rows[0], title=f"Trials on a counter that updates every {PERIOD_S:g} s")
    for row in rows:
        *shares, lost_j = (value for value in row.values() if isinstance(value, float))
        words = [value for value in row.values() if isinstance(value, str)]
        out.add_row(*words, *map("{:.1%}".format, shares), f"{lost_j:.1g}")
    Console(width=140, highlight=False).print(out)
