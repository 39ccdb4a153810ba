"""What the host and its worker tell each other of the data and of how to train on them."""

from __future__ import annotations

from dataclasses import dataclass

from ecoml.training.images.data.dataset import Reading
from ecoml.training.images.network.plan import Shape


@dataclass(frozen=True, slots=True)
class Workload:
    """All that every trial of a search has in common; see `CnnTraining` for what each field means.

    Attributes:
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
    model: bytes | None = None
    model_name: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the worker found.

    Attributes:
        classes: Name of each class, by label.
        shape: Channels, height, width of an image.
        train_images: How many there are to train on.
        validation_images: How many the accuracy is measured on.
        test_images: How many are held out for the end.
        reading: What was done to the images.
        device: The device, `cpu` or as torch names it.
        bf16: Whether it computes in bfloat16.
        peak_flop_per_s: The most arithmetic it showed in large matrix products.
        peak_power_w: Power it is taken to draw at that; NaN if it is not known.
    """

    classes: tuple[str, ...]
    shape: Shape
    train_images: int
    validation_images: int
    test_images: int
    reading: Reading
    device: str
    bf16: bool
    peak_flop_per_s: float
    peak_power_w: float
