"""The account as people see it: what was spent, on what, where the figures come from, and what of it was idling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ecoml.energy import J_PER_KWH, Energy, EnergyByDomain, Provenance, Purpose, figure_of
from ecoml.meter.idle import idle_of, net_of_idle
from ecoml.run.snapshot import SharedUse, Snapshot

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class EnergyAccount:
    """What the search spent; all figures in joules unless their name says otherwise.

    Attributes:
        budget_j: The ceiling.
        by_purpose: Joules by training, evaluation, optimiser, overhead; they sum to `total_j`.
        by_domain: Joules by domain (`cpu`, `gpu:0`, … or `reported`); they sum to `total_j` as well.
        provenance: Source of the total: that of its weakest part.
        provenance_by_domain: Source by domain.
        uncertainty_j: Half-width of `total_j`.
        overshoot_bound_j: The most that was spent between two looks at the budget.
        gaps: What could not be metered, one sentence each.
        thinking_cpu_s: CPU seconds of the optimiser where the caller brings the energy: shown apart, not charged.
        provenance_by_purpose: Source by purpose.
        uncertainty_by_purpose: Half-width by purpose. They sum to more than `uncertainty_j`, since what an edge takes
            from one purpose it gives to another.
        uncertainty_by_domain: Half-width by domain.
        idle: What the metered domains would have drawn meanwhile with nothing done; None if it is not known.
        net: What was spent beyond that.
        idle_note: Why `idle` is not known.
        idle_second: Joules of an idle second by domain.
        shared: Other processes that used what is metered.
        unmeasured: What keeps the energy from being measured, one sentence with its remedy each.
    """

    budget_j: float
    by_purpose: Mapping[str, float]
    by_domain: Mapping[str, float]
    provenance: Provenance
    provenance_by_domain: Mapping[str, Provenance]
    uncertainty_j: float
    overshoot_bound_j: float
    gaps: tuple[str, ...] = ()
    thinking_cpu_s: float = 0.0
    provenance_by_purpose: Mapping[str, Provenance] = field(default_factory=dict)
    uncertainty_by_purpose: Mapping[str, float] = field(default_factory=dict)
    uncertainty_by_domain: Mapping[str, float] = field(default_factory=dict)
    idle: Energy | None = None
    net: Energy | None = None
    idle_note: str = ""
    idle_second: Mapping[str, Energy] = field(default_factory=dict)
    shared: tuple[SharedUse, ...] = ()
    unmeasured: tuple[str, ...] = ()

    @property
    def total_j(self) -> float:
        """All joules together."""
        return math.fsum(self.by_purpose.values())

    @property
    def total_kwh(self) -> float:
        """All joules together, in kWh."""
        return self.total_j / J_PER_KWH

    @property
    def left_j(self) -> float:
        """Joules left of the budget, 0.0 if it was overshot."""
        return max(0.0, self.budget_j - self.total_j)

    @property
    def idle_j(self) -> float | None:
        """Joules that idling alone would have taken; None if they are not known (`idle_note` says why)."""
        return None if self.idle is None else self.idle.energy_j

    @property
    def net_j(self) -> float | None:
        """Joules beyond idling; None if they are not known."""
        return None if self.net is None else self.net.energy_j

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "total_kwh": self.total_kwh,
            "total_j": self.total_j,
            "uncertainty_j": self.uncertainty_j,
            "provenance": self.provenance.value,
            "budget_j": self.budget_j,
            "left_j": self.left_j,
            "overshoot_bound_j": self.overshoot_bound_j,
            "by_purpose_j": dict(self.by_purpose),
            "uncertainty_by_purpose_j": dict(self.uncertainty_by_purpose),
            "provenance_by_purpose": {name: source.value for name, source in self.provenance_by_purpose.items()},
            "by_domain_j": dict(self.by_domain),
            "uncertainty_by_domain_j": dict(self.uncertainty_by_domain),
            "provenance_by_domain": {name: source.value for name, source in self.provenance_by_domain.items()},
            "idle": _figure_dict(self.idle),
            "net_of_idle": _figure_dict(self.net),
            "idle_note": self.idle_note,
            "idle_power": {
                name: {"power_w": w.energy_j, "uncertainty_w": w.uncertainty_j, "provenance": w.provenance.value}
                for name, w in self.idle_second.items()
            },
            "shared_with": [
                {"domain": other.domain, "pid": other.pid, "name": other.name, "seconds": other.seconds}
                for other in self.shared
            ],
            "gaps": list(self.gaps),
            "unmeasured": list(self.unmeasured),
            "optimiser_cpu_s_apart": self.thinking_cpu_s,
        }


def account_of(snapshot: Snapshot) -> EnergyAccount:
    """The account that a ledger's content amounts to."""
    kept = snapshot.settings
    entered = sum(snapshot.by_purpose.values(), EnergyByDomain()).domains
    domains = {name: _as_one_window(part, snapshot.host.get(name)) for name, part in entered.items()}
    whole = EnergyByDomain(domains)
    idle, net, note = _idle_and_net(snapshot, domains)
    return EnergyAccount(
        budget_j=kept["budget_j"],
        by_purpose={purpose.value: snapshot.by_purpose[purpose].energy_j for purpose in Purpose},
        by_domain=whole.by_domain,
        provenance=whole.provenance,
        provenance_by_domain={name: part.provenance for name, part in domains.items()},
        uncertainty_j=whole.uncertainty_j,
        overshoot_bound_j=kept.get("overshoot_bound_j", 0.0),
        gaps=snapshot.gaps,
        thinking_cpu_s=kept.get("thinking_cpu_s", 0.0),
        provenance_by_purpose={
            purpose.value: energy.provenance if energy.domains else whole.provenance
            for purpose, energy in snapshot.by_purpose.items()
        },
        uncertainty_by_purpose={purpose.value: energy.uncertainty_j for purpose, energy in snapshot.by_purpose.items()},
        uncertainty_by_domain={name: part.uncertainty_j for name, part in domains.items()},
        idle=idle,
        net=net,
        idle_note=note,
        idle_second=snapshot.idle,
        shared=snapshot.shared,
        unmeasured=tuple(kept.get("unmeasured", ())),
    )


