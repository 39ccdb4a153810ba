"""The quality of a model on labelled images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from ecoml.metric import wilson
from ecoml.models.inputs import Input
from ecoml.models.model import Prediction
from ecoml.training.images.scores import Confusion


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model's results on labelled images.

    Attributes:
        classes: Their names, in the order of the confusion matrix.
        confusion: Number of images by true and predicted class.
        sureness: Mean probability of the answers, in [0, 1]; the closer to the accuracy, the better calibrated.
    """

    classes: tuple[str, ...]
    confusion: Confusion
    sureness: float

    @classmethod
    def of(cls, given: Sequence[Input], predictions: Sequence[Prediction], classes: tuple[str, ...]) -> Evaluation:
        """The evaluation of at least one image, from the true classes and the predictions."""
        place = {name: index for index, name in enumerate(classes)}
        truth = np.array([place[image.label or ""] for image in given], dtype=np.int64)
        answers = np.array([place[prediction.label] for prediction in predictions], dtype=np.int64)
        sureness = fmean(prediction.probability for prediction in predictions)
        return cls(classes, Confusion.of(truth, answers, len(classes)), sureness)

    @property
    def images(self) -> int:
        """Number of images."""
        return int(self.confusion.counts.sum())

    @property
    def right(self) -> int:
        """Number of correctly predicted images."""
        return int(np.trace(self.confusion.counts))

    @property
    def interval(self) -> tuple[float, float]:
        """The accuracy's 95 % interval (Wilson)."""
        return wilson(self.confusion.accuracy, self.images)

    def to_dict(self) -> dict[str, Any]:
        """The evaluation as a JSON object."""
        counts, confusion = self.confusion.counts, self.confusion
        return {
            "images": self.images,
            "right": self.right,
            "accuracy": confusion.accuracy,
            "accuracy_interval": list(self.interval),
            "balanced_accuracy": confusion.balanced_accuracy,
            "macro_f1": confusion.macro_f1,
            "mean_probability": self.sureness,
            "classes": list(self.classes),
            "per_class": {
                name: {"images": int(counts[index].sum()), "recall": recall, "precision": precision}
                for index, (name, recall, precision) in enumerate(
                    zip(self.classes, confusion.recalls, confusion.precisions, strict=True)
                )
            },
            "confusion": counts.tolist(),
        }
