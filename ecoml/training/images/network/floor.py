"""The floor: the least energy that the arithmetic of a training takes on its device.

    F = Σ over epochs of 3·f·N + f·N_val,    E_floor = F · P / peak

f: FLOP of one image's forward pass at that epoch's resolution (two for each multiplication in convolutions and linear
layers); backward takes twice as much. N, N_val: images to train on and to validate on. P / peak: joules per FLOP when
the device does nothing but large matrix products. Images that an epoch skips count all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ecoml.training.images.network.plan import Shape, plan
from ecoml.training.images.settings import Settings
from ecoml.training.images.worker.schedule import sides_at
from ecoml.trial import Config, Trial


@dataclass(frozen=True, slots=True)
class Floor:
    """What the least energy of a trial is computed from; kept in `run.toml`.

    Attributes:
        shape: Channels, height, width of an image.
        classes: How many there are.
        train_images: Images to train on.
        validation_images: Images to validate on.
        j_per_flop: Joules per FLOP at the device's peak.
        source: How that is known, in words.
    """

    shape: Shape
    classes: int
    train_images: int
    validation_images: int
    j_per_flop: float
    source: str

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Floor:
        """From what `to_dict` gave."""
        channels, height, width = table["shape"]
        return cls(**{**table, "shape": (channels, height, width)})

    def to_dict(self) -> dict[str, Any]:
        """For `run.toml`."""
        return {**asdict(self), "shape": list(self.shape)}

    def flops(self, config: Config, epochs: int) -> int:
        """FLOP of the first `epochs` epochs of a training, evaluations included."""
        settings = Settings.of(config)
        form = plan(settings, self.shape, self.classes)
        images = 3 * self.train_images + self.validation_images
        sides = (sides_at(settings, self.shape[1:], epoch / settings.epochs) for epoch in range(epochs))
        return sum(images * form.flops(each) for each in sides)

    def energy_j(self, trial: Trial) -> float:
        """The least energy of a trial's epochs so far, in joules."""
        return self.flops(trial.config, trial.step) * self.j_per_flop

    def efficiency(self, trial: Trial) -> float | None:
        """`energy_j` as a share of what its epochs took; None before the first."""
        if not trial.curve:
            return None
        return self.energy_j(trial) / trial.curve[-1].energy_j
