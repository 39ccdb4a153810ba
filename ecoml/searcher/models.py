"""The models of a run: the weights of every point of the front, as safetensors in `models/`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ecoml.errors import RunFolderError
from ecoml.run.result import Result
from ecoml.trial import Trial

if TYPE_CHECKING:
    from torch import nn

    from ecoml.training.images.worker.loop import Build

_NAME = re.compile(r"trial-(\d+)-step-(\d+)\.safetensors")


def model_path(directory: Path, trial: Trial) -> Path:
    """Where the weights of `trial`, as of its last point, are kept."""
    return directory / "models" / f"trial-{trial.number:04d}-step-{trial.step:02d}.safetensors"


def keep_only(directory: Path, front: Sequence[Trial]) -> None:
    """Delete the weights of trials that have left the front."""
    kept = {model_path(directory, trial) for trial in front}
    for path in (directory / "models").glob("trial-*.safetensors"):
        if path not in kept:
            path.unlink(missing_ok=True)


def load_model(
    run: str | Path | Result, trial: int | Trial, *, step: int | None = None, model: Build | None = None
) -> nn.Module:
    """The trained network of a front trial, on the CPU and in evaluation mode.

    Args:
        run: A run folder, or the result of one.
        trial: A trial's number, or a trial of `result.front`.
        step: Which point of its curve; by default that of the given trial, or the last one kept.
        model: The function that `CnnTraining(…, model=…)` was given, if it was.

    Returns:
        A module that takes images N×C×H×W, uint8 or float in [0, 1], and gives logits N×classes.

    Raises:
        RunFolderError: No weights are kept for that trial; the line names those that are.
        UsageError: The file is damaged, or needs `model`.
    """
    from ecoml.training.images.model import load_model_file

    directory = run.directory if isinstance(run, Result) else Path(run)
    number = trial if isinstance(trial, int) else trial.number
    if step is None and isinstance(trial, Trial):
        step = trial.step
    kept = sorted(
        (int(match[1]), int(match[2]), path)
        for path in (directory / "models").glob("*.safetensors")
        if (match := _NAME.fullmatch(path.name))
    )
    fitting = [path for of, at, path in kept if of == number and step in (None, at)]
    if not fitting:
        known = ", ".join(f"{of} (step {at})" for of, at, _ in kept) or "none"
        wanted = f"trial {number}" if step is None else f"trial {number}, step {step}"
        raise RunFolderError(f"{directory}: no weights of {wanted}; kept are those of the front: {known}")
    return load_model_file(fitting[-1], model)
