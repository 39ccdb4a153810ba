"""Loads a model from a run or from a file."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecoml.errors import RunFolderError, UsageError
from ecoml.models.model import Model
from ecoml.models.preprocess import Preprocess
from ecoml.run.choice.lifetime import trial_to_use
from ecoml.run.folder import read_settings
from ecoml.run.models import find_model
from ecoml.run.result import Result
from ecoml.training.function import shipped_function
from ecoml.training.images.data.dataset import Form
from ecoml.training.images.model import load_model_file, read_header
from ecoml.trial import Trial

if TYPE_CHECKING:
    from ecoml.training.images.network.own import Build

log = logging.getLogger("ecoml")


def load_model(
    run: str | Path | Result, trial: int | Trial | None = None, *, step: int | None = None, model: Build | None = None
) -> Model:
    """A trained model, on the CPU: `load_model("runs/mine").predict("photo.jpg")`.

    Args:
        run: A run folder, the result of a search, or a model file.
        trial: A trial's number, or a trial of `result.front`; default: the recommended one.
        step: The step of its learning curve; default: that of the given trial, or the last one saved.
        model: The function that was given as `CnnTraining(…, model=…)`, if any.

    Raises:
        RunFolderError: No weights are saved for this trial; the message lists the saved ones.
        UsageError: The file is damaged, or needs `model`.
    """
    path = model_file(run, trial, step)
    header = read_header(path)
    network = load_model_file(path, model or shipped_function(header.get("model")))
    return Model(network, Preprocess(_form(path, header)), header, path)


def model_file(run: str | Path | Result, trial: int | Trial | None = None, step: int | None = None) -> Path:
    """The file of a model; the arguments are those of `load_model`.

    Raises:
        RunFolderError: There is none.
    """
    if not isinstance(run, Result) and Path(run).is_file():
        if trial is not None or step is not None:
            raise UsageError(f"{run} is one model; name the run folder to choose another trial or step")
        return Path(run)
    if not isinstance(run, Result) and Path(run).suffix == ".safetensors":
        raise RunFolderError(f"{run}: no such model file; name one of a run's folder models/, or the run folder")
    directory = run.directory if isinstance(run, Result) else Path(run)
    if trial is None:
        chosen = trial_to_use(run if isinstance(run, Result) else Result.load(directory))
        if chosen is None:
            raise RunFolderError(f"{directory}: nothing was measured in this run; search again, or name a trial")
        trial = chosen
    if isinstance(trial, Trial):
        step = trial.step if step is None else step
        trial = trial.number
    elif not directory.is_dir():
        read_settings(directory)  # says what is wrong with it
    return find_model(directory, trial, step).path


def run_of(path: Path) -> Path | None:
    """The run folder that contains a model file; None if there is none."""
    folder = path.absolute().parent.parent
    return folder if path.absolute().parent.name == "models" and (folder / "run.toml").is_file() else None


def _form(path: Path, header: Mapping[str, Any]) -> Form:
    """The form of the model's images: from the file, or for an older file from its run."""
    if "form" in header:
        return Form.of(header["form"])
    channels, height, width = header["shape"]
    run = run_of(path)
    data = read_settings(run).get("data", {}) if run is not None else {}
    if not data:
        log.warning(
            "%s: written by an older ecoml, and it does not say how the training images were scaled to 0 … 255;"
            " eight-bit images are used as they are, with transparent pixels in black",
            path,
        )
    ranges = {kind: (low, high) for kind, (low, high) in data.get("ranges", {}).items()}
    return Form(height, width, channels, data.get("background", 0), ranges)
