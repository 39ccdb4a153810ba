"""The paths of a run folder's models: `models/trial-0005-step-03.safetensors`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from ecoml.errors import RunFolderError
from ecoml.trial import Trial

_NAME = re.compile(r"trial-(\d+)-step-(\d+)\.safetensors")


class Kept(NamedTuple):
    """A saved model: its trial's number, the step of its curve, and its file."""

    trial: int
    step: int
    path: Path


def model_path(directory: Path, trial: Trial) -> Path:
    """The path of the weights of `trial` at its last point."""
    return directory / "models" / f"trial-{trial.number:04d}-step-{trial.step:02d}.safetensors"


def kept_models(directory: Path) -> list[Kept]:
    """The models of a run folder, by trial and step."""
    files = (directory / "models").glob("*.safetensors")
    return sorted(Kept(int(match[1]), int(match[2]), path) for path in files if (match := _NAME.fullmatch(path.name)))


def find_model(directory: Path, trial: int, step: int | None = None) -> Kept:
    """The model of a trial, at this step or the last one saved.

    Raises:
        RunFolderError: There is none; the message lists the saved ones.
    """
    kept = kept_models(directory)
    fitting = [model for model in kept if model.trial == trial and step in (None, model.step)]
    if not fitting:
        known = ", ".join(f"{model.trial} (step {model.step})" for model in kept) or "none"
        wanted = f"trial {trial}" if step is None else f"trial {trial}, step {step}"
        raise RunFolderError(f"{directory}: no weights of {wanted}; saved are those of the front: {known}")
    return fitting[-1]
