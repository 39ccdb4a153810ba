"""The command line. Imports what a command needs in that command, so that `--help` answers at once.

Exit codes: 0 done, 1 a search that failed, 2 a user's mistake (one line on standard error), 130 interrupted.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from ecoml.cli import studies
from ecoml.cli.options import (
    Budget,
    Data,
    DataDir,
    Deterministic,
    Device,
    Download,
    GridIntensity,
    Json,
    MaxEnergyPerTraining,
    MaxParameters,
    RunFolder,
    SpaceName,
    SpendAll,
    Threads,
    say,
)
from ecoml.errors import EcomlError, UsageError

if TYPE_CHECKING:
    from ecoml.meter import Meter
    from ecoml.result import Result
    from ecoml.searcher import Searcher

app = typer.Typer(
    help="Find the best small network that an energy budget buys.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _ecoml(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    if version:
        from ecoml import __version__

        print(f"ecoml {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def search(
    budget_kwh: Budget = None,
    data: Data = "digits",
    data_dir: DataDir = None,
    download: Download = True,
    space: SpaceName = "cnn-small",
    strategy: Annotated[
        str, typer.Option(help="A name (see `ecoml strategies`), or a strategy's TOML file.")
    ] = "bayes",
    target_accuracy: Annotated[
        float | None, typer.Option(help="End when this validation accuracy is reached, e.g. 0.97.")
    ] = None,
    max_trials: Annotated[int | None, typer.Option(help="End after so many trials.")] = None,
    max_parameters: MaxParameters = None,
    max_energy_per_training: MaxEnergyPerTraining = None,
    spend_all: SpendAll = False,
    warm_start: Annotated[
        Path | None, typer.Option(metavar="DIR", help="An earlier run, to learn from; its energy is not charged again.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of proposals, data split and initial weights.")] = 0,
    device: Device = None,
    threads: Threads = None,
    deterministic: Deterministic = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The run folder, a new one. [default: one below runs/]")
    ] = None,
    require_measured: Annotated[
        bool, typer.Option("--require-measured", help="Refuse to run where energy can only be estimated.")
    ] = False,
    grid_intensity: GridIntensity = None,
    trace: Annotated[bool, typer.Option("--trace", help="Keep power over time; the report draws it.")] = False,
    as_json: Json = False,
) -> None:
    """Search for the best networks a budget buys."""
    from ecoml.energy import J_PER_KWH
    from ecoml.executor.cnn import CnnTraining
    from ecoml.report.footprint import check_grid_intensity
    from ecoml.searcher import Searcher
    from ecoml.space import load_space

    check_grid_intensity(grid_intensity)
    if budget_kwh is None:
        raise UsageError("how much energy may the search take? Give --budget-kwh, e.g. --budget-kwh 0.01")
    training = CnnTraining(
        data,
        data_dir=data_dir,
        download=download,
        device=device,
        seed=seed,
        threads=threads,
        deterministic=deterministic,
    )
    searcher = Searcher(
        load_space(space),
        training,
        budget_kwh=budget_kwh,
        strategy=strategy,
        seed=seed,
        directory=out,
        max_trials=max_trials,
        target_accuracy=target_accuracy,
        require_measured=require_measured,
        trace=trace,
        max_parameters=max_parameters,
        max_energy_per_training_j=None if max_energy_per_training is None else max_energy_per_training * J_PER_KWH,
        spend_all=spend_all,
        warm_start=warm_start,
    )
    _run(searcher, as_json, grid_intensity)


@app.command()
def resume(
    directory: RunFolder,
    add_kwh: Annotated[float | None, typer.Option(metavar="KWH", help="Raise the budget by so much.")] = None,
    grid_intensity: GridIntensity = None,
    as_json: Json = False,
) -> None:
    """Go on with a search after a stop, a crash or a spent budget."""
    from ecoml.ledger.budget import budget_in_joules
    from ecoml.report.footprint import check_grid_intensity
    from ecoml.result import Result
    from ecoml.searcher import Searcher

    check_grid_intensity(grid_intensity)
    budget_j = None
    if add_kwh is not None:
        budget_j = Result.load(directory).energy.budget_j + budget_in_joules(add_kwh, None)
    _run(Searcher.resume(directory, budget_j=budget_j), as_json, grid_intensity)


@app.command()
def compare(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="STRATEGIES|DIR…|FILE.csv", help="A folder of strategy files, finished runs, or a tidy CSV."
        ),
    ],
    budget_kwh: Budget = None,
    data: Data = "digits",
    data_dir: DataDir = None,
    download: Download = True,
    space: SpaceName = "cnn-small",
    seeds: Annotated[int, typer.Option(help="How many seeds each strategy gets, the same for all.")] = 3,
    target: Annotated[
        list[float] | None,
        typer.Option(
            help="Accuracy to reach; give it again for further ones. [default: the reference's best, median seed]"
        ),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="The strategy to measure against. [default: random, else the first baseline]")
    ] = None,
    max_parameters: MaxParameters = None,
    max_energy_per_training: MaxEnergyPerTraining = None,
    spend_all: SpendAll = False,
    device: Device = None,
    threads: Threads = None,
    deterministic: Deterministic = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the comparison is kept; the same folder goes on with it.")
    ] = None,
    grid_intensity: GridIntensity = None,
    as_json: Json = False,
) -> None:
    """Which strategy needs the least energy?"""
    from ecoml.report import Task, gather, run_comparison, write_comparison
    from ecoml.report.footprint import check_grid_intensity

    check_grid_intensity(grid_intensity)
    targets = target or []
    first = inputs[0]
    if len(inputs) == 1 and _names_strategies(first):
        from ecoml.energy import J_PER_KWH
        from ecoml.executor.cnn import CnnTraining
        from ecoml.ledger.budget import budget_in_joules
        from ecoml.space import load_space

        if budget_kwh is None:
            raise UsageError("how much energy may each search take? Give --budget-kwh, e.g. --budget-kwh 0.001")
        budget_j = budget_in_joules(budget_kwh, None)
        training = CnnTraining(
            data,
            data_dir=data_dir,
            download=download,
            device=device,
            threads=threads,
            deterministic=deterministic,
        )
        task = Task(
            load_space(space),
            training,
            budget_j,
            max_parameters=max_parameters,
            max_energy_per_training_j=None if max_energy_per_training is None else max_energy_per_training * J_PER_KWH,
            spend_all=spend_all,
        )
        folder = out or Path("runs") / f"compare-{training.problem}-{Path(space).stem}"
        try:
            comparison = run_comparison(
                first,
                task,
                seeds=seeds,
                out=folder,
                targets=targets,
                reference=reference,
                say=lambda line: print(line, file=sys.stderr, flush=True),
            )
        except KeyboardInterrupt:
            say(f"interrupted; everything so far is kept in {folder}, and the same command goes on with it")
            raise typer.Exit(130) from None
    else:
        if max_parameters is not None or max_energy_per_training is not None or spend_all:
            raise UsageError("limits are for searches that are still to be run: name strategy files, or leave them out")
        comparison = gather(inputs, targets=targets, reference=reference)
        folder = out or Path("runs") / "compare"
    page = write_comparison(comparison, folder, grid_intensity=grid_intensity)
    if as_json:
        from ecoml.report.comparison_json import comparison_dict

        print(json.dumps({**comparison_dict(comparison), "report": str(page)}, indent=2))
        return
    from ecoml.report.comparison_text import print_comparison

    print_comparison(comparison, page)


@app.command()
def report(
    directory: RunFolder,
    figures: Annotated[bool, typer.Option(help="Also write figures as PNG, SVG and PDF.")] = True,
    grid_intensity: GridIntensity = None,
) -> None:
    """Write a run's page and figures."""
    from ecoml.report import write_report

    print(write_report(directory, figures=figures, grid_intensity=grid_intensity))


