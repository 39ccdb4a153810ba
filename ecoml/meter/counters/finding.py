"""The results of a meter's test, by domain: pairs of figures that should agree."""

from __future__ import annotations

from dataclasses import asdict, dataclass
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


@dataclass(frozen=True, slots=True)
class Opinion:
    """The same energy from two sources: a whole and its parts, or two sources of one domain. Mean powers in W.

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
        """Whether the two cover the same domain and should give the same figure."""
        return self.parts == (self.domain,)

    @property
    def agrees(self) -> bool:
        """Whether the two agree; for parts, whether they draw no more than the whole."""
        beyond_rest_w, beyond_load_w = self.parts_rest_w - self.rest_w, self.parts_load_w - self.load_w
        if self.is_same:
            return abs(beyond_rest_w) <= self.rest_within_w and abs(beyond_load_w) <= self.load_within_w
        within_w = self.rest_within_w, self.load_within_w, self.rest_within_w + self.load_within_w
        beyond_w = beyond_rest_w, beyond_load_w, beyond_load_w - beyond_rest_w  # of the rise between the two
        return all(more_w <= most_w for more_w, most_w in zip(beyond_w, within_w, strict=True))


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
        """Whether everything that could be checked agrees."""
        return all(one.agrees for one in self.findings) and all(one.agrees for one in self.opinions)

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
            "opinions": [{**asdict(one), "agrees": one.agrees} for one in self.opinions],
            "spent_j": self.spent.energy_j,
            "spent_uncertainty_j": self.spent.uncertainty_j,
            "spent_provenance": str(self.spent.provenance),
            "gaps": list(self.spent.gaps),
            "elapsed_s": self.elapsed_s,
        }
