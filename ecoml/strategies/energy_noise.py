"""The uncertainty of the trials' joules, as noise of their logarithms.

Only the part of a half-width that exceeds the narrowest one distinguishes trials. A counter that reads too high, or the
×/÷ 2 of an estimate, moves all trials alike, and does not hide what is learnt from their ratios.
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
