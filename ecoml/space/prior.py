"""Where in a space its user expects the best configurations: around the defaults of the parameters with a prior width.

Notation
    c, w    default on the unit scale, and `prior_width`
    π       density over the unit cube: a product over the active parameters, 1 for those without a width

- Float and Int: a normal distribution N(c, w²), cut off at 0 and 1. An Int has the mass of a value's bin, evenly.
- Choice: the default has the probability 1 − w; the other options share w evenly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecoml.space.parameters import Choice, Int, Parameter

Array = NDArray[np.float64]

_LEAST = 1e-12  # density of a parameter's value: the prior excludes nothing


class Prior:
    """The prior of a space's free parameters."""

    def __init__(self, free: Mapping[str, Parameter]) -> None:
        numbered = enumerate(free.items())
        self._parts = [(column, key, p) for column, (key, p) in numbered if p.prior_width is not None]

    def place(self, u: Array) -> Array:
        """Points (n, d) of the prior, one for each of u (n, d) in [0, 1): the quantiles of its coordinates."""
        placed = u.copy()
        for column, _, parameter in self._parts:
            placed[:, column] = _quantiles(parameter, u[:, column])
        return placed

    def log_density(self, configs: Sequence[Mapping[str, Any]]) -> Array:
        """log π (n,) of configurations."""
        density = np.zeros(len(configs))
        for _, key, parameter in self._parts:
            active = [i for i, config in enumerate(configs) if key in config]
            u = np.array([parameter.encode(configs[i][key]) for i in active])
            density[active] += np.log(np.maximum(_density(parameter, u), _LEAST))
        return density


def _quantiles(parameter: Parameter, share: Array) -> Array:
    """The coordinates (n,) below which these shares (n,) of the prior lie; of a Choice, the default comes first."""
    from scipy.special import ndtri

    centre, width = _centre_and_width(parameter)
    if isinstance(parameter, Choice):
        others = [parameter.encode(option) for option in parameter.options if option != parameter.default]
        other = np.minimum((share - (1.0 - width)) / width * len(others), len(others) - 1).astype(int)
        return np.where(share < 1.0 - width, centre, np.array(others)[np.maximum(other, 0)])
    low, high = _shares(np.array([0.0, 1.0]), centre, width)
    return np.asarray(np.clip(centre + width * ndtri(low + share * (high - low)), 0.0, 1.0))


def _density(parameter: Parameter, u: Array) -> Array:
    """The density (n,) at encoded coordinates (n,)."""
    centre, width = _centre_and_width(parameter)
    if isinstance(parameter, Choice):
        return np.where(u == centre, 1.0 - width, width / max(parameter.count - 1, 1)) * parameter.count
    low, high = _shares(np.array([0.0, 1.0]), centre, width)
    if isinstance(parameter, Int):
        bins = np.array([parameter.bin(parameter.decode(x)) for x in u]).reshape(-1, 2)
        # Above the centre the shares are near 1, so their differences are taken below it, where they are exact.
        mirrored = np.where((u > centre)[:, None], 2.0 * centre - bins, bins)
        mass = np.abs(np.diff(_shares(mirrored, centre, width)))[:, 0]
        return np.asarray(mass / np.diff(bins)[:, 0] / (high - low))
    z = (u - centre) / width
    return np.asarray(np.exp(-0.5 * z**2) / (width * math.sqrt(2 * math.pi) * (high - low)))


def _shares(u: Array, centre: float, width: float) -> Array:
    """The shares of the normal distribution below u."""
    from scipy.special import ndtr

    return np.asarray(ndtr((u - centre) / width))


def _centre_and_width(parameter: Parameter) -> tuple[float, float]:
    assert parameter.prior_width is not None, "only parameters with a width are parts of a prior"
    return parameter.encode(parameter.default), parameter.prior_width
