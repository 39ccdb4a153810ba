"""The host's power now, once a second."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from rich.live import Live
from rich.table import Table

from ecoml.energy import EnergyByDomain
from ecoml.format import format_energy, format_power, quantity
from ecoml.meter import DeviceState, Meter
from ecoml.report.terminal.meters import console

REFRESH_S = 1.0
SHOWN_PROCESSES = 3


def show(
    meter: Meter,
    seconds: float | None,
    *,
    as_json: bool = False,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Show the current power once a second, until Ctrl-C or for a number of seconds.

    On a terminal the view stays in place; elsewhere there is one line per second, or with `as_json` one object.
    """
    window, started_s = meter.window(), clock()

    def views() -> Iterator[_View]:
        number = 1
        while seconds is None or number * REFRESH_S <= seconds:
            sleep(max(0.0, started_s + number * REFRESH_S - clock()))
            yield _View(meter, window.lap(), clock() - started_s)
            number += 1

    try:
        if sys.stdout.isatty() and not as_json:
            total = EnergyByDomain()
            with Live(console=console(), auto_refresh=False) as live:
                for view in views():
                    total += view.energy
                    live.update(view.table(total), refresh=True)
        else:
            for view in views():
                print(json.dumps(view.to_dict()) if as_json else view.line(), flush=True)
    except KeyboardInterrupt:
        pass


class _View:
    """One second of a meter."""

    def __init__(self, meter: Meter, energy: EnergyByDomain, elapsed_s: float) -> None:
        self.energy = energy
        self._elapsed_s = elapsed_s
        self._power_w = meter.power_w()
        self._devices = meter.observe()
        self._neighbours = meter.neighbours

    def table(self, total: EnergyByDomain) -> Table:
        table = Table(
            box=None, padding=(0, 2, 0, 0), header_style="bold", caption=self._caption(), caption_justify="left"
        )
        table.add_column("domain")
        table.add_column("power", justify="right")
        table.add_column("since start", justify="right")
        for heading in ("provenance", "device", "other processes"):
            table.add_column(heading, overflow="fold")
        for domain, part in total.domains.items():
            state = self._devices.get(domain, DeviceState())
            table.add_row(
                domain,
                format_power(self._power_w.get(domain)),
                format_energy(part.energy_j),
                str(self.energy.domains[domain].provenance),
                ", ".join(_device(state)),
                ", ".join(_processes(state)),
            )
        return table

    def line(self) -> str:
        """The line for a pipe."""
        parts = []
        for domain, part in self.energy.domains.items():
            state = self._devices.get(domain, DeviceState())
            others = _processes(state)
            words = [domain, format_power(self._power_w.get(domain)), f"({part.provenance})", *_device(state)]
            parts.append(" ".join(words) + (f", others: {', '.join(others)}" if others else ""))
        return f"{self._elapsed_s:6.1f} s  " + "  |  ".join(filter(None, [*parts, self._caption()]))

    def to_dict(self) -> dict[str, Any]:
        """The object for a script."""
        return {
            "elapsed_s": self._elapsed_s,
            "domains": {
                domain: {
                    "power_w": self._power_w.get(domain),
                    "energy_j": part.energy_j,
                    "uncertainty_j": part.uncertainty_j,
                    "provenance": str(part.provenance),
                }
                for domain, part in self.energy.domains.items()
            },
            "devices": {domain: asdict(state) for domain, state in self._devices.items()},
            "gaps": list(self.energy.gaps),
            "neighbours": list(self._neighbours),
        }

    def _caption(self) -> str:
        also = f"also metered by process {', '.join(map(str, self._neighbours))}" if self._neighbours else ""
        return "; ".join(filter(None, [also, *self.energy.gaps]))


def _device(state: DeviceState) -> list[str]:
    share = None if state.utilisation is None else 100 * state.utilisation
    told = ((share, "%"), (state.temperature_c, "°C"), (state.clock_mhz, "MHz"))
    return [quantity(value, unit) for value, unit in told if value is not None]


def _processes(state: DeviceState) -> list[str]:
    named = [
        f"{process.name or 'process'} {process.pid}"
        + (f" ({process.memory_b / 2**30:.1f} GiB)" if process.memory_b else "")
        for process in state.processes[:SHOWN_PROCESSES]
    ]
    more = len(state.processes) - SHOWN_PROCESSES
    return [*named, f"and {more} more"] if more > 0 else named
