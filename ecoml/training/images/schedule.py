"""The values that change during a training: learning rate and resolution.

Notation: t the completed share of the training, in [0, 1].
"""

from __future__ import annotations

import math

from ecoml.training.images.settings import Settings

_PEAK = 0.25
_WARM_UP = 0.05
_FULL_SIZE_FROM = 0.5
_SIDE_STEP = 4
_OF_SIDE = 64
_SMALLEST_SIDE = 16
"""Smaller images are never scaled down: they cost little, and every pixel matters."""


def rate_factor(schedule: str, t: float) -> float:
    """Share of the highest learning rate at t: 1 for `constant`, (1 + cos πt) / 2 for `cosine`, min(t / ¼, (1 − t) / ¾)
    for `triangle`, and min(1, t / 0.05) for `averaged`.
    """
    if schedule == "cosine":
        return (1 + math.cos(math.pi * t)) / 2
    if schedule == "triangle":
        return min(t / _PEAK, (1 - t) / (1 - _PEAK))
    if schedule == "averaged":
        return min(1.0, t / _WARM_UP)
    return 1.0


def sides_at(settings: Settings, sides: tuple[int, int], t: float, *, twice: bool = False) -> tuple[int, int]:
    """Height and width of the network's input at t.

    The share of the full sides (those of `resolution`) rises linearly from `start_resolution` to 1 at t = ½. Its steps
    are 4 pixels, or 8, 12, … pixels for images of more than 64, 128, … pixels, because each resolution needs another
    copy of the data.

    Args:
        settings: The training's settings.
        sides: Sides of the images.
        t: Completed share of the training.
        twice: Use at most two resolutions with the same mean: `start_resolution` up to t = ¼, and then the full one. On
            a GPU each resolution must be recorded.
    """
    sides = settings.sides_of(sides)
    if twice:
        share = settings.start_resolution if t < _FULL_SIZE_FROM / 2 else 1.0
    else:
        share = min(1.0, settings.start_resolution + (1 - settings.start_resolution) * t / _FULL_SIZE_FROM)
    fixed = settings.head != "pool" or settings.keeps_features
    if share >= 1 or fixed or min(sides) < _SMALLEST_SIDE:
        return sides
    step = _SIDE_STEP * math.ceil(min(sides) / _OF_SIDE)
    height, width = (min(side, step * max(1, round(side * share / step))) for side in sides)
    return height, width
