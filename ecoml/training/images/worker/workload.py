"""What the host and its worker tell each other of the data and of how to train on them."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ecoml.errors import UsageError
from ecoml.training.images.about import About
from ecoml.training.images.network.floor import Floor
from ecoml.training.images.settings import LARGEST_SIDE

if TYPE_CHECKING:
    from ecoml.training.images.network.own import Build


@dataclass(frozen=True, slots=True)
class Workload:
    """All that every trial of a search has in common; see `CnnTraining` for what each field means.

    Attributes:
        stamp: What changes whenever a file of the data does.
        largest_side: The most pixels of a side that images are kept with.
        model: The caller's own function that builds networks, pickled; None: ours.
        model_name: Its name, for people.
    """

    data: str
    data_dir: str | None
    download: bool
    device: str | None
    seed: int
    threads: int
    threads_given: bool
    validation_share: float
    deterministic: bool
    stamp: str = ""
    largest_side: int = LARGEST_SIDE
    model: bytes | None = None
    model_name: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the worker found.

    Attributes:
        about: The data.
        device: The device, `cpu` or as torch names it.
        bf16: Whether it computes in bfloat16.
        peak_flop_per_s: The most arithmetic it showed in large matrix products.
        peak_power_w: Power it is taken to draw at that; NaN if it is not known.
    """

    about: About
    device: str
    bf16: bool
    peak_flop_per_s: float
    peak_power_w: float

    @property
    def floor(self) -> Floor:
        """What the least energy of a trial's arithmetic follows from."""
        about, j_per_flop = self.about, self.peak_power_w / self.peak_flop_per_s
        counts = len(about.train), about.train_images, about.validation_images
        return Floor(about.shape, *counts, j_per_flop, twice=self.device.startswith("cuda"))


def pickled(model: Build) -> bytes:
    """The caller's function that builds networks, for another process.

    Raises:
        UsageError: It holds what cannot be handed over.
    """
    import cloudpickle  # by value where it must be: a function of a notebook or of a script has no module to import

    try:
        pickled: bytes = cloudpickle.dumps(model)
    except (TypeError, pickle.PicklingError, AttributeError) as error:
        raise UsageError(
            f"model cannot be handed to the training's process ({error!s:.120}); let the function build all it needs"
        ) from None
    return pickled


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
