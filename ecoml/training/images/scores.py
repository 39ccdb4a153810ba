"""The quality of predictions: the predictions for the images of each class, and the scores computed from them.

Notation: n(t, p) images of class t that were predicted as class p; n(t, ·) all of class t, n(·, p) all predicted as p.
Means over classes are over those that have images (balanced accuracy), or images or predictions (F1), as in
scikit-learn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ecoml.metric import Metric

ACCURACY, BALANCED, MACRO_F1 = "accuracy", "balanced-accuracy", "macro-f1"

METRICS: Mapping[str, Metric] = {
    ACCURACY: Metric("validation accuracy", low=0.0, high=1.0, step="epoch"),
    BALANCED: Metric("validation balanced accuracy", low=0.0, high=1.0, step="epoch"),
    MACRO_F1: Metric("validation macro F1", low=0.0, high=1.0, step="epoch"),
}
"""The user's name of a score → its metric."""

IMBALANCED_FROM = 2.0
"""Data are imbalanced if the largest class has more than this many times the images of the others on average.

With many classes this is twice its equal share; with two, twice the images of the other.
"""


def imbalanced(counts: Sequence[int]) -> bool:
    """Whether classes with these numbers of images are imbalanced."""
    largest = max(counts)
    return largest * (len(counts) - 1) > IMBALANCED_FROM * (sum(counts) - largest)


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """A confusion matrix.

    Attributes:
        counts: n(t, p), int64 classes×classes.
    """

    counts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, labels: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], classes: int) -> Confusion:
        """The matrix from each image's class and its predicted class."""
        return cls(np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes))

    @classmethod
    def of_one_answer(cls, images: npt.NDArray[np.int64], answer: int) -> Confusion:
        """The matrix of always giving the same answer, for these numbers of images of each class."""
        counts = np.zeros((len(images), len(images)), dtype=np.int64)
        counts[:, answer] = images
        return cls(counts)

    @classmethod
    def of_cells(cls, cells: Sequence[Sequence[int]], classes: int) -> Confusion:
        """The matrix from the result of `cells`."""
        counts = np.zeros((classes, classes), dtype=np.int64)
        for truth, predicted, count in cells:
            counts[truth, predicted] = count
        return cls(counts)

    @property
    def cells(self) -> list[list[int]]:
        """[t, p, n(t, p)] for all entries that are not 0: never more entries than images."""
        return [[int(t), int(p), int(self.counts[t, p])] for t, p in np.argwhere(self.counts)]

    def mistakes(self, names: Sequence[str], most: int) -> list[tuple[str, str, int]]:
        """The most frequent mistakes: name of the true class, name of the predicted one, images."""
        wrong = [(names[t], names[p], count) for t, p, count in self.cells if t != p]
        return sorted(wrong, key=lambda cell: -cell[2])[:most]

    @property
    def accuracy(self) -> float:
        """Share of all images that are predicted correctly: Σ n(c, c) / Σ n(t, p)."""
        return int(np.trace(self.counts)) / int(self.counts.sum())

    @property
    def recalls(self) -> list[float | None]:
        """Share of each class's images that are predicted correctly: n(c, c) / n(c, ·); None for a class without
        images.
        """
        return [
            int(right) / int(all_) if all_ else None
            for right, all_ in zip(np.diag(self.counts), self.counts.sum(1), strict=True)
        ]

    @property
    def precisions(self) -> list[float | None]:
        """Share of each answer's images that belong to its class: n(c, c) / n(·, c); None for a class that was never
        predicted.
        """
        return Confusion(self.counts.T).recalls

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the recalls."""
        recalls = [recall for recall in self.recalls if recall is not None]
        return sum(recalls) / len(recalls)

    @property
    def macro_f1(self) -> float:
        """Mean over the classes of 2 n(c, c) / (n(c, ·) + n(·, c))."""
        both = self.counts.sum(0) + self.counts.sum(1)
        return float(np.mean(2 * np.diag(self.counts)[both > 0] / both[both > 0]))

    def score(self, name: str) -> float:
        """One of `METRICS`, in [0, 1]."""
        return {ACCURACY: self.accuracy, BALANCED: self.balanced_accuracy, MACRO_F1: self.macro_f1}[name]

    def details(self) -> dict[str, Any]:
        """All scores by their names, and the recall of each class in the order of the labels; JSON."""
        recalls = [None if recall is None else round(recall, 6) for recall in self.recalls]
        return {**{name: self.score(name) for name in METRICS}, "recalls": recalls}
