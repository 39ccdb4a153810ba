"""A model as files for programs without ecoml: made in memory, checked on images, and only then written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ecoml.errors import DataError, SearchFailed, UsageError, did_you_mean
from ecoml.models.card import card
from ecoml.models.export.program import Predict
from ecoml.models.export.source import versions
from ecoml.models.load import run_of
from ecoml.models.model import Model
from ecoml.models.written import written
from ecoml.run.folder import read_settings
from ecoml.training.images.data.loader import load
from ecoml.training.images.settings import LARGEST_SIDE

FORMATS = ("onnx", "torch", "safetensors")

_IMAGES = 500  # that an export is checked on, at most
_TOLERANCE = 1e-3
"""Difference of a logit, as a share of the largest one, above which an export is refused; rounding gives 1e-6."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The result of an export.

    Attributes:
        files: The written files, the model first.
        checked_by: The library that computed the export's predictions.
        images: Number of images of the check.
        real: Whether these were images of the data, not noise.
        difference: The largest difference of a probability.
        logit_difference: The largest difference of a logit.
    """

    files: tuple[Path, ...]
    checked_by: str
    images: int
    real: bool
    difference: float
    logit_difference: float

    def to_dict(self) -> dict[str, Any]:
        """The result as a JSON object."""
        return {**asdict(self), "files": [str(path) for path in self.files]}


def export_model(model: Model, to: str, folder: Path, images: Tensor | None = None) -> Exported:
    """Write a model into a folder, with `preprocess.py` and its card.

    Args:
        model: The model.
        to: One of `FORMATS`.
        folder: The folder; it is created if necessary, and files of the same names are replaced.
        images: uint8 N×C×H×W for the check; None: the test images of the model's run, or noise if these are not
            available.

    Raises:
        UsageError: The format is unknown, a package is missing, or this network cannot be exported to the format.
        SearchFailed: The export's predictions differ from the model's; nothing is written.
    """
    if to not in FORMATS:
        raise UsageError(f"unknown format {to!r}; {did_you_mean(to, FORMATS)}")
    about = _about(model)
    files, predict, checked_by = _made(model, to, about)
    found = images if images is not None else _test_images(model)
    checked = _noise(model) if found is None else found[:_IMAGES]
    difference, logit_difference, largest = _differences(model, predict, checked)
    if not logit_difference <= _TOLERANCE * max(largest, 1.0):
        raise SearchFailed(
            f"{model.path}: the {to} export differs from the model by {logit_difference:.3g} in a logit ({checked_by},"
            f" torch {torch.__version__}); nothing was written, try another version of torch or another format"
        )
    files["preprocess.py"] = written("preprocess.py.j2", model).encode()
    exported = Exported(
        tuple(folder / name for name in (*files, "README.md")),
        checked_by,
        len(checked),
        found is not None,
        difference,
        logit_difference,
    )
    files["README.md"] = card(model, exported_as=next(iter(files)), checked=exported.to_dict()).encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written ({error.strerror or error}); choose another --out") from None
    return exported


def _made(model: Model, to: str, about: Mapping[str, Any]) -> tuple[dict[str, bytes], Predict, str]:
    """The files by name, a function that predicts with them, and the name of the library that computes this."""
    if to == "onnx":
        from ecoml.models.export.onnx_file import onnx_file

        content, predict, runtime = onnx_file(model, about)
        return {"model.onnx": content}, predict, runtime
    if to == "torch":
        from ecoml.models.export.program import program

        content, predict = program(model, about)
        return {"model.pt2": content}, predict, f"torch {torch.__version__}"
    from ecoml.models.export.source import weights_and_source

    kept = {"ecoml_export": json.dumps(about), **versions()}
    content, source, predict = weights_and_source(model, kept)
    return {"model.safetensors": content, "model.py": source.encode()}, predict, f"torch {torch.__version__}"


def _about(model: Model) -> dict[str, Any]:
    """The information that a program needs about the model, as JSON."""
    channels, height, width = model.network.shape
    return {
        "input": f"images: uint8 N×{channels}×{height}×{width}, levels 0 … 255",
        "output": "probabilities and logits: float32 N×classes",
        "classes": list(model.classes),
        "preprocessing": {**asdict(model.preprocess.form), "steps": "see preprocess.py"},
        "temperature": model.temperature,
        "trial": model.trial,
        "config": dict(model.config),
        "made_by": versions(),
    }


def _differences(model: Model, predict: Predict, images: Tensor) -> tuple[float, float, float]:
    """The largest differences of a probability and of a logit between model and export, and the largest logit."""
    with torch.inference_mode():
        logits = model.network(images).float()
        probabilities = torch.softmax(logits / model.temperature, 1)
    with torch.no_grad():
        exported = predict(images)
    ours, theirs = (probabilities, logits), exported
    differences = [float((one - other).abs().max()) for one, other in zip(ours, theirs, strict=True)]
    return differences[0], differences[1], float(logits.abs().max())


def _test_images(model: Model) -> Tensor | None:
    """Test images of the model's run, uint8 N×C×H×W; None if they are not available."""
    run = run_of(model.path)
    described = {} if run is None else read_settings(run).get("executor", {})
    if described.get("kind") != "cnn":
        return None
    try:
        data_dir = described.get("data_dir")
        side = max(LARGEST_SIDE, *model.network.shape[1:])
        found = load(described["data"], None if data_dir is None else Path(data_dir), download=False, largest_side=side)
    except DataError:
        return None
    images = torch.from_numpy(found.test.images[:_IMAGES].copy())
    return images if images.shape[1:] == model.network.shape else None


def _noise(model: Model) -> Tensor:
    torch_random = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (64, *model.network.shape), dtype=torch.uint8, generator=torch_random)
