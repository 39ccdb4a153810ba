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
class Opinion:
    """Two ways to the same energy: a source and its parts, or two sources of one domain. Mean powers in W.

    Attributes:
        domain: What the whole covers.
        source: Name of its source.
        parts: The other way: domains that it contains, or itself by another source.
        rest_w: The whole at rest.
        load_w: The whole under load.
        parts_rest_w: The other way at rest.
        parts_load_w: The other way under load.
        rest_within_w: How far apart the two may lie at rest, by what either states as its uncertainty.
        load_within_w: The same under load.
    """

    domain: str
    source: str
    parts: tuple[str, ...]
    rest_w: float
    load_w: float
    parts_rest_w: float
    parts_load_w: float
    rest_within_w: float
    load_within_w: float

    @property
    def is_same(self) -> bool:
        """Whether the two cover the same, and should be one figure."""
        return self.parts == (self.domain,)

    @property
    def agrees(self) -> bool:
        """Whether they are close enough; or, of parts, whether they draw no more than what contains them."""
        beyond_rest_w, beyond_load_w = self.parts_rest_w - self.rest_w, self.parts_load_w - self.load_w
        if self.is_same:
            return abs(beyond_rest_w) <= self.rest_within_w and abs(beyond_load_w) <= self.load_within_w
        within_w = self.rest_within_w, self.load_within_w, self.rest_within_w + self.load_within_w
        beyond_w = beyond_rest_w, beyond_load_w, beyond_load_w - beyond_rest_w  # of the rise between the two
        return all(more_w <= most_w for more_w, most_w in zip(beyond_w, within_w, strict=True))


@dataclass(frozen=True, slots=True)
class Check:
    """What the probe found.

    Attributes:
        findings: One per domain that is counted.
        opinions: What other sources say of the same energy.
        spent: What the probe itself took.
        elapsed_s: How long.
    """

    findings: tuple[Finding, ...]
    spent: EnergyByDomain
    elapsed_s: float
    opinions: tuple[Opinion, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether all that could be checked agrees."""
        return all(one.agrees for one in self.findings) and all(one.agrees for one in self.opinions)

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
            "opinions": [{**asdict(one), "agrees": one.agrees} for one in self.opinions],
            "spent_j": self.spent.energy_j,
            "spent_uncertainty_j": self.spent.uncertainty_j,
            "spent_provenance": str(self.spent.provenance),
            "gaps": list(self.spent.gaps),
            "elapsed_s": self.elapsed_s,
        }
