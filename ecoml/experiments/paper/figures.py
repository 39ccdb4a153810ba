"""The published figures of the study (arXiv 2303.13972), to compare with the results here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Published(NamedTuple):
    """The best accuracy of a search, and its round."""

    score: float
    round: int


def _pairs(*values: float) -> dict[int, Published]:
    return {5: Published(values[0], int(values[1])), 3: Published(values[2], int(values[3]))}


TABLE_III: Mapping[str, Mapping[str, Mapping[str, Mapping[int, Published]]]] = {
    "cifar10": {
        "DensePoly": {
            "random": _pairs(0.33, 56, 0.32, 27),
            "grid": _pairs(0.37, 42, 0.40, 55),
            "bo": _pairs(0.40, 27, 0.41, 11),
        },
        "DenseLinear": {
            "random": _pairs(0.35, 50, 0.38, 63),
            "grid": _pairs(0.40, 53, 0.40, 35),
            "bo": _pairs(0.37, 4, 0.39, 38),
        },
        "SimpleCNN": {
            "random": _pairs(0.60, 40, 0.62, 4),
            "grid": _pairs(0.58, 17, 0.59, 55),
            "bo": _pairs(0.68, 16, 0.66, 26),
        },
    },
    "fashion-mnist": {
        "DensePoly": {
            "random": _pairs(0.826, 56, 0.83, 27),
            "grid": _pairs(0.81, 40, 0.81, 19),
            "bo": _pairs(0.833, 29, 0.85, 46),
        },
        "DenseLinear": {
            "random": _pairs(0.81, 52, 0.84, 23),
            "grid": _pairs(0.81, 30, 0.81, 54),
            "bo": _pairs(0.84, 18, 0.85, 47),
        },
        "SimpleCNN": {
            "random": _pairs(0.8879, 29, 0.879, 39),
            "grid": _pairs(0.86, 14, 0.875, 20),
            "bo": _pairs(0.8876, 20, 0.884, 36),
        },
    },
}
"""Data → network → strategy → number of parameters searched; accuracies are of the test set, over 64 rounds."""


class PublishedEffect(NamedTuple):
    """The effect of a factor: Kruskal–Wallis H and η², and the change of mean energy from its first level to its
    second.
    """

    h: float
    eta2: float
    energy: float


RQ2: Mapping[str, Mapping[str, PublishedEffect]] = {
    "cifar10": {
        "conv": PublishedEffect(2303.25, 0.749, 0.664),
        "linear": PublishedEffect(496.8, 0.160, 0.066),
        "relu": PublishedEffect(106.7, 0.033, 0.029),
    },
    "fashion-mnist": {
        "conv": PublishedEffect(2303.25, 0.749, 0.953),
        "linear": PublishedEffect(481.8, 0.155, 0.049),
        "relu": PublishedEffect(176.5, 0.055, 0.027),
    },
}
"""Data → factor. These η² follow from H with n = 3072 and k = 8 (the cells); with the factor's own k = 2 they are .750,
.157 (.162) and .057 (.034)."""
