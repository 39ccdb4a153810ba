"""The messages between the host and its worker: the data, and how to train on them."""

from __future__ import annotations

import math
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ecoml.errors import UsageError
from ecoml.training.images.about import DataDescription
from ecoml.training.images.network.cost import epoch_seconds
from ecoml.training.images.network.floor import Floor
from ecoml.training.images.settings import LARGEST_SIDE
from ecoml.trial import Config

if TYPE_CHECKING:
    from ecoml.training.images.network.own import Build


@dataclass(frozen=True, slots=True)
class Workload:
    """What all trials of a search have in common; for the meaning of each field see `CnnTraining`.

    Attributes:
        stamp: A value that changes when any file of the data changes.
        largest_side: Largest side of images in pixels.
        model: The user's own function that builds networks, pickled; None: our networks.
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


_TEST_PRECISION = 2.5
"""Upper bound of the energy of a pass in full precision, as for tests, in passes in bfloat16
(docs/results/training.md).
"""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The worker's description of data and device.

    Attributes:
        about: The data.
        device: The device, `cpu` or torch's name.
        bf16: Whether it computes in bfloat16.
        peak_flop_per_s: The highest performance in large matrix products.
        peak_power_w: The assumed power at this performance; NaN if unknown.
    """

    about: DataDescription
    device: str
    bf16: bool
    peak_flop_per_s: float
    peak_power_w: float

    @property
    def floor(self) -> Floor:
        """The values from which the least energy of a trial's arithmetic is computed."""
        about, j_per_flop = self.about, self.peak_power_w / self.peak_flop_per_s
        counts = len(about.train), about.train_images, about.validation_images
        return Floor(about.shape, *counts, j_per_flop, twice=self.device.startswith("cuda"))

    def floor_j(self, config: Config, step: int) -> float | None:
        """The least joules of the arithmetic of the first `step` epochs; None if the power at peak is unknown."""
        return None if math.isnan(self.peak_power_w) else self.floor.energy_j(config, step)

    @property
    def cost_hint(self) -> Callable[[Config], float] | None:
        """On a GPU, a function that estimates the seconds of an epoch, from its kernels and its arithmetic."""
        if not self.device.startswith("cuda"):
            return None
        return partial(epoch_seconds, data=self.floor, peak_flop_per_s=self.peak_flop_per_s)

    @property
    def test_cost(self) -> float:
        """Energy of one pass over the test set in validation passes."""
        return self.about.test_images / self.about.validation_images * (_TEST_PRECISION if self.bf16 else 1.0)


def pickled(model: Build) -> bytes:
    """The user's function that builds networks, for another process.

    Raises:
        UsageError: It refers to something that cannot be pickled.
    """
    import cloudpickle  # by value where it must be: a function of a notebook or of a script has no module to import

    try:
        pickled: bytes = cloudpickle.dumps(model)
    except (TypeError, pickle.PicklingError, AttributeError) as error:
        raise UsageError(
            f"model cannot be sent to the training's process ({error!s:.120}); let the function build all it needs"
        ) from None
    return pickled


def usable_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
