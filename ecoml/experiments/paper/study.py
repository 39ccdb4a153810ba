"""The size and the parts of a run of the study: data, spaces, strategies, training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecoml.errors import UsageError
from ecoml.outside.folders import whole
from ecoml.report.page.writing import OTHER_FOLDER, writing
from ecoml.space import Choice, Space, load_space

if TYPE_CHECKING:
    from ecoml.training.base import Executor
    from ecoml.training.images.data.dataset import Dataset, LabelledImages


@dataclass(frozen=True, slots=True)
class Scale:
    """The size of a run.

    Attributes:
        images: Training images (a fifth of which is for validation, unless the run is as published); None: all.
        epochs: Epochs of a training.
        rounds: Configurations that a search tries.
        times: Repetitions of each configuration.
        draws: Hyperparameter draws of the factorial, shared by its cells.
        draw_times: Repetitions of each configuration in the factorial.
    """

    images: int | None = None
    epochs: int = 25
    rounds: int = 64
    times: int = 8
    draws: int = 24
    draw_times: int = 16

    def in_words(self, rounds: bool) -> str:
        """The differences to the study's size, for the text below a table; empty if there are none."""
        full = FULL
        size = [("rounds", self.rounds, full.rounds), ("repetitions", self.times, full.times)]
        factorial = [("draws", self.draws, full.draws), ("repetitions", self.draw_times, full.draw_times)]
        parts = [("epochs", self.epochs, full.epochs), *(size if rounds else factorial)]
        images = [] if self.images is None else [f"{self.images:,} training images, not all"]
        return ", ".join(images + [f"{here} of {there} {what}" for what, here, there in parts if here != there])


FULL = Scale()
SCALES: Mapping[str, Scale] = {
    "full": FULL,
    "reduced": Scale(images=4000, epochs=4, rounds=12, times=2, draws=12, draw_times=2),
    "tiny": Scale(images=400, epochs=1, rounds=3, times=2, draws=3, draw_times=1),
}
"""`full` is the size of the study, `reduced` takes minutes on two cores, `tiny` is a quick check."""

TEST_IMAGES = 2000
"""Number of test images if only a part of the training images is used."""

_RECIPE: Mapping[str, Any] = {
    "optimizer": "adam",
    "schedule": "constant",
    "batch_size": 512,
    "label_smoothing": 0.0,
    "skip_easy": 0.0,
    "start_resolution": 1.0,
    "epsilon": 1e-8,
    "weight_decay": 0.0,
}


@dataclass(frozen=True, slots=True)
class CutData:
    """A stratified part of the data, always the same one.

    Attributes:
        path: The `.npz` file that holds it.
        train: Its training images.
        test: Its test images.
    """

    path: Path
    train: LabelledImages = field(repr=False)
    test: LabelledImages = field(repr=False)

    @classmethod
    def of(cls, found: Dataset, images: int, folder: Path) -> CutData:
        """The part of the data that has this many training images."""
        train, test = _part(found.train, images), _part(found.test, TEST_IMAGES)
        return cls(folder / f"{found.name}-{images}.npz", train, test)


@dataclass(frozen=True, slots=True)
class Study:
    """What all searches of a run have in common.

    Attributes:
        name: The data's name, as in `figures`.
        scale: The size.
        as_published: Whether to repeat the study's faults.
        data: The data of the training.
        shape: Channels and side of its images, in pixels.
        classes: Number of classes.
        executor: The executor of the trainings. It reads cut data from a file, which `write_data` writes.
        cut: The data cut to the scale; None: they are not cut.
    """

    name: str
    scale: Scale
    as_published: bool
    data: str
    shape: tuple[int, int]
    classes: int
    executor: Executor
    cut: CutData | None = None

    def write_data(self) -> None:
        """Write the file of the cut data, if they are cut and it is not there.

        Raises:
            UsageError: It cannot be written.
        """
        if (cut := self.cut) is None or cut.path.is_file():
            return
        import numpy as np

        with writing(cut.path, OTHER_FOLDER), whole(cut.path) as unfinished, unfinished.open("wb") as file:
            np.savez(file, x=cut.train.images, y=cut.train.labels, x_test=cut.test.images, y_test=cut.test.labels)

    def space(self, parameters: int, fixed: Mapping[str, Any]) -> Space:
        """The study's space of 3 or 5 parameters of Adam, with everything else fixed."""
        free = load_space(f"paper-{parameters}").free
        return Space({**free, **self._rest(free), **fixed}, name=f"paper-{parameters}")

    def factorial_space(self) -> Space:
        """The five parameters, and the three factors of the network."""
        factors = {"linear": Choice([3, 7]), "conv": Choice([1, 4]), "relu": Choice(["no", "yes"])}
        free = load_space("paper-5").free
        return Space({**factors, **free, **self._rest(free), "network": "SimpleCNN"}, name="paper-rq2")

    def _rest(self, free: Mapping[str, Any]) -> dict[str, Any]:
        channels, side = self.shape
        about = {"channels": channels, "side": side, "classes": self.classes, "epochs": self.scale.epochs}
        return {**{key: value for key, value in _RECIPE.items() if key not in free}, **about}


def open_study(
    out: Path,
    scale: str,
    data: str,
    data_dir: Path | None = None,
    *,
    download: bool = True,
    device: str | None = None,
    threads: int | None = None,
    as_published: bool = False,
) -> Study:
    """Read the data, cut them to the scale, and set up the training. Nothing is written.

    Args:
        out: The folder in which `Study.write_data` stores the cut data.
        scale: One of `SCALES`.
        data: As in `CnnTraining`.
        data_dir: Folder of named data.
        download: Whether named data may be downloaded.
        device: A device of torch.
        threads: CPU threads.
        as_published: Whether to train as the study did.

    Raises:
        UsageError: There is no such scale, the images are not square, or the data cannot be read.
    """
    if scale not in SCALES:
        raise UsageError(f"--scale {scale} is not known; use one of {', '.join(SCALES)}")
    from ecoml.training.images import CnnTraining
    from ecoml.training.images.data.loader import load

    size = SCALES[scale]
    found = load(data, data_dir, download=download)
    channels, height, width = found.train.images.shape[1:]
    if height != width:
        raise UsageError(f"{data}: images of {height}×{width} pixels; the study's networks need square images")
    source, folder, cut = data, data_dir, None
    if size.images is not None and len(found.train) > size.images:
        cut = CutData.of(found, size.images, out / "data")
        source, folder = str(cut.path), None
    else:
        size = replace(size, images=None)
    executor: Executor
    if as_published:
        from ecoml.experiments.paper.published import PublishedTraining
        from ecoml.training.images.worker.device import device_of

        executor = PublishedTraining(source, data_dir=folder, device=str(device_of(device)), threads=threads or 1)
    else:
        from ecoml.experiments.paper.networks import build

        executor = CnnTraining(source, data_dir=folder, download=download, device=device, threads=threads, model=build)
    return Study(found.name, size, as_published, source, (channels, height), len(found.classes), executor, cut)


def _part(part: LabelledImages, images: int) -> LabelledImages:
    if len(part) <= images:
        return part
    from ecoml.training.images.data.split import stratified

    _, taken = stratified(part.labels, images / len(part), 0)
    return part[taken]
