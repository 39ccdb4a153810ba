"""The energy account for people: the energy spent, its purposes, its sources, and its idle part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ecoml.carbon.footprint import Footprint
from ecoml.energy import J_PER_KWH, Energy, EnergyByDomain, Provenance, Purpose, SharedUse, energy_of
from ecoml.run.storage.snapshot import Snapshot
from ecoml.views import html_of

DRIVER = "driver"
"""Name of the host that makes the decisions, in accounts of several hosts."""

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class EnergyAccount:
    """The energy of a search.

    Attributes:
        budget_j: The budget in joules.
        total: All energy.
        by_purpose: Training, evaluation, optimiser, overhead. Their joules sum to the total's; their half-widths sum to
            more, because an error at an edge moves joules between two purposes.
        by_domain: By domain (`cpu`, `gpu:0`, … or `reported`); they also sum to the total.
        overshoot_bound_j: The largest joules that were spent between two checks of the budget.
        gaps: What could not be metered, one sentence each.
        thinking_cpu_s: CPU seconds of the optimiser if the training reports the energy: shown separately, not charged.
        idle: Energy that the metered domains would have drawn when idle; None if unknown.
        net: Energy in addition to `idle`.
        idle_note: Why `idle` is unknown.
        idle_second: Energy of one idle second by domain.
        shared: Other processes that used metered domains.
        unmeasured: Why the energy is not measured, one sentence with its remedy each.
        pretrained: Backbones of the trials; the energy of their pretraining is in no account.
        getting_ready_j: Part of the overhead: importing, loading the data, a device's context and libraries.
        doubt_j: Joules that lost hosts may have spent in addition.
        co2e: Its CO2e, as far as the grid's intensity was known.
        seconds: Seconds of metering; 0 if unknown.
    """

    budget_j: float
    total: Energy
    by_purpose: Mapping[Purpose, Energy]
    by_domain: Mapping[str, Energy]
    overshoot_bound_j: float
    gaps: tuple[str, ...] = ()
    thinking_cpu_s: float = 0.0
    idle: Energy | None = None
    net: Energy | None = None
    idle_note: str = ""
    idle_second: Mapping[str, Energy] = field(default_factory=dict)
    shared: tuple[SharedUse, ...] = ()
    unmeasured: tuple[str, ...] = ()
    pretrained: tuple[str, ...] = ()
    getting_ready_j: float = 0.0
    doubt_j: float = 0.0
    co2e: Footprint = field(default_factory=Footprint)
    seconds: float = 0.0

    @property
    def by_host(self) -> Mapping[str, Energy]:
        """By host, for a search on several; they sum to the total. `driver` is the host that makes the decisions."""
        hosts: dict[str, dict[str, Energy]] = {}
        for name, part in self.by_domain.items():
            host, _, domain = name.rpartition("/")
            hosts.setdefault(host or DRIVER, {})[domain] = part
        return {host: EnergyByDomain(parts).total for host, parts in sorted(hosts.items())}

    @property
    def total_j(self) -> float:
        """All joules."""
        return self.total.energy_j

    @property
    def total_kwh(self) -> float:
        """All energy, in kWh."""
        return self.total.energy_j / J_PER_KWH

    @property
    def provenance(self) -> Provenance:
        """Provenance of the total: that of its weakest part."""
        return self.total.provenance

    @property
    def left_j(self) -> float:
        """Joules left of the budget; 0.0 if it was exceeded."""
        return max(0.0, self.budget_j - self.total_j)

    def __repr__(self) -> str:
        return f"<EnergyAccount: {self.provenance}, total_j={self.total_j:.6g}, budget_j={self.budget_j:.6g}>"

    def _repr_html_(self) -> str:
        return html_of(self)

    def to_dict(self) -> dict[str, Any]:
        """The account as a JSON object."""
        return {
            "total_j": self.total.energy_j,
            "uncertainty_j": self.total.uncertainty_j,
            "total_kwh": self.total_kwh,
            "provenance": self.provenance.value,
            "budget_j": self.budget_j,
            "left_j": self.left_j,
            "overshoot_bound_j": self.overshoot_bound_j,
            "getting_ready_j": self.getting_ready_j,
            "by_purpose": _dicts(self.by_purpose),
            "by_domain": _dicts(self.by_domain),
            "by_host": _dicts(self.by_host),
            "doubt_j": self.doubt_j,
            "idle": None if self.idle is None else self.idle.to_dict(),
            "net_of_idle": None if self.net is None else self.net.to_dict(),
            "idle_note": self.idle_note,
            "idle_second": _dicts(self.idle_second),
            "shared_with": [asdict(other) for other in self.shared],
            "gaps": list(self.gaps),
            "unmeasured": list(self.unmeasured),
            "pretrained": list(self.pretrained),
            "optimiser_cpu_s_apart": self.thinking_cpu_s,
            "seconds": self.seconds,
            "co2e": None if self.co2e.provenance is None else self.co2e.to_dict(),
        }


def account_of(snapshot: Snapshot) -> EnergyAccount:
    """The account of a ledger's content."""
    kept = snapshot.settings
    entered = sum(snapshot.by_purpose.values(), EnergyByDomain()).domains
    domains = {name: _as_one_window(part, snapshot.host.get(name)) for name, part in entered.items()}
    total = EnergyByDomain(domains).total
    idle, net, note = _idle_and_net(snapshot, domains)
    return EnergyAccount(
        budget_j=kept["budget_j"],
        total=total,
        by_purpose={
            purpose: part.total if part.domains else replace(part.total, provenance=total.provenance)
            for purpose, part in snapshot.by_purpose.items()
        },
        by_domain=domains,
        overshoot_bound_j=kept.get("overshoot_bound_j", 0.0),
        gaps=snapshot.gaps,
        thinking_cpu_s=kept.get("thinking_cpu_s", 0.0),
        idle=idle,
        net=net,
        idle_note=note,
        idle_second=snapshot.idle,
        shared=snapshot.shared,
        unmeasured=tuple(kept.get("unmeasured", ())),
        getting_ready_j=kept.get("got_ready_j", 0.0),
        doubt_j=kept.get("doubt_j", 0.0),
        co2e=replace(
            snapshot.co2e,
            grid=kept.get("grid") or "",
            budget_g=kept.get("budget_g"),
            paused_s=kept.get("paused_s", 0.0),
            paused_j=kept.get("paused_j", 0.0),
        ),
        seconds=max(snapshot.seconds.values(), default=0.0),
    )


