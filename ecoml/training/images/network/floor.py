"""The floor: the least energy that the arithmetic of a training takes on its device.

    F = Σ over epochs of 3·f·N + f·N_val,    E_floor = F · P / peak

f: FLOP of one image's forward pass at that epoch's resolution (two for each multiplication in convolutions and linear
layers); backward takes twice as much, and a frozen part has none (`Plan.training_flops`). N, N_val: images to train on
and to validate on. P / peak: joules per FLOP when the device does nothing but large matrix products. Images that an
epoch skips count all the same.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ecoml.training.images.network.form import form_of
from ecoml.training.images.network.plan import Shape
from ecoml.training.images.schedule import sides_at
from ecoml.training.images.settings import Settings
from ecoml.trial import Config


@dataclass(frozen=True, slots=True)
class Floor:
    """What the least energy of a trial is computed from.

    Attributes:
        shape: Channels, height, width of an image.
        classes: How many there are.
        train_images: Images to train on.
        validation_images: Images to validate on.
        j_per_flop: Joules per FLOP at the device's peak.
        twice: Whether a training sees no more than two resolutions; see `sides_at`.
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
        each = (epoch / settings.epochs for epoch in range(epochs))
        sides = Counter(sides_at(settings, self.shape[1:], t, twice=self.twice) for t in each)
        images = self.train_images, self.validation_images
        return sum(form.training_flops(seen, count, *images) for seen, count in sides.items())

    def energy_j(self, config: Config, epochs: int) -> float:
        """The least joules of the first `epochs` epochs of a training."""
        return self.flops(config, epochs) * self.j_per_flop
