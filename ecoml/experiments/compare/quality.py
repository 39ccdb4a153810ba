"""The results of a strategy on one problem without a target: its best score, and the hypervolume of its front.

Notation
    u   utility: the score, or its negative if lower is better
    e   log of a training's energy in joules
    r   reference point (worst, log high_j), the worst that counts
    i   ideal point (best, log low_j)

The hypervolume is the area that the front dominates up to r, as a share of the rectangle between r and i. Both points
are the same for every search on a problem. `worst` and `best` are the bounds of the metric. If it has none, they are
the lower quartile of all utilities on the problem (one diverged training would otherwise stretch the range), and their
maximum. `low_j` and `high_j` are the cheapest and the dearest point of any curve. On the logarithmic axis, halving a
training's energy counts the same everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from ecoml.energy import Provenance, weakest
from ecoml.experiments.compare.searches import SearchRecord
from ecoml.metric import Metric
from ecoml.pareto import Front, hypervolume
from ecoml.report.charts.curves import held
from ecoml.report.statistics import bootstrap_median
from ecoml.run.storage.snapshot import Progress
from ecoml.trial import Point

SHARES_OF_BUDGET = (0.25, 0.5, 1.0)
"""The shares of the budget at which hypervolume is stated."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The rectangle in which hypervolume is computed.

    Attributes:
        low_j: Energy of the ideal point.
        high_j: Energy of the reference point.
        worst: Utility of the reference point.
        best: Utility of the ideal point.
    """

    low_j: float
    high_j: float
    worst: float
    best: float

    @classmethod
    def around(cls, progress: Iterable[Progress], metric: Metric) -> Frame | None:
        """The frame of all measurements on a problem; None if they do not span one."""
        points = [entry.point for entry in progress if _usable(entry.point)]
        if not points:
            return None
        energies_j, utilities = [p.energy_j for p in points], [p.utility for p in points]
        bound = metric.high if metric.minimize else metric.low
        worst = float(np.quantile(utilities, 0.25)) if bound is None else metric.utility(bound)
        best = metric.ceiling if math.isfinite(metric.ceiling) else max(utilities)
        low_j, high_j = min(energies_j), max(energies_j)
        return cls(low_j, high_j, worst, best) if low_j < high_j and worst < best else None

    def course(self, progress: Iterable[Progress]) -> tuple[list[float], list[float]]:
        """Hypervolume of a search as steps: joules that the search had spent, and the share from there on."""
        front = Front()
        low, high = math.log(self.low_j), math.log(self.high_j)
        whole = (self.best - self.worst) * (high - low)
        spent_j, shares = [], []
        for point in (entry.point for entry in progress):
            if _usable(point) and front.add(point.utility, math.log(point.energy_j)):
                spent_j.append(point.spent_j)
                shares.append(hypervolume(list(front), (self.worst, high)) / whole)
        return spent_j, shares


@dataclass(frozen=True, slots=True)
class Quality:
    """The results of a strategy on one problem.

    Attributes:
        best: Median over seeds of the best score; None if the median seed measured nothing.
        hypervolumes: Median hypervolume at each of `SHARES_OF_BUDGET`; empty without a frame.
        hypervolume_interval: Bootstrap interval of the last of them; None for too few seeds.
        optimiser_share: Median over seeds of the optimiser's share of the energy; None if it was not charged.
        provenance: Provenance of the energies.
    """

    best: float | None
    hypervolumes: tuple[float, ...]
    hypervolume_interval: tuple[float, float] | None
    optimiser_share: float | None
    provenance: Provenance


def quality_of(searches: Sequence[SearchRecord], frame: Frame | None, common_j: float) -> Quality:
    """The results of the searches of one strategy; `common_j` is the budget to which the shares refer."""
    shares = [
        search.optimiser.energy_j / search.spent.energy_j
        for search in searches
        if search.optimiser is not None and search.spent.energy_j > 0
    ]
    hypervolumes: tuple[float, ...] = ()
    interval = None
    if frame is not None:
        at_j = [share * common_j for share in SHARES_OF_BUDGET]
        values = held([frame.course(search.progress) for search in searches], at_j, before=0.0)
        hypervolumes = tuple(median(column) for column in values.T.tolist())
        interval = bootstrap_median(values[:, -1].tolist())
    best = median(search.best for search in searches)
    return Quality(
        best=searches[0].metric.utility(best) if math.isfinite(best) else None,
        hypervolumes=hypervolumes,
        hypervolume_interval=interval,
        optimiser_share=median(shares) if shares else None,
        provenance=weakest(search.provenance for search in searches),
    )


def _usable(point: Point) -> bool:
    return math.isfinite(point.utility) and math.isfinite(point.energy_j) and point.energy_j > 0
