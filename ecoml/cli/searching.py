"""The commands `search` and `resume`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecoml.cli.options import (
    Budget,
    BudgetCo2e,
    Data,
    DataDir,
    Deterministic,
    Device,
    Download,
    GridIntensity,
    Inferences,
    Json,
    MaxEnergyPerTraining,
    MaxInferenceEnergy,
    MaxLatency,
    MaxParameters,
    PowercapRoot,
    RunFolder,
    ScoreMetric,
    Sources,
    SpaceName,
    SpendAll,
    Threads,
    Track,
    Until,
    WhenClean,
    Workers,
    meter_sources,
    say,
)
from ecoml.errors import LibraryError, UsageError

if TYPE_CHECKING:
    from ecoml.run.result import Result
    from ecoml.searcher.searcher import Searcher
    from ecoml.space import Space
    from ecoml.training.base import Executor


def search(
    context: typer.Context,
    budget_kwh: Budget = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Repeat the search of a run.toml; options given here replace those of the file."
        ),
    ] = None,
    budget_gco2e: BudgetCo2e = None,
    data: Data = "digits",
    data_dir: DataDir = None,
    download: Download = True,
    space: SpaceName = "cnn-small",
    strategy: Annotated[
        str, typer.Option(help="A name (see `ecoml strategies`), or a strategy's TOML file.")
    ] = "bayes",
    target: Annotated[float | None, typer.Option(help="End when this score is reached, e.g. 0.97.")] = None,
    max_trials: Annotated[int | None, typer.Option(help="End after so many trials.")] = None,
    max_parameters: MaxParameters = None,
    max_energy_per_training: MaxEnergyPerTraining = None,
    max_inference_energy: MaxInferenceEnergy = None,
    max_latency: MaxLatency = None,
    inferences: Inferences = None,
    spend_all: SpendAll = False,
    metric: ScoreMetric = None,
    warm_start: Annotated[
        Path | None, typer.Option(metavar="DIR", help="An earlier run to learn from; its energy is not charged again.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed of proposals, data split and initial weights.")] = 0,
    device: Device = None,
    threads: Threads = None,
    deterministic: Deterministic = False,
    workers: Workers = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The run folder; it must be new. [default: a folder below runs/]")
    ] = None,
    require_measured: Annotated[
        bool, typer.Option("--require-measured", help="Refuse to run if energy can only be estimated.")
    ] = False,
    meter: Sources = None,
    powercap_root: PowercapRoot = None,
    grid_intensity: GridIntensity = None,
    when_clean: WhenClean = None,
    until: Until = None,
    track: Track = None,
    trace: Annotated[bool, typer.Option("--trace", help="Store power over time; the report plots it.")] = False,
    as_json: Json = False,
) -> None:
    """Search for the best networks within an energy budget."""
    from ecoml.cli.configs import arguments_of, given_options, kept_arguments
    from ecoml.integrations import create_tracker
    from ecoml.report.terminal.progress import show
    from ecoml.searcher.searcher import Searcher
    from ecoml.space import load_space
    from ecoml.training.images import CnnTraining

    listeners = [create_tracker(name) for name in track or []]
    if config is not None:
        arguments = kept_arguments(config, given_options(context))
    else:
        training = CnnTraining(
            data,
            data_dir=data_dir,
            download=download,
            device=device,
            seed=seed,
            threads=threads,
            deterministic=deterministic,
            metric=metric,
        )
        arguments = {"space": load_space(space), "train": training, **arguments_of(context.params)}
        if budget_kwh is None and budget_gco2e is None:
            Searcher(**{**arguments, "budget_j": 1.0}, directory=out)  # what is refused, is refused at once
            sources = meter_sources(meter, powercap_root)
            raise UsageError(_suitable_budget(arguments["space"], training, sources, require_measured))
    _run(Searcher(**arguments, directory=out, show=show, listeners=listeners), as_json)


def resume(
    directory: RunFolder,
    add_kwh: Annotated[float | None, typer.Option(metavar="KWH", help="Add this many kWh to the budget.")] = None,
    add_gco2e: Annotated[
        float | None, typer.Option(metavar="G", help="Add this many grams to the CO2e budget.")
    ] = None,
    grid_intensity: GridIntensity = None,
    workers: Annotated[
        str | None, typer.Option(metavar="WHERE", help="Other workers, as in search. [default: as before]")
    ] = None,
    spend_all: SpendAll = False,
    track: Track = None,
    as_json: Json = False,
) -> None:
    """Continue a search after a stop, a crash, a spent budget or an early end."""
    from ecoml.integrations import create_tracker
    from ecoml.limits import budget_in_joules
    from ecoml.report.terminal.progress import show
    from ecoml.run.result import Result
    from ecoml.searcher.searcher import Searcher

    budget_j = budget_g = None
    if add_kwh is not None:
        budget_j = Result.load(directory).energy.budget_j + budget_in_joules(add_kwh, None)
    if add_gco2e is not None:
        before_g = Result.load(directory).energy.co2e.budget_g
        if before_g is None or not add_gco2e > 0:
            raise UsageError(
                "--add-gco2e raises the CO2e budget of a search that has one, by a positive number of grams"
            )
        budget_g = before_g + add_gco2e
    searcher = Searcher.resume(
        directory,
        budget_j=budget_j,
        budget_gco2e=budget_g,
        grid_intensity=grid_intensity,
        workers=workers,
        spend_all=spend_all,
        show=show,
        listeners=[create_tracker(name) for name in track or []],
    )
    _run(searcher, as_json)


def _suitable_budget(space: Space, training: Executor, sources: Sequence[str], require_measured: bool) -> str:
    """The message that names a suitable budget for these data, from the energy of one training."""
    from ecoml.experiments.compare.running import TRAININGS, sample_training
    from ecoml.format import format_figure, format_kwh

    sample = sample_training(space, training, sources, require_measured=require_measured)
    return (
        f"how much energy may the search take? A default training takes {format_figure(sample.energy)}"
        f" ({sample.energy.provenance}) here; for about {TRAININGS} of them:"
        f" --budget-kwh {format_kwh(sample.budget_j).removesuffix(' kWh')}"
    )


def _run(searcher: Searcher, as_json: bool) -> None:
    from ecoml.run.result import Result

    since_s = time.time()
    try:
        result = searcher.run()
    except KeyboardInterrupt:
        if not (searcher.directory / "run.toml").is_file():
            say("interrupted before the search started")
            raise typer.Exit(130) from None
        result = Result.load(searcher.directory)
        if result.trials:
            _show(result, as_json, since_s)
        print(
            f"ecoml: interrupted; all results so far are saved. Continue with: ecoml resume {result.directory}",
            file=sys.stderr,
        )
        raise typer.Exit(130) from None
    _show(result, as_json, since_s)


def _page(result: Result, since_s: float) -> Path | None:
    """The page of a result; None, with a message, if it cannot be drawn."""
    from ecoml.report.page.page import write_report

    path = result.directory / "report.html"
    if path.is_file() and path.stat().st_mtime >= since_s:  # drawn for a tracker
        return path
    try:
        return write_report(result.directory)
    except LibraryError as error:
        say(f"the page was not written: {error}; then run ecoml report {result.directory}")
        return None


def _show(result: Result, as_json: bool, since_s: float) -> None:
    from ecoml.models.card import write_card
    from ecoml.report.charts.tradeoff import advice, tradeoff_dict, tradeoff_of
    from ecoml.run.choice.lifetime import lifetime_of
    from ecoml.run.models import kept_models

    page, card = _page(result, since_s), write_card(result)
    tradeoff = tradeoff_of(result)
    if as_json:
        content = {**result.to_dict(), "report": str(page) if page else None, "card": str(card) if card else None}
        life = None if result.limits.inferences is None else lifetime_of(result, result.limits.inferences)
        content["lifetime"] = None if life is None else life.to_dict()
        content["models"] = [{**kept._asdict(), "path": str(kept.path)} for kept in kept_models(result.directory)]
        content["cards"] = [str(path) for path in sorted(result.directory.glob("export/*/README.md"))]
        content["tradeoff"] = None if tradeoff is None else tradeoff_dict(tradeoff)
        print(json.dumps(content, indent=2))
        return
    from ecoml.report.terminal.summary import print_result

    print_result(result, page, () if tradeoff is None else tuple(advice(tradeoff)), card)
