"""Selects the sources that are counted: each one that can be read and that no other covers.

    node ⊃ everything     module:0 ⊃ cpu:0, dram:0, gpu:0     psys ⊃ cpu, dram:0     cpu ⊃ cpu:0, cpu:1

If all parts can be read, they are preferred to the source that contains them: they separate trials on several devices,
and a machine's meter also counts other users. A source named on the command line takes precedence.
"""

from __future__ import annotations

from dataclasses import dataclass

from ecoml.errors import MeterError
from ecoml.meter.base import Source
from ecoml.meter.counters.device import MODULE
from ecoml.meter.counters.node import NODE
from ecoml.meter.repair.gauge import FoundGauges, Gauge


def contains(whole: str, part: str) -> bool:
    """Whether one domain contains the energy of another."""
    kind, held = whole.split(":")[0], part.split(":")[0]
    if kind == MODULE:  # a host of superchips has no other processors and GPUs
        return held not in (MODULE, NODE)
    if whole == part:
        return False
    return whole == NODE or (kind == "psys" and held in ("cpu", "dram")) or (whole == "cpu" and held == "cpu")


@dataclass(frozen=True, slots=True)
class FoundSources(FoundGauges):
    """The sources found so far, and which of them are counted.

    Attributes:
        keep: Whether readable sources that are not counted stay open for comparison.
    """

    keep: bool = False

    @property
    def counts_cpu(self) -> bool:
        """Whether a counted source contains the processor."""
        return any(gauge.domain.startswith(("psys", "cpu", MODULE, NODE)) for gauge in self.gauges)

    @property
    def why_no_estimate(self) -> str:
        """Why the processor is not estimated."""
        whole = next((gauge.domain for gauge in self.gauges if gauge.domain.startswith((MODULE, NODE))), None)
        return "a counter is read" if whole is None else f"{whole} contains it"

    def add(self, new: FoundGauges) -> None:
        """Count the new domains that no counted domain contains; if both contain the same domain, the first source
        counts.
        """
        for gauge in list(new.gauges):
            whole = next((other.domain for other in self.gauges if contains(other.domain, gauge.domain)), None)
            if any(other.domain == gauge.domain for other in self.gauges):
                new.set_aside([gauge.domain], "not counted, as another source of this domain is", keep=self.keep)
            elif whole is not None:
                new.set_aside([gauge.domain], f"not counted, as {whole} contains it", keep=self.keep)
            else:
                self._give_way(gauge.domain)
        for domain in list(new.unseen):
            if any(contains(gauge.domain, domain) for gauge in self.gauges):
                del new.unseen[domain]
        self._join(new)

    def put(self, asked: FoundGauges) -> None:
        """Count the sources that the user named, and drop the sources that they contain."""
        (gauge,) = asked.gauges
        self.set_aside([gauge.domain], "not counted, as you named another source of this domain", keep=self.keep)
        self._give_way(gauge.domain)
        self._join(asked)

    def weigh_node(self, node: FoundGauges, *, asked: bool, instead: bool) -> None:
        """Count the machine's meter if the user named it, or if it is better than the other sources.

        Args:
            node: The machine's meter, as found.
            asked: Whether the user named it.
            instead: Whether it may replace parts that cannot be read.

        Raises:
            MeterError: The user named it, and it cannot be read.
        """
        if asked and not node.gauges:
            why = "; ".join(source.remedy for source in node.sources) or "neither ACPI nor IPMI has one"
            raise MeterError(f"--meter node: this machine's own meter cannot be read: {why}")
        counted = any(gauge.domain == NODE for gauge in self.gauges)
        if node.gauges and not counted and (asked or instead):
            self._give_way(NODE)
        else:
            why = "another source of this domain is" if counted else "its parts are; to count it, give --meter node"
            node.set_aside(None, f"not counted, as {why}", keep=self.keep)
        self._join(node)

    def opinions(self) -> tuple[list[Gauge], list[Source]]:
        """The sources that are not counted, counted by a second meter; of several sources of a domain, the first."""
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
        """Drop the sources that a domain contains."""
        domains = [gauge.domain for gauge in self.gauges] + list(self.unseen)
        held = [domain for domain in domains if contains(whole, domain)]
        self.set_aside(held, f"not counted, as {whole} contains it", keep=self.keep)

    def _join(self, new: FoundGauges) -> None:
        self.gauges.extend(new.gauges)
        self.sources.extend(new.sources)
        self.unseen.update(new.unseen)
        self.devices.update(new.devices)
        self.beside.extend(new.beside)
