"""The command that compares strategies."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

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
    SpaceName,
    SpendAll,
    Threads,
    say,
)
from ecoml.errors import UsageError


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
    from ecoml.experiments.compare import Task, gather, run_comparison, write_comparison
    from ecoml.report.page.footprint import check_grid_intensity

    check_grid_intensity(grid_intensity)
    targets = target or []
    first = inputs[0]
    if len(inputs) == 1 and _names_strategies(first):
        from ecoml.energy import J_PER_KWH
        from ecoml.limits import Limits
        from ecoml.searcher.budget import budget_in_joules
        from ecoml.space import load_space
        from ecoml.training.images import CnnTraining

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
        most_j = None if max_energy_per_training is None else max_energy_per_training * J_PER_KWH
        limits = Limits(max_parameters=max_parameters, max_energy_per_training_j=most_j, spend_all=spend_all)
        task = Task(load_space(space), training, budget_j, limits)
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
        from ecoml.experiments.compare.files import comparison_dict

        print(json.dumps({**comparison_dict(comparison), "report": str(page)}, indent=2))
        return
    from ecoml.experiments.compare.tables import print_comparison

    print_comparison(comparison, page)


def _names_strategies(path: Path) -> bool:
    """Whether a path is a strategy file or a folder of them, and not something that has been run."""
    if path.is_dir():
        ours = ("run.toml", "compare.toml")
        return not any((path / name).is_file() for name in ours) and not any(path.glob("*/run.toml"))
    return path.suffix == ".toml"
