"""A search's receipt: its energy as a BoAmps report, and as a paragraph for a paper.

BoAmps is Boavizta's format for sharing measurements of AI's energy (https://github.com/Boavizta/BoAmps, schemas of its
folder `model/`, version 0.1). It has no fields for an interval and for a figure's source; they are in
`taskDescription`, `measurementMethod` and the two tracking modes. Despite its name, `powerConsumption` is in kWh.
Fields that a run does not know (country, publisher) are left out, and so is `environment`, which needs a country.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ecoml.energy import J_PER_KWH, Energy, Provenance
from ecoml.format import (
    MEANING,
    capitalised,
    describe_co2e,
    describe_pretraining,
    describe_search_end,
    estimate_interval,
    format_energy,
    format_kwh,
    named_score,
    plural,
)
from ecoml.report.page.writing import writing
from ecoml.run.hindsight import seen_on
from ecoml.run.result import Result

FORMAT_VERSION = "0.1"
FORMAT_URI = "https://github.com/Boavizta/BoAmps/tree/main/model"

JSON_FILE, TEXT_FILE = "receipt.json", "receipt.txt"

_QUALITY = ((0.10, "high"), (0.25, "medium"))
"""BoAmps' words for the quality of a figure."""


def write_receipt(
    directory: str | Path, *, grid_intensity: float | str | Path | None = None, **limits: float | None
) -> tuple[Path, Path]:
    """Write a run's receipt into its folder: the BoAmps report, and the paragraph.

    Args:
        directory: The run folder.
        grid_intensity: Grams of CO2e per kWh, or a CSV of time and g/kWh; None: as set for the search.
        **limits: Limits for the choice of a model, as for `write_report`.

    Raises:
        RunFolderError: The folder is no run folder, or of a newer version.
        UsageError: `grid_intensity` cannot be used, or the folder cannot be written.
    """
    result = seen_on(Result.load(directory, **limits), grid_intensity)
    paths = result.directory / JSON_FILE, result.directory / TEXT_FILE
    texts = json.dumps(boamps(result), indent=2, ensure_ascii=False) + "\n", paragraph(result) + "\n"
    with writing(result.directory, "make it writable, or copy the run folder and name the copy"):
        for path, text in zip(paths, texts, strict=True):
            path.write_text(text, encoding="utf-8")
    return paths


def boamps(result: Result) -> dict[str, Any]:
    """The report of a run, in BoAmps' form."""
    energy, settings = result.energy, result.settings
    host, best = settings.get("host", {}), result.recommended
    created = str(settings.get("created", ""))
    data = settings.get("data", {})
    task: dict[str, Any] = {
        "taskStage": "training",
        "taskFamily": "hyperparameter search",
        "algorithms": [
            {
                "algorithmType": "neural network" if settings.get("executor", {}).get("kind") == "cnn" else "AutoML",
                "framework": "ecoml",
                "frameworkVersion": host.get("versions", {}).get("ecoml") or version("ecoml"),
                "optimizer": result.strategy,
            }
        ],
        "dataset": [
            {"dataUsage": "input", "dataType": "image" if data else "other", "source": "other"}
            | ({"dataQuantity": data["images"]} if isinstance(data.get("images"), int) else {})
        ],
        "taskDescription": paragraph(result),
    }
    if best is not None and result.metric.is_share and "accuracy" in result.metric.name:
        task["measuredAccuracy"] = best.score
    report: dict[str, Any] = {
        "header": {
            "formatVersion": FORMAT_VERSION,
            "formatVersionSpecificationUri": FORMAT_URI,
            "reportId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{result.directory.name} {created}")),
            "reportDatetime": _boamps_time(datetime.now().astimezone().isoformat()),
            "reportStatus": "final" if result.complete else "draft",
        },
        "task": task,
        "measures": [_measure(result, created)],
        "system": {"os": str(host.get("system", "")) or "unknown"},
        "software": {"language": "python", "version": str(host.get("python", ""))},
        "infrastructure": {"infraType": "other", "components": _components(result)},
    }
    if (quality := _quality(energy.total)) is not None:
        report["quality"] = quality
    return report


