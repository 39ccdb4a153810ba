"""Systems on a chip through Zeus: Apple silicon and Jetson. One call returns cumulative mJ of every part.

- **Jetson**: Zeus samples the power rails ten times a second in a process of its own, and adds power × time. If there
  is a rail of the entire input, it contains the others; else the parts are counted, without memory. When that process
  dies, a call takes 15 s to fail: a thread makes the calls, so that no training waits.
- **Apple**: counters of the chip's own energy model. The processor's total contains its clusters, which are not added.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ecoml.energy import Provenance
from ecoml.meter.base import Source
from ecoml.meter.counters.device import MODULE
from ecoml.meter.repair.counter import Counter
from ecoml.meter.repair.gauge import FoundGauges
from ecoml.meter.repair.polled import Polled
from ecoml.meter.repair.sensor import Sensor

EVERY_S = 0.2
PERIOD_S = 0.2
LONGEST_PERIOD_S = 1.0
STEP_J = 1e-3
GAIN = 0.1
"""Half-width of the chip's own error, as a share. This is an assumption; neither maker states a figure."""
MAX_POWER_W = 500.0
PATIENCE_S = 15.0

_JETSON = {"total_energy_mj": f"{MODULE}:0", "cpu_energy_mj": "cpu:0", "gpu_energy_mj": "gpu:0"}
_APPLE = {"cpu_total_mj": "cpu:0", "gpu_mj": "gpu:0", "dram_mj": "dram:0", "ane_mj": "ane:0", "gpu_sram_mj": "gpu:0"}
_COVERS = {
    MODULE: "Jetson, the whole input",
    "cpu": "processor cores",
    "gpu": "GPU cores, without memory",
    "dram": "memory",
    "ane": "neural engine",
}


def add_soc(found: FoundGauges, chip: Any, now_s: float, clock: Callable[[], float] | None) -> None:
    """Add the parts that a chip reports to the sources found."""
    apple = hasattr(chip.get_total_energy_consumption(), "cpu_total_mj")
    name = "Zeus (Apple silicon)" if apple else "Zeus (Jetson)"
    provenance = Provenance.MEASURED if apple else Provenance.SAMPLED
    polled = Polled(chip.get_total_energy_consumption, EVERY_S, patience_s=PATIENCE_S, clock=clock)
    parts: dict[str, list[str]] = {}
    for field, domain in (_APPLE if apple else _JETSON).items():
        if getattr(polled(), field) is not None:
            parts.setdefault(domain, []).append(field)
    whole = next((domain for domain in parts if domain.startswith(MODULE)), None)
    for domain, fields in parts.items():
        covers = _COVERS[domain.split(":")[0]]
        if whole is not None and domain != whole:
            why = f"not counted, as {whole} contains it"
            found.sources.append(Source(name, domain, provenance, True, False, covers, why))
            continue
        counter = Counter(domain, PERIOD_S, LONGEST_PERIOD_S, MAX_POWER_W, resolution_j=STEP_J, interpolated=True)
        sense = _Part(polled, fields)
        counter.advance(sense(), now_s)
        found.gauges.append(Sensor(domain, provenance, GAIN, EVERY_S, counter, sense, polled.close))
        found.sources.append(Source(name, domain, provenance, True, True, covers))


class _Part:
    """Joules of a part of the chip: the sum of several of Zeus' fields."""

    def __init__(self, measured: Callable[[], Any], fields: list[str]) -> None:
        self._measured = measured
        self._fields = fields

    def __call__(self) -> float:
        """The sum; raises TypeError if one of the fields has no value any more."""
        measured = self._measured()
        return sum(float(getattr(measured, field)) for field in self._fields) * 1e-3
