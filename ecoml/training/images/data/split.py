"""Divides labelled images into two parts with the same classes in both."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.intp]


def stratified(labels: npt.NDArray[np.int64], share: float, seed: int) -> tuple[Indices, Indices]:
    """Indices to keep and indices to hold out, both ascending.

    Of each class with n images, round(share · n) are held out, but at least one and at most n − 1.

    Args:
        labels: int64 N; each class that occurs does so at least twice.
        share: Share to hold out, in (0, 1).
        seed: ≥ 0; the same seed gives the same division.
    """
    random = np.random.default_rng(seed)
    held_out = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(max(1, round(share * len(members))), len(members) - 1)
        held_out[random.permutation(members)[:count]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)
