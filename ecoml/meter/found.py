"""Which of the sources found are counted: each that can be read, and that no other covers.

    node ⊃ everything     module:0 ⊃ cpu:0, dram:0, gpu:0     psys ⊃ cpu, dram:0     cpu ⊃ cpu:0, cpu:1

Parts are preferred to what contains them as long as all of them can be read: they tell trials on several devices apart,
and a machine's meter also counts what others do on it. A source that was named on the command line comes first.
"""

from __future__ import annotations

from collections.abc import Callable

from ecoml.errors import MeterError
from ecoml.meter.base import DeviceState, Source
from ecoml.meter.counters.device import MODULE
from ecoml.meter.counters.node import NODE
from ecoml.meter.repair.gauge import FoundGauges, Gauge


def contains(whole: str, part: str) -> bool:
    """Whether a domain holds another one's energy."""
    kind, held = whole.split(":")[0], part.split(":")[0]
    if kind == MODULE:  # a host of superchips has no other processors and GPUs
        return held not in (MODULE, NODE)
    if whole == part:
        return False
    return whole == NODE or (kind == "psys" and held in ("cpu", "dram")) or (whole == "cpu" and held == "cpu")


class Found:
    """What was found so far, and what of it is counted.

    Args:
        first: What was found first.
        keep: Whether what can be read and is not counted stays open, beside.
    """

    def __init__(self, first: FoundGauges, *, keep: bool) -> None:
        self._parts = [first]
        self._keep = keep

    @property
    def gauges(self) -> list[Gauge]:
        """What is counted."""
        return [gauge for part in self._parts for gauge in part.gauges]

    @property
    def sources(self) -> list[Source]:
        """All that was looked for."""
        return [source for part in self._parts for source in part.sources]

    @property
    def unseen(self) -> dict[str, str]:
        """Domain → why it cannot be read, of what ought to be counted."""
        return {domain: why for part in self._parts for domain, why in part.unseen.items()}

    @property
    def devices(self) -> dict[str, Callable[[], DeviceState]]:
        """Domain → what tells the present state of its device."""
        return {domain: state for part in self._parts for domain, state in part.devices.items()}

    @property
    def beside(self) -> list[tuple[Gauge, Source]]:
        """What can be read and is not counted, where it was kept."""
        return [pair for part in self._parts for pair in part.beside]

    @property
    def module(self) -> str | None:
        """A superchip's domain that contains the processor's; None if none is counted."""
        return next((gauge.domain for gauge in self.gauges if gauge.domain.startswith(MODULE)), None)

    @property
    def counts_cpu(self) -> bool:
        """Whether the processor is in what is counted."""
        return any(gauge.domain.startswith(("psys", "cpu", MODULE, NODE)) for gauge in self.gauges)

    @property
    def why_no_estimate(self) -> str:
        """Why the processor is not estimated."""
        whole = next((gauge.domain for gauge in self.gauges if gauge.domain.startswith((MODULE, NODE))), None)
        return "a counter is read" if whole is None else f"{whole} contains it"

    def add(self, new: FoundGauges) -> None:
        """Count what covers nothing that is counted already; where both count a domain, the first does."""
        for gauge in list(new.gauges):
            whole = next((other.domain for other in self.gauges if contains(other.domain, gauge.domain)), None)
            if any(other.domain == gauge.domain for other in self.gauges):
                new.set_aside([gauge.domain], "not counted, as another source of it is", keep=self._keep)
            elif whole is not None:
                new.set_aside([gauge.domain], f"not counted, as {whole} contains it", keep=self._keep)
            else:
                self._give_way(gauge.domain)
        self._parts.append(new)

    def put(self, asked: FoundGauges) -> None:
        """Count what was asked for, and nothing that it covers."""
        (gauge,) = asked.gauges
        for part in self._parts:
            part.set_aside([gauge.domain], "not counted, as another source of it was asked for", keep=self._keep)
        self._give_way(gauge.domain)
        self._parts.append(asked)

    def weigh_node(self, node: FoundGauges, *, asked: bool, instead: bool) -> None:
        """Count the machine's meter where it was asked for, or is better than what there is.

        Args:
            node: What was found of it.
            asked: Whether it was asked for.
            instead: Whether it may stand for parts that cannot be read.

        Raises:
            MeterError: It was asked for, and cannot be read.
        """
        if asked and not node.gauges:
            why = "; ".join(source.remedy for source in node.sources) or "neither ACPI nor IPMI shows one"
            raise MeterError(f"--meter node: this machine's own meter cannot be read: {why}")
        counted = any(gauge.domain == NODE for gauge in self.gauges)
        if node.gauges and not counted and (asked or instead):
            self._give_way(NODE)
        else:
            why = "another source of it is" if counted else "its parts are: name it with --meter node"
            node.set_aside(None, f"not counted, as {why}", keep=self._keep)
        self._parts.append(node)

    def opinions(self) -> tuple[list[Gauge], list[Source]]:
        """What is not counted, as a meter of its own counts it; of several sources of a domain, the first."""
        first: dict[str, tuple[Gauge, Source]] = {}
        for gauge, source in self.beside:
            if first.setdefault(gauge.domain, (gauge, source))[0] is not gauge:
                gauge.close()
        used = [
            Source(source.name, source.domain, source.provenance, True, True, source.covers)
            for _, source in first.values()
        ]
        return [gauge for gauge, _ in first.values()], used

    def _give_way(self, whole: str) -> None:
        """Count nothing that a domain contains."""
        for part in self._parts:
            held = {gauge.domain for gauge in part.gauges if contains(whole, gauge.domain)}
            held |= {domain for domain in part.unseen if contains(whole, domain)}
            part.set_aside(held, f"not counted, as {whole} contains it", keep=self._keep)
