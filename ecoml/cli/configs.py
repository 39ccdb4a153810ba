"""Searches from a saved configuration: a `run.toml`, with the options of the command line in front of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from typer import Context

from ecoml.cli.options import seconds
from ecoml.energy import J_PER_KWH
from ecoml.limits import budget_in_joules
from ecoml.run.folder import read_settings
from ecoml.searcher.setup.settings import SearchSettings
from ecoml.space import load_space
from ecoml.training.base import Executor
from ecoml.training.create import create_executor

_OF_SEARCH = ("strategy", "seed", "trace", "warm_start")
_OF_LIMITS = ("target", "max_trials", "max_parameters", "inferences", "require_measured", "spend_all")
_OF_TRAINING = ("data", "data_dir", "download", "device", "threads", "deterministic", "metric")


def given_options(context: Context) -> dict[str, Any]:
    """The options given on the command line."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    said = {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}
    return {name: value for name, value in context.params.items() if name in said}


def kept_arguments(config: Path, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `Searcher` that repeat a search.

    Args:
        config: A `run.toml`, or a run folder. A strategy file and a warm start are looked for beside it.
        given: Options of `ecoml search` that replace those of the file.

    Raises:
        UsageError: `config` is neither, or its training was a Python function, which no file contains.
    """
    table = read_settings(config)
    folder = config if config.is_dir() else config.parent
    kept = SearchSettings.of_run(table, folder, reported=False)
    options = {**table.get("executor", {}), **{name: given[name] for name in _OF_TRAINING if name in given}}
    limits = {**asdict(kept.limits), **{name: given[name] for name in _OF_LIMITS if name in given}}
    if "max_energy_per_training" in given:
        limits["max_energy_per_training_j"] = given["max_energy_per_training"] * J_PER_KWH
    if "max_inference_energy" in given:
        limits["max_inference_energy_j"] = given["max_inference_energy"]
    if "max_latency" in given:
        limits["max_latency_s"] = seconds(given["max_latency"])
    budget_j = table["run"]["budget_j"]
    if "budget_kwh" in given:
        budget_j = budget_in_joules(given["budget_kwh"], None)
    training: Executor | None = create_executor(options, folder)
    earlier = None if kept.warm_start is None else kept.warm_start.run
    arguments = {"strategy": kept.strategy, "seed": kept.seed, "trace": kept.trace, "warm_start": earlier}
    arguments |= {name: given[name] for name in _OF_SEARCH if name in given}
    space = load_space(given["space"]) if "space" in given else kept.space
    return {"space": space, "train": training, "budget_j": budget_j, **arguments, **limits}