def net_of_idle(gross: Energy, idle: Energy) -> Energy:
    """Energy in addition to idling. Both come from one source, whose own error is therefore the same share of both."""
    common_j = max(0.0, gross.common_j - idle.common_j)
    edge_j = gross.edge_j + idle.edge_j
    net_j = max(0.0, gross.energy_j - idle.energy_j)
    return energy_of(net_j, common_j + edge_j, gross.provenance, edge_j)


def idle_of(gross: Energy, second: Energy, seconds: float) -> Energy:
    """Energy of idle seconds, never more than what was spent in them."""
    idle = second.times(seconds)
    return replace(idle, energy_j=min(idle.energy_j, gross.energy_j))


def _as_one_window(entered: Energy, host: Energy | None) -> Energy:
    """The entries of a domain with the uncertainty of the windows they were cut from, if known."""
    if host is None or abs(host.energy_j - entered.energy_j) > _ROUNDING * (entered.energy_j + 1e-3):
        return entered
    # A share of what a counter saw is attributed; all the shares together are what it saw.
    whole = host.provenance if entered.provenance is Provenance.ATTRIBUTED else entered.provenance
    return energy_of(entered.energy_j, host.uncertainty_j, whole, host.edge_j)


def _idle_and_net(snapshot: Snapshot, domains: Mapping[str, Energy]) -> tuple[Energy | None, Energy | None, str]:
    """Idle energy, the energy in addition to it, and why they are unknown."""
    if snapshot.reported:
        return None, None, "the training reported its own energy, and nothing was metered"
    counted = {name: part for name, part in domains.items() if part.provenance is not Provenance.MISSING}
    if not counted:
        return None, None, "nothing was metered"
    unknown = sorted(counted.keys() - snapshot.idle.keys())
    if unknown:
        return None, None, snapshot.settings.get("idle_note") or f"idle power of {', '.join(unknown)} is not known"
    if any(name not in snapshot.seconds for name in counted):
        return None, None, "the duration of this run was not stored"
    idle = {name: idle_of(part, snapshot.idle[name], snapshot.seconds[name]) for name, part in counted.items()}
    net = {name: net_of_idle(part, idle[name]) for name, part in counted.items()}
    return EnergyByDomain(idle).total, EnergyByDomain(net).total, ""


def _dicts(energies: Mapping[Any, Energy]) -> dict[str, Any]:
    return {str(name): energy.to_dict() for name, energy in energies.items()}