@app.command()
def watch(
    directory: RunFolder,
    once: Annotated[bool, typer.Option("--once", help="Print how it stands, and do not wait.")] = False,
) -> None:
    """See from another terminal how a search is getting on."""
    from ecoml.terminal.follow import follow

    follow(directory, once=once)


@app.command()
def meters(
    watch: Annotated[bool, typer.Option("--watch", help="Show the power of each domain, once a second.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Probe the sources for about 20 s: do rest, load and power agree?")
    ] = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Find the estimate's constants against this host's counters.")
    ] = False,
    seconds: Annotated[float | None, typer.Option(help="End --watch after so many seconds.")] = None,
    as_json: Json = False,
) -> None:
    """Which energy sources this host has, what they show, and what they are worth."""
    from ecoml.meter import open_meter

    if watch + check + calibrate > 1:
        raise UsageError("--watch, --check and --calibrate are three things to do: give one of them")
    if seconds is not None and not (watch and seconds >= 1):
        raise UsageError("--seconds ends --watch, after at least 1 s: give both, e.g. --watch --seconds 10")
    with open_meter(claims=False) as meter:
        if watch:
            from ecoml.terminal.watch import show

            show(meter, seconds, as_json=as_json)
        elif check:
            _check(meter, as_json)
        elif calibrate:
            _calibrate(meter, as_json)
        elif as_json:
            from ecoml.terminal.meters import sources_as_rows

            print(json.dumps(sources_as_rows(meter.sources), indent=2))
        else:
            from ecoml.terminal.meters import print_sources

            print_sources(meter.sources, meter.provenance)


