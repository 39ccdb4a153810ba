"""The command `compare`, which compares strategies."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecoml.cli.options import (
    Data,
    DataDir,
    Deterministic,
    Device,
    Download,
    GridPast,
    Json,
    MaxEnergyPerTraining,
    MaxParameters,
    SpaceName,
    SpendAll,
    Threads,
    Workers,
    continued_by_same_command,
    joules_per_training,
)
from ecoml.errors import UsageError

if TYPE_CHECKING:
    from ecoml.experiments.compare import Comparison
    from ecoml.limits import Limits
    from ecoml.space import Space
    from ecoml.training.base import Executor


_OF_FINISHED = {"inputs", "target", "reference", "out", "grid_intensity", "as_json"}
"""What can be given for finished runs; all else is about searches to run."""


def compare(
    context: typer.Context,
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="STRATEGIES…|DIR…|FILE.csv…",
            help="Strategy files, or folders of them, to run; or finished runs and tidy CSV files.",
        ),
    ],
    budget_kwh: Annotated[
        float | None,
        typer.Option(metavar="KWH", help="Energy budget of each search, in kWh. [default: the energy of 40 trainings]"),
    ] = None,
    data: Data = "digits",
    data_dir: DataDir = None,
    download: Download = True,
    space: SpaceName = "cnn-small",
    seeds: Annotated[int, typer.Option(help="Number of seeds, the same for each strategy.")] = 3,
    target: Annotated[
        list[float] | None,
        typer.Option(help="Score to reach; may be repeated. [default: the reference's best, median seed]"),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="The strategy to compare the others with. [default: random, else the first baseline]"),
    ] = None,
    max_parameters: MaxParameters = None,
    max_energy_per_training: MaxEnergyPerTraining = None,
    spend_all: SpendAll = False,
    device: Device = None,
    threads: Threads = None,
    deterministic: Deterministic = False,
    workers: Workers = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the comparison; give the same folder to continue it.")
    ] = None,
    grid_intensity: GridPast = None,
    as_json: Json = False,
) -> None:
    """Compare strategies: which needs the least energy?"""
    from ecoml.cli.configs import refuse_others
    from ecoml.experiments.compare import gather, write_comparison
    from ecoml.run.hindsight import past_grid
    from ecoml.space.shipped import or_shipped

    grid = past_grid(grid_intensity)  # refused before anything is trained
    inputs = [or_shipped(path) for path in inputs]
    targets = target or []
    named = [path for path in inputs if _names_strategies(path)]
    if len(named) == len(inputs):
        from ecoml.limits import Limits
        from ecoml.space import load_space
        from ecoml.training.images import CnnTraining

        training = CnnTraining(
            data,
            data_dir=data_dir,
            download=download,
            device=device,
            threads=threads,
            deterministic=deterministic,
        )
        most_j = joules_per_training(max_energy_per_training)
        limits = Limits(max_parameters=max_parameters, max_energy_per_training_j=most_j, spend_all=spend_all)
        folder = out or Path("runs") / f"compare-{training.problem}-{Path(space).stem}"
        comparison = _run(
            inputs, load_space(space), training, limits, workers, budget_kwh, seeds, folder, targets, reference
        )
    elif named:
        raise UsageError(f"{named[0]}: name either strategies to run or finished runs, not both")
    else:
        refuse_others(context, _OF_FINISHED, "these are finished runs, and nothing is to be run")
        comparison = gather(inputs, targets=targets, reference=reference)
        folder = out or Path("runs") / "compare"
    footprint = comparison.footprint(grid)
    page = write_comparison(comparison, folder, footprint)
    if as_json:
        from ecoml.experiments.compare.files import comparison_dict

        print(json.dumps({**comparison_dict(comparison, footprint), "report": str(page)}, indent=2))
        return
    from ecoml.experiments.compare.tables import print_comparison

    print_comparison(comparison, page, footprint)


def _run(
    strategies: Sequence[Path],
    space: Space,
    training: Executor,
    limits: Limits,
    workers: str | None,
    budget_kwh: float | None,
    seeds: int,
    folder: Path,
    targets: Sequence[float],
    reference: str | None,
) -> Comparison:
    """Run the missing searches. Without a budget each gets that of the folder, else that of several default
    trainings.
    """
    from ecoml.experiments.compare import Task, plan_comparison, run_comparison
    from ecoml.experiments.compare.plan import check_folder, kept_plan
    from ecoml.experiments.compare.running import TRAININGS, TrainingSample, check_question, sample_training
    from ecoml.format import duration, format_energy
    from ecoml.limits import budget_in_joules

    @cache
    def sample() -> TrainingSample:
        found = sample_training(space, training)
        took = f"{format_energy(found.energy.energy_j)} ({found.energy.provenance}) and {duration(found.seconds)}"
        _tell(f"a default training takes {took} here")
        return found

    check_folder(folder)  # before anything is trained
    if budget_kwh is not None:
        budget_j = budget_in_joules(budget_kwh, None)
    elif (kept := kept_plan(folder)) is not None:
        budget_j = kept["budget_j"]
    else:
        plan = plan_comparison(strategies, Task(space, training, 1.0, limits, workers=workers), seeds=seeds, out=folder)
        check_question(plan, targets, reference)
        budget_j = sample().budget_j
        _tell(f"no --budget-kwh is given: each search may take about {TRAININGS} times that")
    task = Task(space, training, budget_j, limits, workers=workers)
    with continued_by_same_command(folder):
        return run_comparison(
            strategies,
            task,
            seeds=seeds,
            out=folder,
            targets=targets,
            reference=reference,
            say=_tell,
            power_w=lambda: sample().power_w,
        )


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _names_strategies(path: Path) -> bool:
    """Whether a path is a strategy file or a folder of strategy files, and not a run, a comparison or a folder of them.

    A folder of strategy files may contain a comparison of them.
    """
    if not path.is_dir():
        return path.suffix == ".toml"
    if any((path / name).is_file() for name in ("run.toml", "compare.toml")) or any(path.glob("*/run.toml")):
        return False
    return any(path.glob("*.toml")) or not any(path.glob("*/compare.toml"))
