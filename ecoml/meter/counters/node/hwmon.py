"""Power meters under `sys/class/hwmon`: those of ACPI 4.0 (section 10.4), of power supplies, and of NVIDIA's Grace.

| driver, label or `oem_info` | domain | what it covers |
|---|---|---|
| `power_meter`, none of Grace's | `node` | the machine, as ACPI has it |
| `corsairpsu`, `power total` | `node` | what the power supply gives |
| `ibmpowernv`, `System` | `node` | the machine |
| `power_meter`, `Grace Power Socket 0` | `cpu:0` | a Grace socket, its memory and regulators included |
| `power_meter`, `Module Power Socket 0` | `module:0` | a superchip: Grace socket and GPU |
| `power_meter`, `CPU Power Socket 0`, `SysIO Power Socket 0` | | parts of a socket, never counted |

Grace's labels: NVIDIA Grace Performance Tuning Guide, "Power and Thermal Management". Files hold µW and ms (kernel:
Documentation/hwmon/sysfs-interface.rst). A meter without a reading shows 0xffffffff mW, and its driver passes it on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ecoml.meter.counters.device import MODULE
from ecoml.meter.counters.files import line, matching
from ecoml.meter.counters.node import NODE, PowerMeter, plausible_w

EVERY_S = 0.5
"""Time between two readings of a power file: a controller behind it may take tens of ms to answer."""

_GRACE = re.compile(r"(Grace|Module|CPU|SysIO) Power Socket (\d+)")
_DOMAINS = {"Grace": "cpu", "Module": MODULE, "CPU": "", "SysIO": ""}
_NODES = {("corsairpsu", "power total"), ("ibmpowernv", "System")}
_AVERAGED_S = 1.0  # where a meter does not tell its interval


def find_power_files(root: Path) -> list[PowerMeter]:
    """All power meters below a root that cover a machine, a socket, a superchip, or a part of one."""
    return list(_all(root / "sys/class/hwmon"))


def _all(folder: Path) -> Iterator[PowerMeter]:
    for chip in matching([folder], r"hwmon\d+"):
        for place in (chip, chip / "device"):
            driver = line(place / "name")
            for path in matching([place], r"power\d+_(average|input)"):
                number = path.name.split("_")[0]
                label = line(place / f"{number}_oem_info") or line(place / f"{number}_label")
                found = _what_it_is(driver, label)
                if found is not None:
                    interval = line(place / f"{number}_average_interval")
                    averaged_s = int(interval) * 1e-3 if interval.isdigit() and int(interval) else _AVERAGED_S
                    yield PowerMeter(*found, partial(_power_w, path), averaged_s, EVERY_S)


def _what_it_is(driver: str, label: str) -> tuple[str, str] | None:
    """The name and the domain of a meter; None for a meter that covers none of these."""
    grace = _GRACE.search(label) if driver == "power_meter" else None
    if grace is not None:
        kind = _DOMAINS[grace[1]]
        return f"hwmon {grace[0]}", (f"{kind}:{grace[2]}" if kind else "")
    if driver == "power_meter":
        return "ACPI power meter", NODE
    return (f"hwmon {driver}", NODE) if (driver, label) in _NODES else None


def _power_w(path: Path) -> float:
    """The power in W that a file shows, in µW.

    Raises:
        OSError: The file cannot be read.
        ValueError: Its content is no number, or no power that a machine draws.
    """
    text = path.read_text(encoding="ascii", errors="replace").strip()
    if not text.isdigit():
        raise ValueError(f"it reads {text[:16]!r}, which is not a number")
    return plausible_w(int(text) * 1e-6)
