"""What a probe of the meter found: figures that should be one, by domain."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ecoml.energy import EnergyByDomain, Provenance


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """Two figures that should be one.

    Attributes:
        what: The two, in words.
        found: The first figure.
        against: The second.
        within: How far apart they may lie.
        unit: Of all three.
    """

    what: str
    found: float
    against: float
    within: float
    unit: str = "J"

    @property
    def agrees(self) -> bool:
        """Whether they are close enough."""
        return abs(self.found - self.against) <= self.within


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one domain.

    Attributes:
        domain: E.g. `cpu:0`.
        name: Of its source.
        provenance: What the source is worth.
        period_s: Time between two updates; None where none was seen.
        period_is_bound: Whether it is only known not to be longer, as every reading showed another value.
        step_j: Smallest step seen.
        rest_w: Power at rest.
        rest_noise_w: Its scatter (standard deviation of windows of half a second).
        load_w: Power under load.
        comparisons: What was compared.
        faults: What is wrong, one sentence each.
        unchecked: What cannot be checked here, one sentence.
    """

    domain: str
    name: str
    provenance: Provenance
    period_s: float | None
    period_is_bound: bool
    step_j: float | None
    rest_w: float
    rest_noise_w: float
    load_w: float
    comparisons: tuple[CrossCheck, ...]
    faults: tuple[str, ...]
    unchecked: str

    @property
    def agrees(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.faults and all(comparison.agrees for comparison in self.comparisons)


@dataclass(frozen=True, slots=True)
class Check:
    """What the probe found.

    Attributes:
        findings: One per domain that is counted.
        spent: What the probe itself took.
        elapsed_s: How long.
    """

    findings: tuple[Finding, ...]
    spent: EnergyByDomain
    elapsed_s: float

    @property
    def agrees(self) -> bool:
        """Whether all that could be checked agrees."""
        return all(finding.agrees for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "agrees": self.agrees,
            "findings": [
                {
                    **asdict(finding),
                    "agrees": finding.agrees,
                    "comparisons": [{**asdict(one), "agrees": one.agrees} for one in finding.comparisons],
                }
                for finding in self.findings
            ],
            "spent_j": self.spent.energy_j,
            "spent_uncertainty_j": self.spent.uncertainty_j,
            "spent_provenance": str(self.spent.provenance),
            "gaps": list(self.spent.gaps),
            "elapsed_s": self.elapsed_s,
        }