def paragraph(result: Result) -> str:
    """A search's energy for a paper: the figure, its interval, its source, and the hardware."""
    energy, host = result.energy, result.settings.get("host", {})
    total, best = energy.total, result.recommended
    sources = ", ".join(
        f"{domain} by {told.get('source', 'an unnamed source')}"
        for domain, told in result.settings.get("meter", {}).items()
    )
    how = f"{total.provenance}: {MEANING[total.provenance]}"
    parts = [
        f"The search ({result.strategy}, {plural(len(result.trials), 'trial')} on {result.problem}) took"
        f" {format_kwh(total.energy_j)} ({format_energy(total.energy_j)}; {_interval(total)}), including"
        " training, evaluation, the optimiser and idling.",
        f"The figure is {how}{f' ({sources})' if sources else ''}.",
    ]
    if energy.idle is not None:
        parts.append(f"Of it, {format_kwh(energy.idle.energy_j)} is the idle power of the same hardware.")
    if (co2e := describe_co2e(energy.co2e)) != "":
        parts.append(f"Its CO2e: {co2e}.")
    hardware = sorted({str(told["name"]) for told in result.settings.get("meter", {}).values() if "name" in told})
    cpu = f"{host.get('cores', 'unknown')} cores of {host.get('cpu') or 'an unnamed processor'}"
    parts.append(f"Hardware: {', '.join([cpu, *hardware])}; {host.get('system', 'an unnamed system')}.")
    if best is not None:
        one = format_kwh(best.energy_j)
        parts.append(f"The recommended network reaches {named_score(result.metric, best.score)} for {one} of training.")
    if result.ended is not None:
        parts.append(f"Why the search ended: {describe_search_end(result.ended, result.metric)}.")
    parts += [f"{capitalised(sentence)}." for sentence in describe_pretraining(energy.pretrained)]
    if energy.gaps:
        parts.append(f"Its metering has {plural(len(energy.gaps), 'gap')}, listed in the run's report.")
    return " ".join(parts)


def _measure(result: Result, created: str) -> dict[str, Any]:
    energy, sources = result.energy, result.settings.get("meter", {})
    modes = {
        "cpuTrackingMode": _mode(sources, ("cpu", "dram", "psys", "node", "module")),
        "gpuTrackingMode": _mode(sources, ("gpu", "module", "node")),
    }
    measure: dict[str, Any] = {
        "measurementMethod": f"ecoml ({energy.provenance})",
        "version": version("ecoml"),
        **{key: mode for key, mode in modes.items() if mode},
        "powerConsumption": energy.total_kwh,
        "measurementDateTime": _boamps_time(created),
    }
    if energy.seconds:
        measure["measurementDuration"] = energy.seconds
    if energy.idle is not None and energy.seconds:
        measure["powerCalibrationMeasurement"] = energy.idle.energy_j / J_PER_KWH
        measure["durationCalibrationMeasurement"] = energy.seconds
    return {key: value for key, value in measure.items() if value != ""}


def _mode(sources: Mapping[str, Mapping[str, Any]], kinds: tuple[str, ...]) -> str:
    found = [told for domain, told in sources.items() if domain.split(":")[0] in kinds]
    return ", ".join(dict.fromkeys(f"{told.get('source')} ({told.get('provenance')})" for told in found))


def _components(result: Result) -> list[dict[str, Any]]:
    host = result.settings.get("host", {})
    cpu = {"componentType": "cpu", "nbComponent": int(host.get("cores", 1)), "componentName": str(host.get("cpu", ""))}
    gpus: dict[str, int] = {}
    for domain, told in result.settings.get("meter", {}).items():
        if domain.startswith(("gpu:", "module:")):
            name = str(told.get("name") or told.get("covers", "GPU"))
            gpus[name] = gpus.get(name, 0) + 1
    boards = [{"componentType": "gpu", "nbComponent": count, "componentName": name} for name, count in gpus.items()]
    return [{key: value for key, value in one.items() if value != ""} for one in (cpu, *boards)]


def _interval(total: Energy) -> str:
    if total.provenance is Provenance.ESTIMATED:
        low_j, high_j = estimate_interval(total)
        return f"between {format_kwh(low_j)} and {format_kwh(high_j)}"
    if total.provenance is Provenance.REPORTED and not total.uncertainty_j:
        return "as the training reported it"
    return f"± {format_kwh(total.uncertainty_j)}"


def _quality(total: Energy) -> str | None:
    """BoAmps' word for the certainty of the total; None if a part of it is missing or only reported."""
    if total.provenance in (Provenance.MISSING, Provenance.REPORTED) or total.energy_j <= 0:
        return None
    share = total.uncertainty_j / total.energy_j
    return next((word for most, word in _QUALITY if share <= most), "low")


def _boamps_time(text: str) -> str:
    """`YYYY-MM-DD HH:MM:SS`; empty if the text is no time."""
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return ""
