"""Options that several commands share, and how commands speak."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

Budget = Annotated[
    float | None, typer.Option("--budget-kwh", metavar="KWH", help="Ceiling on the energy of everything, in kWh.")
]
Data = Annotated[
    str,
    typer.Option(
        help="A data set by name (see `ecoml data`), a folder of images by class, a .csv of path,label, or an .npz of x"
        " and y."
    ),
]
DataDir = Annotated[Path | None, typer.Option(help="Where named data sets lie, or are downloaded to.")]
Download = Annotated[bool, typer.Option(help="Whether a named data set may be downloaded.")]
SpaceName = Annotated[str, typer.Option(help="A search space by name (see `ecoml spaces`), or a TOML file.")]
MaxParameters = Annotated[
    int | None, typer.Option(metavar="N", help="Train no network with more parameters than that.")
]
MaxEnergyPerTraining = Annotated[
    float | None, typer.Option(metavar="KWH", help="Stop a training before it takes more, in kWh.")
]
ScoreMetric = Annotated[
    str | None,
    typer.Option(
        "--metric",
        metavar="NAME",
        help="What is measured: accuracy, balanced-accuracy or macro-f1. [default: accuracy; balanced-accuracy if one"
        " class has more than twice the images of the others]",
    ),
]
SpendAll = Annotated[
    bool, typer.Option("--spend-all", help="Go on to the end of the budget, even where little is to be gained.")
]
Inferences = Annotated[
    float | None,
    typer.Option(metavar="N", help="So many images are to be predicted: choose by the energy of that and training."),
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
    bool, typer.Option("--deterministic", help="The same curves on another day and another host of the same kind.")
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
    typer.Option(metavar="NAME", help="Also write the search down with mlflow, tensorboard or wandb; may be repeated."),
]
GridIntensity = Annotated[
    str | None,
    typer.Option(
        metavar="G",
        help="Your grid's g of CO2e per kWh, a CSV of time and g/kWh, electricitymaps:ZONE or watttime:REGION (with a"
        " key of yours). Without it nothing is said of CO2e.",
    ),
]
GridPast = Annotated[
    str | None,
    typer.Option("--grid-intensity", metavar="G", help="Your grid's g of CO2e per kWh, or a CSV of time and g/kWh."),
]
BudgetCo2e = Annotated[
    float | None,
    typer.Option("--budget-gco2e", metavar="G", help="Ceiling on the CO2e of everything, in grams: as hard."),
]
WhenClean = Annotated[
    float | None,
    typer.Option(metavar="G", help="Pause between steps while the grid is dirtier than so many g/kWh."),
]
Until = Annotated[
    str | None, typer.Option(metavar="TIME", help="Pause no longer than to 18:00, 2026-11-28T06:00 or +24h.")
]
Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--meter",
        metavar="SOURCE",
        help="Where energy is read from: node (the whole machine), or prometheus:URL?query=…; may be given again."
        " [default: this host's counters]",
    ),
]
PowercapRoot = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where powercap's zones lie, if another machine exports them. [default: /sys]"),
]
RunFolder = Annotated[Path, typer.Argument(metavar="DIR", help="A run folder.")]
Out = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The folder of the run; the same folder goes on with it.")
]


_PYTHON_NAME = re.compile(r"(?<![`\w.])(\w+)(=True\b|=)?(?=(\S)?)")


def in_flags(message: str, names: Collection[str]) -> str:
    """What an error says with Python's arguments, with the options of the command line: `seed=3` as `--seed 3`.

    Args:
        message: What it says.
        names: Arguments that are options too; a name that is a plain word is taken for one only before `=`.
    """

    def flag(match: re.Match[str]) -> str:
        name, assigned, value = match.groups()
        option = {"directory": "out", "max_energy_per_training_j": "max_energy_per_training"}.get(name, name)
        if option not in names or not (assigned or "_" in option):
            return match[0]
        return f"--{option.replace('_', '-')}{' ' if assigned == '=' and value else ''}"

    return _PYTHON_NAME.sub(flag, message)


def meter_sources(meter: list[str] | None, powercap_root: Path | None) -> tuple[str, ...]:
    """What `--meter` and `--powercap-root` say, as a meter takes it."""
    return (*(meter or ()), *([] if powercap_root is None else [f"powercap:{powercap_root.absolute()}"]))


def say(message: str) -> None:
    """A line on standard error."""
    print(f"ecoml: {message}", file=sys.stderr)
