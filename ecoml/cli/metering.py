"""The command `meters`, which shows the energy sources of this host."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ecoml.cli.options import Json, PowercapRoot, Sources, meter_sources, say
from ecoml.errors import UsageError

if TYPE_CHECKING:
    from ecoml.meter import Meter
    from ecoml.meter.host import HostMeter


def meters(
    watch: Annotated[bool, typer.Option("--watch", help="Show the power of each domain, once a second.")] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Test the sources for about 20 s: do their readings at rest and under load agree?"
        ),
    ] = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Fit the constants of the estimate to this host's counters.")
    ] = False,
    seconds: Annotated[float | None, typer.Option(help="End --watch after this many seconds.")] = None,
    meter: Sources = None,
    powercap_root: PowercapRoot = None,
    as_json: Json = False,
) -> None:
    """Show the energy sources of this host, their readings, and how far they can be trusted."""
    from ecoml.meter import open_meter

    if watch + check + calibrate > 1:
        raise UsageError("--watch, --check and --calibrate exclude each other: give one of them")
    if seconds is not None and not (watch and seconds >= 1):
        raise UsageError("--seconds ends --watch, after at least 1 s: give both, e.g. --watch --seconds 10")
    with open_meter(claims=False, compare=check, sources=meter_sources(meter, powercap_root)) as opened:
        if watch:
            from ecoml.report.terminal.power import show

            show(opened, seconds, as_json=as_json)
        elif check:
            _check(opened, as_json)
        elif calibrate:
            _calibrate(opened, as_json)
        elif as_json:
            from ecoml.report.terminal.meters import sources_as_rows

            print(json.dumps(sources_as_rows(opened.sources), indent=2))
        else:
            from ecoml.report.terminal.meters import print_sources

            print_sources(opened.sources, opened.provenance)


def _check(meter: HostMeter, as_json: bool) -> None:
    from ecoml.meter.counters.cpu_time import usable_cpus
    from ecoml.meter.probe.check import Probe, board_powers
    from ecoml.report.terminal.meters import print_check

    found = Probe(meter, cpus=max(1, round(usable_cpus())), boards_w=board_powers(meter), say=say).run()
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
    else:
        print_check(found)
    if not found.agrees:
        raise typer.Exit(1)


def _calibrate(meter: Meter, as_json: bool) -> None:
    from ecoml.meter.counters.constants import save_constants
    from ecoml.meter.counters.cpu_time import usable_cpus
    from ecoml.meter.probe.calibrate import calibrate
    from ecoml.report.terminal.meters import print_calibration

    threads = max(1, round(usable_cpus()))
    found = calibrate(meter, cpus=os.cpu_count() or threads, threads=threads, say=say)
    path = save_constants(found.constants)
    if as_json:
        print(json.dumps({**asdict(found), "file": str(path)}, indent=2))
    else:
        print_calibration(found, path)
