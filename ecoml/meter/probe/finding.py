"""What a probe of the meter found: figures that should be one, by domain."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
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

    @property
    def is_loose(self) -> bool:
        """Whether they may lie so far apart that their agreement tells nothing."""
        return self.within >= abs(self.against)


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


class Verdict(StrEnum):
    """What a comparison of two ways to the same energy comes to."""

    AGREES = "agrees"
    APART = "apart"  # by more than both state
    DEAF = "deaf"  # of the rise that the load brings to the parts, the whole shows less than a quarter
    UNEXPLAINED = "unexplained"  # and the other way round
    UNLOADED = "unloaded"  # the load raised neither by as much as could be told
    LATE = "late"  # the whole is so slow that it need not have seen the load
    LOOSE = "loose"  # the figures contradict each other, though by less than what both state
    UNREAD = "unread"  # something could not be read meanwhile

    @property
    def contradicts(self) -> bool:
        """Whether one of the two is wrong."""
        return self in (Verdict.APART, Verdict.DEAF, Verdict.UNEXPLAINED)


LEAST_SHARE = 0.25
"""Of a rise, that the other way to it has to show."""
LEAST_RISE = 0.05
"""Of the power under load: a smaller rise tells nothing."""
CLOSE = 1.1
"""Parts may be larger than the whole by this factor, as either's gain may be off."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """Two ways to the same energy: a source and its parts, or two sources of one domain. Mean powers in W.

    What the probe knows is what its load did: both ways have to show the rise, whatever they show beside.

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
        is_late: Whether the load was over before the whole need have shown it.
        unread: Domains that could not be read meanwhile.
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
    is_late: bool = False
    unread: tuple[str, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether the two cover the same, and should be one figure."""
        return self.parts == (self.domain,)

    @property
    def agrees(self) -> bool:
        """Whether the two say the same, as far as can be told here."""
        return self.verdict is Verdict.AGREES

    @property
    def rise_w(self) -> float:
        """What the load adds to the whole."""
        return self.load_w - self.rest_w

    @property
    def parts_rise_w(self) -> float:
        """What it adds to the parts."""
        return self.parts_load_w - self.parts_rest_w

    @property
    def verdict(self) -> Verdict:
        """What it comes to."""
        if self.unread:
            return Verdict.UNREAD
        whole_w = self.rest_w, self.load_w, self.rise_w
        parts_w = self.parts_rest_w, self.parts_load_w, self.parts_rise_w
        within_w = self.rest_within_w, self.load_within_w, self.rest_within_w + self.load_within_w
        beyond_w = [parts - whole for parts, whole in zip(parts_w, whole_w, strict=True)]
        if any((abs(w) if self.is_same else w) > most_w for w, most_w in zip(beyond_w, within_w, strict=True)):
            return Verdict.APART
        if max(self.rise_w, self.parts_rise_w) <= LEAST_RISE * max(self.load_w, self.parts_load_w):
            return Verdict.UNLOADED
        if self.rise_w < LEAST_SHARE * self.parts_rise_w:
            return Verdict.LATE if self.is_late else Verdict.DEAF
        if self.parts_rise_w < LEAST_SHARE * self.rise_w:
            return Verdict.LATE if self.is_late else Verdict.UNEXPLAINED
        close = all(parts <= CLOSE * whole for parts, whole in zip(parts_w, whole_w, strict=True))
        if self.is_same:
            close = close and all(whole <= CLOSE * parts for parts, whole in zip(parts_w, whole_w, strict=True))
        return Verdict.AGREES if close else Verdict.LATE if self.is_late else Verdict.LOOSE


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
        """Whether nothing that could be checked is contradicted."""
        return all(one.agrees for one in self.findings) and not any(one.verdict.contradicts for one in self.opinions)

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
            "opinions": [{**asdict(one), "agrees": one.agrees, "verdict": str(one.verdict)} for one in self.opinions],
            "spent_j": self.spent.energy_j,
            "spent_uncertainty_j": self.spent.uncertainty_j,
            "spent_provenance": str(self.spent.provenance),
            "gaps": list(self.spent.gaps),
            "elapsed_s": self.elapsed_s,
        }
