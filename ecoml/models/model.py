"""Model: a trained network with everything needed to use it.

model = ecoml.load_model("runs/mine")
model.predict("photo.jpg")                 # Prediction('cat', 0.93)
model.predict(["a.jpg", "b.jpg"])          # a list of them
model.probabilities(images)                # N×classes, as numbers
model.network                              # the torch module: images N×C×H×W → logits N×classes
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ecoml.errors import UsageError
from ecoml.models.preprocess import Preprocess, several
from ecoml.training.images.data.dataset import Images
from ecoml.training.images.network.network import Network
from ecoml.training.images.steps.batches import predicted_at_once


@dataclass(frozen=True, slots=True)
class Prediction:
    """A prediction for one image.

    Attributes:
        label: The most probable class.
        probability: Its probability, in [0, 1].
        probabilities: Class → probability, most probable first.
    """

    label: str
    probability: float
    probabilities: Mapping[str, float] = field(repr=False)

    def top(self, count: int) -> list[tuple[str, float]]:
        """The most probable classes, with their probabilities."""
        return list(islice(self.probabilities.items(), count))

    def __repr__(self) -> str:
        return f"Prediction({self.label!r}, {self.probability:.2g})"


class Model:
    """A trained network with everything needed to use it: `predict`.

    Calling it calls its network: images N×C×H×W, uint8 or float in [0, 1], to logits N×classes.

    Attributes:
        network: The torch module, in evaluation mode; `model.network.to("cuda")` moves it, and predictions with it.
        classes: Name of each class, in the order of the logits.
        preprocess: Converts images as in the training: a path, a Pillow image, an array or a tensor to uint8 N×C×H×W.
        temperature: The divisor of logits before their softmax, which fits probabilities to the validation images.
        trial: Number of the trial that made it.
        config: That trial's configuration.
        path: Its file.
    """

    def __init__(self, network: Network, preprocess: Preprocess, header: Mapping[str, Any], path: Path) -> None:
        self.network = network
        self.classes: tuple[str, ...] = network.classes
        self.preprocess = preprocess
        self.temperature = float(header.get("temperature", 1.0))
        self.trial = int(header["trial"])
        self.config: Mapping[str, Any] = header["config"]
        self.path = path

    @property
    def parameters(self) -> int:
        """Number of trainable parameters."""
        sizes: list[int] = [weights.numel() for weights in self.network.parameters()]
        return sum(sizes)

    @property
    def at_once(self) -> int:
        """Images predicted at once, as in the search's own tests."""
        return predicted_at_once("cpu", self.network.sides)

    def predict(self, images: Any) -> Any:
        """The model's prediction: a `Prediction`, or a list of them for several images.

        Args:
            images: A path, a Pillow image, an array or tensor H×W, H×W×C or C×H×W (whole numbers from 0 to 255, or
                floats from 0 to 1); or several images, as an iterable of these, or as N×H×W×C or N×C×H×W.

        Raises:
            DataError: One of them cannot be read, or is not an image.
        """
        given, many = several(images)
        found = [self._prediction(row) for row in self._rows(given)]
        return found if many else found[0]

    def predict_levels(self, levels: Sequence[Images]) -> list[Prediction]:
        """As `predict`, for one batch of results of `preprocess.levels`."""
        return [self._prediction(row) for row in self._softmax(torch.from_numpy(np.stack(levels)))] if levels else []

    def probabilities(self, images: Any) -> npt.NDArray[np.float32]:
        """The probability of each class, N×classes, for one image (N = 1) or several.

        Args:
            images: As in `predict`.

        Raises:
            DataError: One of them cannot be read, or is not an image.
        """
        rows = list(self._rows(several(images)[0]))
        return np.stack(rows) if rows else np.zeros((0, len(self.classes)), np.float32)

    def __call__(self, images: Tensor) -> Tensor:
        """Logits N×classes of images N×C×H×W, uint8 or float in [0, 1]."""
        logits: Tensor = self.network(images)
        return logits

    def _rows(self, images: Iterable[Any]) -> Iterator[npt.NDArray[np.float32]]:
        waiting = iter(images)
        while batch := list(islice(waiting, self.at_once)):
            yield from self._softmax(self.preprocess(batch))

    def _softmax(self, inputs: Tensor) -> npt.NDArray[np.float32]:
        """Probabilities N×classes of uint8 N×C×H×W."""
        with torch.inference_mode():
            logits = self.network(inputs.to(self.network.mean.device)).float()
            rows: npt.NDArray[np.float32] = torch.softmax(logits / self.temperature, 1).numpy(force=True)
        return rows

    def _prediction(self, row: npt.NDArray[np.float32]) -> Prediction:
        order = np.argsort(-row, kind="stable")
        probabilities = {self.classes[index]: float(row[index]) for index in order}
        return Prediction(self.classes[order[0]], float(row[order[0]]), probabilities)

    def __repr__(self) -> str:
        channels, height, width = self.network.shape
        return (
            f"Model(trial {self.trial}: images {channels}×{height}×{width} → {len(self.classes)} classes,"
            f" {self.parameters:,} parameters)"
        )


def refuse_unknown(labels: Iterable[str], model: Model, where: str) -> None:
    """Refuse labels that are not classes of the model.

    Raises:
        UsageError: A label is not; the message names it, and the classes.
    """
    if unknown := sorted(set(labels) - set(model.classes)):
        raise UsageError(
            f"{where}: {unknown[0]!r} is not a class of this model; its classes are {_listed(model.classes)}"
        )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:12]) + (f", … ({len(names)} in all)" if len(names) > 12 else "")
