"""Options of `ecoml search` as arguments of `Searcher`, and searches from a saved configuration: a `run.toml`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from typer import Context

from ecoml.cli.options import joules_per_training, meter_sources, seconds
from ecoml.errors import UsageError
from ecoml.run.folder import read_settings
from ecoml.searcher.setup.settings import GRID_FILE, SearchSettings
from ecoml.space import load_space
from ecoml.training.base import Executor
from ecoml.training.create import create_executor

_SAME = (
    *("budget_kwh", "strategy", "seed", "trace", "warm_start", "workers", "grid_intensity"),
    *("target", "max_trials", "max_parameters", "inferences", "require_measured", "spend_all", "budget_gco2e", "until"),
)
_WITH_UNITS: Mapping[str, tuple[str, Callable[[float], float | None]]] = {
    "max_energy_per_training": ("max_energy_per_training_j", joules_per_training),
    "max_inference_energy": ("max_inference_energy_j", float),
    "max_latency": ("max_latency_s", seconds),
    "when_clean": ("when_clean_g_per_kwh", float),
}
"""Options whose arguments have their unit in the name: that name, and the value in that unit."""

_OF_TRAINING = ("data", "data_dir", "download", "device", "threads", "deterministic", "metric")


def arguments_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of `ecoml search` as arguments of `Searcher`, without those of the space, the training and the folder."""
    arguments = {name: options[name] for name in _SAME if name in options}
    for option, (name, convert) in _WITH_UNITS.items():
        if options.get(option) is not None:
            arguments[name] = convert(options[option])
    if "meter" in options or "powercap_root" in options:
        arguments["meter"] = meter_sources(options.get("meter"), options.get("powercap_root"))
    return arguments


def given_options(context: Context) -> dict[str, Any]:
    """The options given on the command line."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    said = {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}
    return {name: value for name, value in context.params.items() if name in said}


def refuse_others(context: Context, used: Collection[str], where: str) -> None:
    """Refuse options that would be ignored.

    Args:
        context: The command's.
        used: Names of the parameters that are used.
        where: The beginning of the message: what they do not apply to.

    Raises:
        UsageError: Another option was given.
    """
    others = {name: value for name, value in given_options(context).items() if name not in used}
    parameters = [parameter for parameter in context.command.params if parameter.name in others]
    flags = [(p.secondary_opts if others[str(p.name)] is False else p.opts)[0] for p in parameters]
    if flags:
        raise UsageError(f"{where}; leave out {', '.join(flags)}")


def kept_arguments(config: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `Searcher` that repeat a search.

    Args:
        config: A `run.toml`, or a run folder. Its other files, such as a strategy's, are looked for beside it.
        given: Options of `ecoml search` that replace those of the file.

    Raises:
        UsageError: `config` is neither, or its training was a Python function, which no file contains.
    """
    table = read_settings(config)
    if "strategy" in given:
        named = {"strategy": given["strategy"], "own_strategy": False, "strategy_file": False}
        table = {**table, "run": {**table["run"], **named}}
    run, folder = table["run"], config if config.is_dir() else config.parent
    kept = SearchSettings.of_run(table, folder, reported=False)
    options = {**table.get("executor", {}), **{name: given[name] for name in _OF_TRAINING if name in given}}
    training: Executor | None = create_executor(
        options, folder, way_out="repeat it from Python: ecoml.Searcher(space, train, …).run()"
    )
    arguments = {
        "space": load_space(given["space"]) if "space" in given else kept.space,
        "train": training,
        "strategy": kept.strategy,
        "seed": kept.seed,
        "trace": kept.trace,
        "warm_start": table.get("warm_start", {}).get("run"),
        "workers": table.get("workers", {}).get("given") or None,
        "grid_intensity": folder / GRID_FILE if (folder / GRID_FILE).is_file() else run.get("grid_intensity"),
        "meter": kept.sources,
        **kept.limits.to_dict(),
    }
    if "budget_kwh" not in given and not run.get("budget_from_co2e", False):
        arguments["budget_j"] = run["budget_j"]
    return arguments | arguments_of(given)
