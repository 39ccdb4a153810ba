"""The commands `effects`, `profile` and `paper`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecoml.cli.options import Data, DataDir, Device, Download, Json, Out, Threads, continued_by_same_command, say
from ecoml.errors import UsageError

if TYPE_CHECKING:
    from ecoml.experiments.effects.effects import Effects

_MOST_CELLS = 16
"""Up to this many combinations of levels are printed, and their pairs: four factors of two levels."""

Factors = Annotated[list[str] | None, typer.Option("--factor", help="A parameter to vary; may be repeated.")]
ExperimentBudget = Annotated[
    float | None, typer.Option("--budget-kwh", metavar="KWH", help="Energy budget of the entire experiment, in kWh.")
]
ScaleName = Annotated[
    str,
    typer.Option(help="full: as in the study; reduced: minutes on two cores; tiny: a quick check."),
]
AsPublished = Annotated[
    bool,
    typer.Option("--as-published", help="Repeat the study's faults (docs/results/study.md)."),
]

paper = typer.Typer(help="Repeat the experiments of arXiv 2303.13972.", rich_markup_mode=None)


@paper.callback(invoke_without_command=True)
def _paper(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


def effects(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="DIR|SPACE", help="A run folder, or a space to experiment on.")],
    factor: Factors = None,
    draws: Annotated[
        int, typer.Option(min=1, help="Random settings of the other parameters, shared by all cells.")
    ] = 12,
    times: Annotated[int, typer.Option(min=1, help="Repetitions of each configuration.")] = 1,
    budget_kwh: ExperimentBudget = None,
    data: Data = "digits",
    data_dir: DataDir = None,
    download: Download = True,
    seed: Annotated[int, typer.Option(help="Random seed of the settings, data split and initial weights.")] = 0,
    device: Device = None,
    threads: Threads = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Show the effect of each factor on energy and score, from a run or from a new factorial experiment on a space."""
    from ecoml.experiments.effects.files import effects_dict
    from ecoml.experiments.effects.run import effects_of_run, run_factorial

    run = Path(target)
    if (run / "run.toml").is_file():
        from ecoml.cli.configs import refuse_others
        from ecoml.report.charts.tradeoff import advice, tradeoff_dict, tradeoff_of
        from ecoml.run.result import Result

        refuse_others(context, ("target", "factor", "out", "as_json"), f"{target}: a run folder, no new experiment")
        found, tradeoff = effects_of_run(run, factor or ()), tradeoff_of(Result.load(run))
        more = {"tradeoff": None if tradeoff is None else tradeoff_dict(tradeoff)}
        _show_effects(found, out or run, {**effects_dict(found), **more} if as_json else None)
        if not as_json and tradeoff is not None:
            print("\n".join(advice(tradeoff)))
        return
    if not factor:
        raise UsageError(
            f"{target}: not a run folder; for a factorial experiment on a space, name its factors: --factor depth"
        )
    if budget_kwh is None:
        raise UsageError("how much energy may the experiment take? Give --budget-kwh, e.g. --budget-kwh 0.001")
    from ecoml.limits import budget_in_joules
    from ecoml.report.terminal.progress import show
    from ecoml.space import load_space
    from ecoml.training.images import CnnTraining

    training = CnnTraining(data, data_dir=data_dir, download=download, device=device, seed=seed, threads=threads)
    folder = out or Path("runs") / f"effects-{training.problem}-{Path(target).stem}"
    with continued_by_same_command(folder):
        found = run_factorial(
            load_space(target),
            training,
            factor,
            out=folder,
            budget_j=budget_in_joules(budget_kwh, None),
            draws=draws,
            times=times,
            seed=seed,
            show=show,
        )
    _show_effects(found, folder, effects_dict(found) if as_json else None)


