"""The description of a training's data, which a search prints before it starts and stores in `run.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecoml.errors import DataError
from ecoml.training.images.data.dataset import ImageReading
from ecoml.training.images.network.plan import Shape
from ecoml.training.images.scores import ACCURACY, Confusion, imbalanced


@dataclass(frozen=True, slots=True)
class DataDescription:
    """The description of a training's data.

    Attributes:
        name: Short name for people.
        train: Class → number of its training images; in each part the classes are in the order of their labels.
        validation: Class → number of its validation images.
        test: Class → number of its test images.
        digest: Hash of files and classes.
        drawn: Which of validation and test were drawn at random, with the same share of each class.
        reading: How the images were changed, and what was left out.
        score: Which of `ecoml.training.images.scores.METRICS` is measured.
        copies: Number of validation and test images that are also among the training images.
    """

    name: str
    train: Mapping[str, int]
    validation: Mapping[str, int]
    test: Mapping[str, int]
    digest: str
    drawn: tuple[str, ...]
    reading: ImageReading
    score: str = ACCURACY
    copies: int = 0

    @property
    def classes(self) -> dict[str, int]:
        """Class → number of its images in all parts."""
        parts = self.train, self.validation, self.test
        return {name: sum(part.get(name, 0) for part in parts) for name in self.train}

    @property
    def images(self) -> int:
        """Number of images in all parts."""
        return sum(self.classes.values())

    @property
    def train_images(self) -> int:
        """Number of training images."""
        return sum(self.train.values())

    @property
    def validation_images(self) -> int:
        """Number of validation images."""
        return sum(self.validation.values())

    @property
    def test_images(self) -> int:
        """Number of test images."""
        return sum(self.test.values())

    @property
    def shape(self) -> Shape:
        """Channels, height and width of an image."""
        form = self.reading.form
        return form.channels, form.height, form.width

    @property
    def imbalanced(self) -> bool:
        """Whether the largest class has more than twice as many images as the others on average, without a given test
        set.
        """
        drawn = [part for name, part in (("validation", self.validation), ("test", self.test)) if name in self.drawn]
        return imbalanced([sum(part[name] for part in (self.train, *drawn)) for name in self.train])

    @property
    def largest_class(self) -> str:
        """The class with the most validation images."""
        return max(self.validation, key=lambda name: self.validation[name])

    @property
    def guess_score(self) -> float:
        """Score of always guessing the largest class."""
        answer = list(self.validation).index(self.largest_class)
        return Confusion.of_one_answer(self._validation, answer).score(self.score)

    @property
    def image_worth(self) -> float:
        """The largest change of the score from the answer for one validation image, if all others are right."""
        right = np.diag(self._validation)
        smallest = int(np.argmin(np.where(self._validation > 0, self._validation, self._validation.max())))
        wrong = right.copy()
        wrong[smallest, smallest] -= 1
        wrong[smallest, smallest - 1] += 1
        return Confusion(right).score(self.score) - Confusion(wrong).score(self.score)

    def counts_as(self, part: Mapping[str, int]) -> float:
        """The number of images from which an accuracy would be as precise as the score is from a part.

        For the accuracy it is the number of all images. A mean over C classes with n(c) images has the variance Σ p(1 −
        p)/n(c) / C², if all classes are recognised equally well; it is as precise as an accuracy of C² / Σ 1/n(c)
        images.
        """
        if self.score == ACCURACY:
            return float(sum(part.values()))
        counts = [count for count in part.values() if count]
        return len(counts) ** 2 / sum(1 / count for count in counts)

    @property
    def _validation(self) -> Any:
        """Number of validation images of each class, int64."""
        return np.array(list(self.validation.values()), dtype=np.int64)

    def to_dict(self) -> dict[str, Any]:
        """Table [data] of `run.toml`: TOML values, without empty entries."""
        reading, form = self.reading, self.reading.form
        table = {
            "name": self.name,
            "digest": self.digest,
            "images": self.images,
            "train_images": self.train_images,
            "validation_images": self.validation_images,
            "test_images": self.test_images,
            "validation_counts_as": self.counts_as(self.validation),
            "test_counts_as": self.counts_as(self.test),
            "drawn": list(self.drawn),
            "channels": form.channels,
            "height": form.height,
            "width": form.width,
            "background": form.background,
            "smallest": reading.smallest and list(reading.smallest),
            "largest": reading.largest and list(reading.largest),
            "several": reading.several,
            "blank": reading.blank,
            "copies": self.copies,
            "imbalanced": self.imbalanced,
            "score": self.score,
            "largest_class": self.largest_class,
            "guess_score": self.guess_score,
            "image_worth": self.image_worth,
            "ranges": {kind: list(ends) for kind, ends in form.ranges.items()},
            "ignored": dict(reading.ignored),
            "train": dict(self.train),
            "validation": dict(self.validation),
            "test": dict(self.test),
        }
        return {key: value for key, value in table.items() if value or key in ("guess_score", "image_worth")}


def refuse_changed(before: Mapping[str, Any], now: Mapping[str, Any], run: Path) -> None:
    """Refuse data that differ from those of a run.

    Args:
        before: Table [data] of the run's `run.toml`.
        now: The same table for the current data.
        run: The run folder.

    Raises:
        DataError: They differ; the message says in what.
    """
    if all(before.get(key) == now.get(key) for key in ("digest", "train", "validation", "test")):
        return
    was, is_ = _totals(before), _totals(now)
    gone, new = [name for name in was if name not in is_], [name for name in is_ if name not in was]
    told = [f"{what} {', '.join(map(repr, names))}" for what, names in (("gone:", gone), ("new:", new)) if names]
    told += [
        f"{name!r}: {is_[name]:,} images instead of {was[name]:,}"
        for name in was
        if is_.get(name, was[name]) != was[name]
    ]
    if not told and before.get("digest") == now.get("digest"):
        told = [f"{now['validation_images']:,} validation images instead of {before['validation_images']:,}"]
    if not told:
        told = ["the files or their contents differ in the same classes"]
    more = f", and {len(told) - 3:,} more" if len(told) > 3 else ""
    raise DataError(
        f"{run}: the data are not those it began with ({'; '.join(told[:3])}{more}), and trials could not be compared;"
        " bring them back as they were, or start a new search, which may learn from this one by a warm start"
    )


def _totals(data: Mapping[str, Any]) -> dict[str, int]:
    parts = [data.get(part, {}) for part in ("train", "validation", "test")]
    return {name: sum(part.get(name, 0) for part in parts) for name in data.get("train", {})}
