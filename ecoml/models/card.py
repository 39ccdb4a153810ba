"""A model card: what a user must know about a model (Mitchell et al. 2019, arXiv 1810.03993)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ecoml.errors import RunFolderError, UsageError
from ecoml.format import (
    MEANING,
    describe_data,
    describe_pretraining,
    describe_usage,
    format_config,
    format_energy,
    format_figure,
    format_interval,
    format_kwh,
    format_score,
    format_score_interval,
    percent,
    plural,
)
from ecoml.models.load import load_model, run_of
from ecoml.models.model import Model
from ecoml.models.written import written
from ecoml.run.models import kept_models
from ecoml.run.result import Result
from ecoml.training.images.scores import METRICS, Confusion
from ecoml.trial import Trial

_MISTAKES = 10
_WHOLE_MATRIX = 12


def card(model: Model, *, exported_as: str = "", checked: Mapping[str, Any] | None = None) -> str:
    """The card of a model as Markdown; for a model without its run, only with the file's information.

    Args:
        model: The model.
        exported_as: Name of the exported file, if it was exported.
        checked: The result of `Exported.to_dict`.
    """
    run = run_of(model.path)
    result = None if run is None else Result.load(run)
    trial = None if result is None else _trial(result, model)
    channels, height, width = model.network.shape
    return written(
        "card.md.j2",
        model,
        file=exported_as or model.path.name,
        checked=checked,
        input=f"{'colour' if channels == 3 else 'grey'} images of {width}×{height} pixels{_scaled(model)}",
        seen="×".join(str(side) for side in reversed(model.network.sides)),
        parameters=f"{model.parameters:,}",
        bytes=f"{model.path.stat().st_size:,}",
        config=format_config(_config(model, result, trial)),
        run=None if result is None else _run(result),
        quality=None if result is None or trial is None else _quality(result, trial, model),
        energy=None if result is None or trial is None else _energy(result, trial),
    )


def write_card(result: Result) -> Path | None:
    """Write the card of a result's recommended model as `card.md` into its run folder.

    Returns:
        The path; None if there is no model.

    Raises:
        UsageError: The folder cannot be written.
    """
    try:
        model = load_model(result)
    except (RunFolderError, UsageError):  # nothing is kept, or a function of the caller's own built it
        return None
    path = result.directory / "card.md"
    try:
        path.write_text(card(model), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror or error}); make the folder writable") from None
    return path


def _trial(result: Result, model: Model) -> Trial | None:
    """The trial that made a model, up to the point of its curve at which the model was saved."""
    step = next((kept.step for kept in kept_models(result.directory) if kept.path.samefile(model.path)), None)
    for trial in (*result.front, *(trial.at(step or 0) for trial in result.trials)):
        if trial.number == model.trial and trial.step == step:
            return trial
    return None


def _scaled(model: Model) -> str:
    """The clause that the network scales its input, if it does."""
    height, width = model.network.sides
    return "" if model.network.sides == model.network.shape[1:] else f", which the network scales to {width}×{height}"


def _config(model: Model, result: Result | None, trial: Trial | None) -> dict[str, Any]:
    """The searched part of the configuration; the complete one if that part is unknown."""
    if result is None or trial is None:
        return dict(model.config)
    return {name: value for name, value in trial.config.items() if name not in result.fixed}


def _run(result: Result) -> dict[str, Any]:
    host = result.settings.get("host", {})
    data = result.settings.get("data")
    return {
        "name": result.directory.name,
        "problem": data["name"] if data else result.problem,
        "created": str(result.settings.get("created", ""))[:10],
        "strategy": result.strategy,
        "seed": result.seed,
        "trials": plural(len(result.trials), "trial"),
        "data": describe_data(data, result.metric) if data else [],
        "host": [str(host[key]) for key in ("cpu", "system") if key in host],
        "cores": host.get("cores"),
        "versions": host.get("versions", {}),
        "python": host.get("python"),
    }


def _quality(result: Result, trial: Trial, model: Model) -> dict[str, Any]:
    metric, data = result.metric, result.settings.get("data", {})
    rows = [_score_row(result, "validation", trial.score, data.get("validation_counts_as"))]
    if trial.test_score is not None:
        rows.append(_score_row(result, "test", trial.test_score, data.get("test_counts_as")))
    cells = trial.test_details.get("confusion")
    confusion = None if cells is None else Confusion.of_cells(cells, len(model.classes))
    return {
        "steps": plural(trial.step, metric.step),
        "rows": rows,
        "others": {
            METRICS[name].name.removeprefix("validation "): format_score(metric, value)
            for name, value in trial.test_details.items()
            if name in METRICS and METRICS[name] != metric
        },
        "per_class": [] if confusion is None else _per_class(confusion, model.classes),
        "matrix": confusion.counts.tolist() if confusion and len(model.classes) <= _WHOLE_MATRIX else None,
        "mistakes": [] if confusion is None else confusion.mistakes(model.classes, _MISTAKES),
    }


def _score_row(result: Result, part: str, score: float | None, images: float | None) -> tuple[str, str, str]:
    """A part of the data, the score on it, and the score's interval."""
    name = result.metric.name.removeprefix("validation ")
    sure = "" if score is None or not images else format_score_interval(result.metric, score, images)
    return part, f"{name} {format_score(result.metric, score)}", sure


def _per_class(confusion: Confusion, classes: Sequence[str]) -> list[tuple[str, str, str, str]]:
    return [
        (name, f"{images:,}", percent(recall, 1), percent(precision, 1))
        for name, images, recall, precision in zip(
            classes, confusion.counts.sum(1), confusion.recalls, confusion.precisions, strict=True
        )
    ]


def _energy(result: Result, trial: Trial) -> dict[str, Any]:
    account = result.energy
    return {
        "usage": [] if trial.usage is None else describe_usage(trial.usage),
        "training": f"{format_figure(trial.energy)} ({trial.energy.provenance})",
        "training_kwh": format_kwh(trial.energy_j),
        "total": f"{format_figure(account.total)} ({account.provenance}), {format_interval(account.total)}",
        "total_kwh": format_kwh(account.total_j),
        "by_purpose": [
            (purpose.value, format_energy(part.energy_j), part.provenance.value)
            for purpose, part in account.by_purpose.items()
        ],
        "meaning": MEANING[account.provenance],
        "gaps": [*describe_pretraining(account.pretrained), *account.unmeasured, *account.gaps],
        "sources": [
            (domain, f"{source['source']}: {source['covers']}")
            for domain, source in result.settings.get("meter", {}).items()
        ],
    }
