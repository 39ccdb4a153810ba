"""The floor: the least energy that the arithmetic of a training takes on its device.

    F = Σ over epochs of 3·f·N + f·N_val,    E_floor = F · P / peak

f: FLOP of one image's forward pass at that epoch's resolution (two per multiplication in convolutions and linear
layers); the backward pass takes twice as much, and a frozen part has none (`Plan.training_flops`). N, N_val: training
and validation images. P / peak: joules per FLOP when the device computes only large matrix products. Images that an
epoch skips count as well.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from ecoml.training.base import Work
from ecoml.training.images.network.form import form_of
from ecoml.training.images.network.plan import Shape
from ecoml.training.images.schedule import sides_at
from ecoml.training.images.settings import Settings
from ecoml.trial import Config

_FEWEST_PRODUCTS = 0.25
"""Smallest share of the products of a plain convolution that an algorithm in use computes (Winograd's)."""


@dataclass(frozen=True, slots=True)
class Floor:
    """The values from which the least energy of a trial is computed.

    Attributes:
        shape: Channels, height, width of an image.
        classes: Number of classes.
        train_images: Number of training images.
        validation_images: Number of validation images.
        j_per_flop: Joules per FLOP at the device's peak.
        twice: Whether a training uses at most two resolutions; see `sides_at`.
    """

    shape: Shape
    classes: int
    train_images: int
    validation_images: int
    j_per_flop: float
    twice: bool = False

    def flops(self, config: Config, epochs: int) -> int:
        """FLOP of the first `epochs` epochs of a training, evaluations included."""
        settings = Settings.of(config)
        form = form_of(settings, self.shape, self.classes)
        images = self.train_images, self.validation_images
        first, last = (sides_at(settings, self.shape[1:], t, twice=self.twice) for t in (0.0, 1.0))
        if first == last:  # a resolution only rises
            return form.training_flops(last, epochs, *images)
        each = (epoch / settings.epochs for epoch in range(epochs))
        sides = Counter(sides_at(settings, self.shape[1:], t, twice=self.twice) for t in each)
        return sum(form.training_flops(seen, count, *images) for seen, count in sides.items())

    def work(self, config: Config, peak_flop_per_s: float) -> Work:
        """What is known about the cost of a prediction before the network exists."""
        settings = Settings.of(config)
        form = form_of(settings, self.shape, self.classes)
        flop = _FEWEST_PRODUCTS * form.flops()
        kind = f"{settings.backbone} {settings.block} {settings.head} {settings.activation}"
        least_j = 0.0 if math.isnan(self.j_per_flop) else flop * self.j_per_flop
        return Work(kind, form.counts, flop / peak_flop_per_s, least_j)

    def energy_j(self, config: Config, epochs: int) -> float:
        """The least joules of the first `epochs` epochs of a training."""
        return self.flops(config, epochs) * self.j_per_flop
