"""How well the joules of trials are known, as noise of their logarithms.

Of a half-width only what it exceeds the narrowest by tells trials apart: a counter that reads too high, or the ×/÷ 2 of
a model, moves all of them alike, and drowns nothing of what is learnt from their ratios.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ecoml.trial import Trial


def log_energy_variance(trials: Sequence[Trial]) -> NDArray[np.float64]:
    """Variance (n,) of the log energy at the last points of trials, n ≥ 1, each with joules > 0."""
    width = np.array([trial.curve[-1].energy.uncertainty_j / trial.curve[-1].energy_j for trial in trials])
    excess = np.round(width - width.min(), 6)  # what is left of equal shares by rounding is no noise
    return np.asarray(excess**2)