def _as_one_window(entered: Energy, host: Energy | None) -> Energy:
    """The entries of a domain with the uncertainty of the windows they were cut from, where those are known."""
    if host is None or abs(host.energy_j - entered.energy_j) > _ROUNDING * (entered.energy_j + 1e-3):
        return entered
    return figure_of(entered.energy_j, host.uncertainty_j, entered.provenance, host.edge_j)


def _idle_and_net(snapshot: Snapshot, domains: Mapping[str, Energy]) -> tuple[Energy | None, Energy | None, str]:
    """Joules of idling, joules beyond it, and why they are not known."""
    if snapshot.reported:
        return None, None, "the training brought its own energy, and nothing was metered"
    counted = {name: part for name, part in domains.items() if part.provenance is not Provenance.MISSING}
    if not counted:
        return None, None, "nothing was metered"
    unknown = sorted(counted.keys() - snapshot.idle.keys())
    if unknown:
        return None, None, snapshot.settings.get("idle_note") or f"idle power of {', '.join(unknown)} is not known"
    if any(name not in snapshot.seconds for name in counted):
        return None, None, "how long this run took was not kept"
    idle = {name: idle_of(part, snapshot.idle[name], snapshot.seconds[name]) for name, part in counted.items()}
    net = {name: net_of_idle(part, idle[name]) for name, part in counted.items()}
    return EnergyByDomain(idle).together, EnergyByDomain(net).together, ""


def _figure_dict(figure: Energy | None) -> dict[str, Any] | None:
    if figure is None:
        return None
    return {
        "energy_j": figure.energy_j,
        "uncertainty_j": figure.uncertainty_j,
        "provenance": figure.provenance.value,
    }
