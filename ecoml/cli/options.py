"""Options that several commands share, and the commands' messages."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ecoml.energy import J_PER_KWH
from ecoml.errors import UsageError

Budget = Annotated[
    float | None, typer.Option("--budget-kwh", metavar="KWH", help="Energy budget of the entire search, in kWh.")
]
Data = Annotated[
    str,
    typer.Option(
        help="A data set by name (see `ecoml data`), a folder of images by class, a .csv of path,label, or an .npz of x"
        " and y."
    ),
]
DataDir = Annotated[Path | None, typer.Option(help="Folder of the named data sets, to which they are also downloaded.")]
Download = Annotated[bool, typer.Option(help="Whether a named data set may be downloaded.")]
SpaceName = Annotated[str, typer.Option(help="A search space by name (see `ecoml spaces`), or a TOML file.")]
MaxParameters = Annotated[
    int | None, typer.Option(metavar="N", help="Train no network with more parameters than this.")
]
MaxEnergyPerTraining = Annotated[
    float | None,
    typer.Option(metavar="KWH", help="Energy budget of each training, in kWh: stop it before it takes more."),
]
ScoreMetric = Annotated[
    str | None,
    typer.Option(
        "--metric",
        metavar="NAME",
        help="The score: accuracy, balanced-accuracy or macro-f1. [default: accuracy; balanced-accuracy if one"
        " class has more than twice the images of the others]",
    ),
]
SpendAll = Annotated[
    bool, typer.Option("--spend-all", help="Continue until the budget is spent, even for small gains.")
]
MaxInferenceEnergy = Annotated[
    float | None,
    typer.Option(metavar="J", help="Largest energy of one prediction, one image at a time."),
]
MaxLatency = Annotated[
    float | None, typer.Option(metavar="MS", help="Longest time of one prediction, one image at a time.")
]
Inferences = Annotated[
    float | None,
    typer.Option(
        metavar="N",
        help="Number of images that the model will predict: choose by the energy of training and predictions.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        help="cpu, cuda, cuda:1, …; by default a GPU if there is one. cuda:0,cuda:1 trains a trial on each at once."
    ),
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="CPU threads. [default: one for small networks, all cores for others]")
]
Deterministic = Annotated[
    bool,
    typer.Option(
        "--deterministic", help="Reproduce the same curves on another day and on another host of the same kind."
    ),
]
Workers = Annotated[
    str | None,
    typer.Option(
        metavar="WHERE", help="Train side by side: local:4 (four processes here), or ray://HEAD:PORT. [default: here]"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON; progress goes to standard error.")]
Track = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Also record the search with mlflow, tensorboard or wandb; may be repeated."),
]
GridIntensity = Annotated[
    str | None,
    typer.Option(
        metavar="G",
        help="Your grid's g of CO2e per kWh, a CSV of time and g/kWh, electricitymaps:ZONE or watttime:REGION (with a"
        " key of yours). Without it no CO2e is computed.",
    ),
]
GridPast = Annotated[
    str | None,
    typer.Option("--grid-intensity", metavar="G", help="Your grid's g of CO2e per kWh, or a CSV of time and g/kWh."),
]
BudgetCo2e = Annotated[
    float | None,
    typer.Option(
        "--budget-gco2e", metavar="G", help="CO2e budget of the entire search, in grams, as hard as the energy budget."
    ),
]
WhenClean = Annotated[
    float | None,
    typer.Option(metavar="G", help="Pause between steps while the grid emits more than this, in g/kWh."),
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="When pausing ends: 18:00, 2026-11-28T06:00 or +24h.")]
Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--meter",
        metavar="SOURCE",
        help="The energy source: node (the whole machine), or prometheus:URL?query=…; may be repeated."
        " [default: this host's counters]",
    ),
]
PowercapRoot = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of the powercap zones, if another machine exports them. [default: /sys]"),
]
RunFolder = Annotated[Path, typer.Argument(metavar="DIR", help="A run folder.")]
Out = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The folder of the run; give the same folder to continue it.")
]


_OPTIONS = {
    "directory": "out",
    "max_energy_per_training_j": "max_energy_per_training",
    "max_inference_energy_j": "max_inference_energy",
    "max_latency_s": "max_latency",
}
"""Python's arguments for options with another name."""

_PYTHON_NAME = re.compile(r"(?<![`\w.])(\w+)(=True\b|=)?(?=([^\s,;])?)")


def in_flags(message: str, names: Collection[str]) -> str:
    """An error message with Python's arguments written as options of the command line: `seed=3` becomes `--seed 3`.

    Args:
        message: The error message.
        names: Arguments that are also options. A name that is an ordinary word is replaced only before `=`.
    """

    def flag(match: re.Match[str]) -> str:
        name, assigned, value = match.groups()
        option = _OPTIONS.get(name, name)
        if option not in names or not (assigned or "_" in option):
            return match[0]
        return f"--{option.replace('_', '-')}{' ' if assigned == '=' and value else ''}"

    return _PYTHON_NAME.sub(flag, message)


def meter_sources(meter: list[str] | None, powercap_root: Path | None) -> tuple[str, ...]:
    """The values of `--meter` and `--powercap-root`, as a meter takes them."""
    return (*(meter or ()), *([] if powercap_root is None else [f"powercap:{powercap_root.absolute()}"]))


def seconds(milliseconds: float | None) -> float | None:
    """The value of `--max-latency` in seconds; None for None.

    Raises:
        UsageError: It is not positive.
    """
    if milliseconds is not None and milliseconds <= 0:
        raise UsageError(f"--max-latency is {milliseconds:g} ms; give a positive number")
    return None if milliseconds is None else milliseconds / 1e3


def joules_per_training(kwh: float | None) -> float | None:
    """The value of `--max-energy-per-training` in joules; None for None.

    Raises:
        UsageError: It is not a positive, finite number.
    """
    if kwh is not None and not 0 < kwh < math.inf:
        raise UsageError(f"--max-energy-per-training is {kwh:g} kWh; give a positive, finite number")
    return None if kwh is None else kwh * J_PER_KWH


def say(message: str) -> None:
    """Print a line on standard error."""
    print(f"ecoml: {message}", file=sys.stderr)


@contextmanager
def continued_by_same_command(folder: Path) -> Iterator[None]:
    """Run a block that saves its results in a folder; at Ctrl-C say so, and end with code 130."""
    try:
        yield
    except KeyboardInterrupt:
        saved = f"all results so far are saved in {folder}, and the same command continues"
        say(f"interrupted; {saved}" if folder.exists() else "interrupted before anything was saved")
        raise typer.Exit(130) from None
