"""How good predictions are: what was predicted for images of each class, and the scores that follow from it.

Notation: n(t, p) images of class t for which class p was predicted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecoml.metric import Metric

METRICS = {
    "accuracy": Metric("validation accuracy", low=0.0, high=1.0, step="epoch"),
}
"""Name of a score, as a user gives it → what it is."""


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """A confusion matrix.

    Attributes:
        counts: n(t, p), int64 classes×classes.
    """

    counts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, labels: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], classes: int) -> Confusion:
        """From the class of each image, and the one that was predicted."""
        return cls(np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes))

    @classmethod
    def of_one_answer(cls, images: npt.NDArray[np.int64], answer: int) -> Confusion:
        """Of always giving the same answer, for so many images of each class."""
        counts = np.zeros((len(images), len(images)), dtype=np.int64)
        counts[:, answer] = images
        return cls(counts)

    @property
    def accuracy(self) -> float:
        """Share of all images that are predicted right: Σ n(c, c) / Σ n(t, p)."""
        return int(np.trace(self.counts)) / int(self.counts.sum())

    def score(self, name: str) -> float:
        """One of `METRICS`, in [0, 1]."""
        return {"accuracy": self.accuracy}[name]
