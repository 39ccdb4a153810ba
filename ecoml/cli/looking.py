"""The commands `report` and `watch`, and those that list names: `spaces`, `strategies`, `data`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecoml.cli.options import GridPast, Inferences, Json, MaxInferenceEnergy, MaxLatency, RunFolder, say, seconds
from ecoml.errors import UsageError

if TYPE_CHECKING:
    from ecoml.run.result import Result


def report(
    directory: RunFolder,
    figures: Annotated[bool, typer.Option(help="Also write figures as PNG, SVG and PDF.")] = True,
    grid_intensity: GridPast = None,
    inferences: Inferences = None,
    max_inference_energy: MaxInferenceEnergy = None,
    max_latency: MaxLatency = None,
    receipt: Annotated[
        bool,
        typer.Option(
            "--receipt", help="Also write the run's energy as a BoAmps report, and as a paragraph for a paper."
        ),
    ] = False,
) -> None:
    """Write the page, the figures and the model card of a run."""
    from ecoml.report.page.page import write_report
    from ecoml.run.result import Result

    limits = {
        "inferences": inferences,
        "max_inference_energy_j": max_inference_energy,
        "max_latency_s": seconds(max_latency),
    }
    print(write_report(directory, figures=figures, grid_intensity=grid_intensity, **limits))
    result = Result.load(directory, **limits)
    if (card := _card(result)) is not None:
        print(card)
    if any(limit is not None for limit in limits.values()):
        from ecoml.report.terminal.summary import print_choice

        print_choice(result)
    if receipt:
        from ecoml.report.receipt import write_receipt

        for path in write_receipt(directory, grid_intensity=grid_intensity, **limits):
            print(path)


def _card(result: Result) -> Path | None:
    """The card of the model to use, written unless it is there: loading PyTorch takes a while."""
    from ecoml.run.choice.lifetime import trial_to_use
    from ecoml.run.models import model_path

    card, chosen = result.directory / "card.md", trial_to_use(result)
    if chosen is not None and card.is_file():
        named = model_path(result.directory, chosen).name
        if named in card.read_text(encoding="utf-8", errors="replace"):
            return card
    from ecoml.models.card import write_card

    return write_card(result)


def watch(
    directory: RunFolder,
    once: Annotated[bool, typer.Option("--once", help="Print the current state and exit.")] = False,
    prometheus: Annotated[
        str | None,
        typer.Option(
            metavar="PORT", help="Serve the state to Prometheus at http://127.0.0.1:PORT/metrics, or at ADDRESS:PORT."
        ),
    ] = None,
) -> None:
    """Show from another terminal how a search progresses."""
    if prometheus is not None:
        from ecoml.report.prometheus import serve

        if once:
            raise UsageError("--prometheus serves until the search ends: leave --once out")
        serve(directory, prometheus, say)
        return
    from ecoml.report.terminal.watch import follow

    follow(directory, once=once)


def spaces(as_json: Json = False) -> None:
    """List the search spaces for --space."""
    from ecoml.space import available_spaces, load_space

    _table(("space", "description"), [(name, load_space(name).description) for name in available_spaces()], as_json)


def strategies(as_json: Json = False) -> None:
    """List the strategies for --strategy."""
    from ecoml.strategies import available_strategies

    _table(("strategy", "description"), available_strategies(), as_json)


def data(as_json: Json = False) -> None:
    """List the data sets for --data."""
    from ecoml.training.images import available_data

    _table(("data", "description"), available_data(), as_json)


def _table(header: tuple[str, ...], rows: list[Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps([dict(zip(header, row, strict=True)) for row in rows], indent=2))
        return
    from ecoml.report.terminal.summary import print_table

    print_table(header, rows)