def profile(
    target: Annotated[
        str,
        typer.Argument(
            metavar="DIR|SPACE|MODULE:FUNCTION",
            help="A run folder; a space (its middle is profiled); or a function that builds a module (file.py:build).",
        ),
    ],
    trial: Annotated[int | None, typer.Option(help="The trial of the run. [default: the recommended one]")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replace a value of the configuration.")
    ] = None,
    shape: Annotated[
        str | None, typer.Option("--input", metavar="CxHxW", help="An image. [default: the run's, else 1x28x28]")
    ] = None,
    classes: Annotated[int | None, typer.Option(min=1, help="Number of classes. [default: the run's, else 10]")] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Images per step. [default: the configuration's batch_size]")
    ] = None,
    blocks: Annotated[
        int, typer.Option(min=2, help="Measurements of each layer: more are slower and more precise.")
    ] = 5,
    device: Device = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for profile.json and a chart. [default: runs/profile]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the energy of a training step, layer by layer."""
    import torch

    from ecoml.experiments.profile.measure import gauge_of
    from ecoml.experiments.profile.step import profile_step
    from ecoml.experiments.profile.subject import check_fit, find_subject
    from ecoml.experiments.profile.tables import kinds_table, layers_table, profile_dict, verdict, write_profile
    from ecoml.experiments.tables import print_tables
    from ecoml.meter import open_meter
    from ecoml.report.page.writing import OTHER_FOLDER, check_writable
    from ecoml.training.images.worker.device import device_of

    folder = out or Path("runs") / "profile"
    subject = find_subject(target, trial=trial, changes=change or [], shape=_shape(shape), classes=classes)
    where = device_of(device)
    torch.set_num_threads(threads)
    check_fit(subject)
    check_writable(folder, OTHER_FOLDER)
    images = torch.rand(batch or subject.settings.batch_size, *subject.shape, device=where)
    say(f"profiling {subject.name}: {len(images)} images of {'×'.join(map(str, subject.shape))} on {where}")
    with open_meter(gpus=[where.index or 0] if where.type == "cuda" else []) as meter:
        found = profile_step(
            subject.body, images, subject.classes, gauge_of(meter), settings=subject.settings, blocks=blocks
        )
    path = write_profile(found, folder)
    if as_json:
        print(json.dumps(profile_dict(found), indent=2))
        return
    print_tables(layers_table(found), kinds_table(found))
    print(verdict(found))
    print(f"Numbers and chart: {path.parent}/")


@paper.command()
def rq1(
    scale: ScaleName = "reduced",
    data: Data = "fashion-mnist",
    data_dir: DataDir = None,
    download: Download = True,
    seeds: Annotated[int, typer.Option(min=1, help="Number of searches per strategy; the study had one.")] = 1,
    network: Annotated[
        list[str] | None, typer.Option(help="DenseLinear, DensePoly or SimpleCNN. [default: all three]")
    ] = None,
    parameters: Annotated[list[int] | None, typer.Option(help="3 or 5. [default: both]")] = None,
    target: Annotated[
        list[float] | None,
        typer.Option(help="Accuracy to reach; may be repeated. [default: the best of random, median seed]"),
    ] = None,
    budget_kwh: Annotated[
        float | None,
        typer.Option(metavar="KWH", help="Energy budget of each search, in kWh. [default: 0.01; none for full]"),
    ] = None,
    as_published: AsPublished = False,
    device: Device = None,
    threads: Threads = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Compare grid, random and Bayesian search over Adam's parameters with the published table."""
    from ecoml.experiments.compare.notes import notes
    from ecoml.experiments.paper.networks import FAMILIES
    from ecoml.experiments.paper.rq1 import PARAMETERS, rq1_dict, run_rq1, table_iii
    from ecoml.experiments.paper.study import open_study

    for name in network or []:
        if name not in FAMILIES:
            raise UsageError(f"--network {name} is not known; use one of {', '.join(FAMILIES)}")
    for count in parameters or []:
        if count not in PARAMETERS:
            raise UsageError(f"--parameters {count}: the study has 3 and 5")
    budget_j = _budget_j(budget_kwh, scale, "each search")
    folder = out or _folder("rq1", scale, as_published)
    study = open_study(
        folder, scale, data, data_dir, download=download, device=device, threads=threads, as_published=as_published
    )
    with continued_by_same_command(folder):
        found = run_rq1(
            study,
            folder,
            budget_j=budget_j,
            seeds=seeds,
            networks=network or FAMILIES,
            parameters=parameters or PARAMETERS,
            targets=target or (),
            say=say,
        )
    if as_json:
        print(json.dumps(rq1_dict(found), indent=2))
        return
    from ecoml.experiments.compare.tables import means_table
    from ecoml.experiments.tables import print_tables

    several = len(found.comparison.problems) > 1
    print_tables(table_iii(found), *([means_table(found.comparison)] if several else []))
    for note in notes(found.comparison):
        print(note)
    print(f"Page, figures and every repetition: {found.page.parent}/")


@paper.command()
def rq2(
    scale: ScaleName = "reduced",
    data: Data = "fashion-mnist",
    data_dir: DataDir = None,
    download: Download = True,
    budget_kwh: ExperimentBudget = None,
    as_published: AsPublished = False,
    device: Device = None,
    threads: Threads = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Compare what costs energy in a network, by a full factorial experiment, with the published figures."""
    from ecoml.experiments.paper.rq2 import beside_published, rq2_dict, run_rq2
    from ecoml.experiments.paper.study import open_study
    from ecoml.experiments.tables import print_tables
    from ecoml.report.terminal.progress import show

    budget_j = _budget_j(budget_kwh, scale, "the experiment")
    folder = out or _folder("rq2", scale, as_published)
    cut = folder.with_name(f"{folder.name}-data")
    study = open_study(
        cut, scale, data, data_dir, download=download, device=device, threads=threads, as_published=as_published
    )
    with continued_by_same_command(folder):
        found = run_rq2(study, folder, budget_j=budget_j, show=show)
    if not as_json:
        print_tables(beside_published(study, found))
    _show_effects(found, folder, rq2_dict(study, found) if as_json else None)


def _folder(experiment: str, scale: str, as_published: bool) -> Path:
    return Path("runs") / f"paper-{experiment}-{scale}{'-as-published' if as_published else ''}"


def _budget_j(budget_kwh: float | None, scale: str, whose: str) -> float:
    """The energy budget; the smaller scales have one by default that they do not reach."""
    from ecoml.limits import budget_in_joules

    if budget_kwh is None and scale == "full":
        raise UsageError(f"how much energy may {whose} take at full size? Give --budget-kwh, e.g. --budget-kwh 0.5")
    return budget_in_joules(0.01 if budget_kwh is None else budget_kwh, None)


def _show_effects(found: Effects, folder: Path, as_json: Mapping[str, Any] | None) -> None:
    """Write the effects, and print them: this JSON object, or else tables and sentences."""
    from ecoml.experiments.effects.files import write_effects
    from ecoml.experiments.effects.tables import cells_table, effects_sentences, factors_table, post_hoc_table
    from ecoml.experiments.tables import print_tables

    path = write_effects(found, folder)
    if as_json is not None:
        print(json.dumps(as_json, indent=2))
        return
    few = len(found.cells) <= _MOST_CELLS
    print_tables(factors_table(found), *([cells_table(found), post_hoc_table(found)] if few else []))
    if not few:
        print(f"The {len(found.cells)} cells and their pairs are in {path}; --factor NAME shows those of one factor.")
    for line in effects_sentences(found):
        print(line)
    print(f"Numbers: {path}; interaction plot: {folder / 'figures'}/")


def _shape(text: str | None) -> tuple[int, int, int] | None:
    if text is None:
        return None
    try:
        channels, height, width = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise UsageError(f"--input {text} is not understood; write channels, height and width as 1x28x28") from None
    if min(channels, height, width) < 1:
        raise UsageError(f"--input {text}: each of the three is at least 1")
    return channels, height, width
