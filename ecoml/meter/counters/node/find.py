"""Finds meters of the entire machine or of a socket. A thread reads their power, which is then integrated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ecoml.energy import Provenance
from ecoml.meter.base import Source
from ecoml.meter.counters.device import MODULE
from ecoml.meter.counters.node import GAIN, HIGHEST_W, NODE, PowerMeter, ipmi
from ecoml.meter.counters.node.hwmon import find_power_files
from ecoml.meter.repair.counter import PowerIntegral
from ecoml.meter.repair.gauge import FoundGauges
from ecoml.meter.repair.polled import Polled
from ecoml.meter.repair.sensor import Sensor

IPMI_EVERY_S = 2.0
"""Time between two calls of ipmitool: each starts a process and asks a slow controller."""

_COVERS = {
    NODE: "the whole machine, power supply included; nothing else is summed with it",
    MODULE: "a superchip: processor, its memory and GPU",
    "cpu": "a Grace socket: cores, caches, memory and regulators",
}

Clock = Callable[[], float] | None


def find_sockets(root: Path, clock: Clock) -> FoundGauges:
    """Sockets and superchips of Grace, from hwmon. A superchip's meter is not counted if its socket's can be read."""
    files = [file for file in find_power_files(root) if file.domain != NODE]
    found = FoundGauges([], [], {})
    for file in sorted(files, key=lambda file: not file.domain.startswith("cpu")):
        sockets = any(gauge.domain.startswith("cpu") for gauge in found.gauges)
        if not file.domain or (file.domain.startswith(MODULE) and sockets):
            why = "the socket's own is" if file.domain else "the socket's, which contains it, is"
            covers = _COVERS[MODULE] if file.domain else "a part of a Grace socket"
            domain = file.domain or "cpu:0"
            found.sources.append(
                Source(file.name, domain, Provenance.SAMPLED, True, False, covers, f"not counted, as {why}")
            )
            continue
        _add(found, file, clock)
    return found


def find_node(root: Path, clock: Clock, ipmitool: ipmi.Ipmitool | None) -> FoundGauges:
    """The entire machine's meter: that of hwmon if it can be read, else that of IPMI.

    Args:
        root: Root of the file system.
        clock: A simulated clock; None: the host's own.
        ipmitool: Queries the controller; None: this host's tool, if the kernel shows a controller.
    """
    files = [file for file in find_power_files(root) if file.domain == NODE]
    meters = list(files)
    if ipmitool is not None or ipmi.has_controller(root):
        ask = ipmitool or ipmi.run_ipmitool
        read = lambda: ipmi.power_w(ask())  # noqa: E731 - it is one of several
        meters.append(PowerMeter("IPMI DCMI", NODE, read, ipmi.AVERAGED_S, IPMI_EVERY_S, ipmi.TIMEOUT_S))
    found = FoundGauges([], [], {})
    for meter in meters:
        if len(files) > 1 and meter.name != "IPMI DCMI":
            remedy = "there are several such meters, and none says that it covers the machine"
            found.sources.append(Source(meter.name, NODE, Provenance.SAMPLED, False, False, _COVERS[NODE], remedy))
        elif found.gauges:
            remedy = f"not counted, as the {found.sources[0].name} is"
            found.sources.append(Source(meter.name, NODE, Provenance.SAMPLED, True, False, _COVERS[NODE], remedy))
        else:
            _add(found, meter, clock)
    return found


def _add(found: FoundGauges, meter: PowerMeter, clock: Clock) -> None:
    """Open a meter, or say why it cannot be read. A window reports no gap for a meter that was never readable."""
    covers = f"{_COVERS[meter.domain.split(':')[0]]}; its power is read every {meter.every_s:g} s"
    try:
        polled = Polled(meter.read, meter.every_s, patience_s=meter.patience_s, clock=clock)
    except (OSError, ValueError) as error:
        why = f"{getattr(error, 'strerror', None) or error}"
        found.sources.append(Source(meter.name, meter.domain, Provenance.SAMPLED, False, False, covers, why))
        return
    power = PowerIntegral(meter.domain, meter.averaged_s, HIGHEST_W, meter.every_s)
    found.gauges.append(
        Sensor(meter.domain, Provenance.SAMPLED, GAIN, min(meter.every_s, 1.0), power, polled, polled.close)
    )
    lag_s = meter.averaged_s + meter.every_s
    found.sources.append(Source(meter.name, meter.domain, Provenance.SAMPLED, True, True, covers, lag_s=lag_s))
