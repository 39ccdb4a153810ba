"""The results of a meter's test, by domain: pairs of figures that should agree."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from ecoml.energy import EnergyByDomain, Provenance


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """Two figures that should agree.

    Attributes:
        what: The two, in words.
        found: The first figure.
        against: The second figure.
        within: The largest allowed difference.
        unit: The unit of all three.
    """

    what: str
    found: float
    against: float
    within: float
    unit: str = "J"

    @property
    def agrees(self) -> bool:
        """Whether the two agree."""
        return abs(self.found - self.against) <= self.within

    @property
    def is_loose(self) -> bool:
        """Whether the two may differ so much that their agreement says nothing."""
        return self.within >= abs(self.against)


@dataclass(frozen=True, slots=True)
class Finding:
    """The results for one domain.

    Attributes:
        domain: E.g. `cpu:0`.
        name: Name of its source.
        provenance: Provenance of its source.
        period_s: Time between two updates; None if no update was seen.
        period_is_bound: Whether the period is only an upper bound, because every reading showed a new value.
        step_j: Smallest step seen.
        rest_w: Power at rest.
        rest_noise_w: Its scatter (standard deviation of windows of half a second).
        load_w: Power under load.
        comparisons: The figures that were compared.
        faults: The faults found, one sentence each.
        unchecked: What could not be checked, one sentence.
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
        """Whether no fault was found."""
        return not self.faults and all(comparison.agrees for comparison in self.comparisons)


class Verdict(StrEnum):
    """The result of a comparison of two measurements of the same energy."""

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
"""Fraction of a rise that the other measurement must show."""
LEAST_RISE = 0.05
"""Fraction of the power under load; a smaller rise says nothing."""
CLOSE = 1.1
"""Largest factor by which the parts may exceed the sum, because either may have the wrong scale."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """The same energy from two sources: a sum and its parts, or two sources of one domain. Mean powers in W.

    The test knows its own load: both measurements must show the rise, however much else they show.

    Attributes:
        domain: The domain that the first source covers.
        source: Name of the first source.
        parts: The domains that the second source covers: parts of the first, or the same one.
        rest_w: Power of the first at rest.
        load_w: Power of the first under load.
        parts_rest_w: Power of the second at rest.
        parts_load_w: Power of the second under load.
        rest_within_w: The largest difference that the stated uncertainties allow at rest.
        load_within_w: The same under load.
        is_late: Whether the load may have ended before the first source had to show it.
        unread: Domains with failed readings during the test.
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
        """Whether the two cover the same domain and should give the same figure."""
        return self.parts == (self.domain,)

    @property
    def agrees(self) -> bool:
        """Whether the two do not contradict each other."""
        return self.verdict is Verdict.AGREES

    @property
    def rise_w(self) -> float:
        """The rise of the first source under load."""
        return self.load_w - self.rest_w

    @property
    def parts_rise_w(self) -> float:
        """The rise of the second source under load."""
        return self.parts_load_w - self.parts_rest_w

    @property
    def verdict(self) -> Verdict:
        """The result of the comparison."""
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
    """The results of the test.

    Attributes:
        findings: One per counted domain.
        opinions: Comparisons with other sources of the same energy.
        spent: Energy that the test itself took.
        elapsed_s: Duration of the test.
    """

    findings: tuple[Finding, ...]
    spent: EnergyByDomain
    elapsed_s: float
    opinions: tuple[Opinion, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether every source that could be checked passed."""
        return all(one.agrees for one in self.findings) and not any(one.verdict.contradicts for one in self.opinions)

    def to_dict(self) -> dict[str, Any]:
        """The results as a JSON object."""
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