def _check(meter: Meter, as_json: bool) -> None:
    from ecoml.meter.check import Probe, board_powers
    from ecoml.meter.cpu_time import usable_cpus
    from ecoml.terminal.meters import print_check

    found = Probe(meter, cpus=max(1, round(usable_cpus())), boards_w=board_powers(meter), say=say).run()
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
    else:
        print_check(found)
    if not found.agrees:
        raise typer.Exit(1)


def _calibrate(meter: Meter, as_json: bool) -> None:
    from ecoml.meter.calibrate import calibrate
    from ecoml.meter.constants import save_constants
    from ecoml.meter.cpu_time import usable_cpus
    from ecoml.terminal.meters import print_calibration

    threads = max(1, round(usable_cpus()))
    found = calibrate(meter, cpus=os.cpu_count() or threads, threads=threads, say=say)
    path = save_constants(found.constants)
    if as_json:
        print(json.dumps({**asdict(found), "file": str(path)}, indent=2))
    else:
        print_calibration(found, path)


@app.command()
def spaces(as_json: Json = False) -> None:
    """The search spaces that --space can name."""
    from ecoml.space import available_spaces, load_space

    _table(("space", "description"), [(name, load_space(name).description) for name in available_spaces()], as_json)


@app.command()
def strategies(as_json: Json = False) -> None:
    """The strategies that --strategy can name."""
    from ecoml.strategy import available_strategies

    _table(("strategy", "description"), available_strategies(), as_json)


@app.command()
def data(as_json: Json = False) -> None:
    """The data that --data can name."""
    from ecoml.executor.cnn import available_data

    rows = [
        *available_data(),
        ("DIR", "a folder of images by class: DIR/class/*.png, or DIR/train/class/… with DIR/test/class/…"),
        ("FILE.npz", "arrays x (N×H×W, N×H×W×C or N×C×H×W) and y (N), optionally x_test and y_test"),
    ]
    _table(("data", "description"), rows, as_json)


app.command()(studies.effects)
app.command()(studies.profile)
app.add_typer(studies.paper, name="paper")


def _names_strategies(path: Path) -> bool:
    """Whether a path is a strategy file or a folder of them, and not something that has been run."""
    if path.is_dir():
        ours = ("run.toml", "compare.toml")
        return not any((path / name).is_file() for name in ours) and not any(path.glob("*/run.toml"))
    return path.suffix == ".toml"


def _run(searcher: Searcher, as_json: bool, grid_intensity: float | None) -> None:
    from ecoml.result import Result

    try:
        result = searcher.run()
    except KeyboardInterrupt:
        if not (searcher.directory / "run.toml").is_file():
            say("interrupted before anything had begun")
            raise typer.Exit(130) from None
        result = Result.load(searcher.directory)
        if result.trials:
            _show(result, as_json, None, grid_intensity)
        print(
            f"ecoml: interrupted; everything so far is kept. Go on with: ecoml resume {result.directory}",
            file=sys.stderr,
        )
        raise typer.Exit(130) from None
    from ecoml.report import write_report

    _show(result, as_json, write_report(result.directory, grid_intensity=grid_intensity), grid_intensity)


def _show(result: Result, as_json: bool, page: Path | None, grid_intensity: float | None) -> None:
    from ecoml.report.footprint import co2e_g, footprint_sentence
    from ecoml.report.tradeoff import advice, tradeoff_dict, tradeoff_of

    energy = result.energy
    tradeoff = tradeoff_of(result)
    if as_json:
        content = {**result.to_dict(), "report": str(page) if page else None}
        content["tradeoff"] = None if tradeoff is None else tradeoff_dict(tradeoff)
        if grid_intensity is not None:
            content |= {"grid_g_per_kwh": grid_intensity, "co2e_g": co2e_g(energy.total_j, grid_intensity)}
        print(json.dumps(content, indent=2))
        return
    from ecoml.terminal.summary import print_result

    print_result(result, page, () if tradeoff is None else tuple(advice(tradeoff)))
    if grid_intensity is not None:
        print(f"Outside: {footprint_sentence(energy.total_j, energy.provenance, grid_intensity)}")


def _table(header: tuple[str, ...], rows: list[Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps([dict(zip(header, row, strict=True)) for row in rows], indent=2))
        return
    from ecoml.terminal.summary import print_table

    print_table(header, rows)


def main() -> NoReturn:
    """Run the command line; every mistake is one line, without a traceback."""
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except EcomlError as error:
        say(str(error))
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        # The parser's own errors know how to say themselves; which class they have depends on typer's version.
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        say(f"{' '.join(message().split())} (ecoml --help says what there is)")
        sys.exit(2)
