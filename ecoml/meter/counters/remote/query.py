"""The argument `--meter prometheus:URL?query=…`: the server, the query, its unit, and the domain it covers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from ecoml.energy import J_PER_KWH, Provenance
from ecoml.errors import UsageError, did_you_mean
from ecoml.meter.counters.node import NODE

PREFIX = "prometheus:"

UNITS = {
    "joules": 1.0,
    "millijoules": 1e-3,
    "microjoules": 1e-6,
    "wh": J_PER_KWH / 1000,
    "kwh": J_PER_KWH,
    "watts": 1.0,
    "milliwatts": 1e-3,
    "microwatts": 1e-6,
    "kilowatts": 1e3,
}
"""Joules, or watts, per unit."""

_KEYS = ("unit", "domain", "step", "provenance")
_DOMAIN = re.compile(r"node|psys|cpu|(cpu|dram|gpu|module):\d+")
"""Domains with a known relation to others; for any other domain it is unknown what it must not be added to."""
_SPLIT = re.compile(rf"&(?=(?:{'|'.join(_KEYS)})=)")
_NAMED = re.compile(rf"_({'|'.join(UNITS)})(?:_total)?(?![a-z_])")
_CHANGED = re.compile(r"[/*]|\b(?:i?rate|i?delta|deriv|increase)\s*\(")
_WORTH = (Provenance.MEASURED, Provenance.SAMPLED, Provenance.ESTIMATED)
_EXAMPLE = "--meter 'prometheus:http://localhost:9090?query=kepler_node_cpu_joules_total'"


@dataclass(frozen=True, slots=True)
class PrometheusQuery:
    """A counter of energy or a gauge of power in a Prometheus server.

    Attributes:
        url: The server.
        query: The expression, in PromQL.
        unit: A key of `UNITS`.
        domain: The domain it covers.
        step_s: Time between two scrapes; None: as the server says.
        provenance: Provenance of the figure at its source, as the user states it.
    """

    url: str
    query: str
    unit: str
    domain: str = NODE
    step_s: float | None = None
    provenance: Provenance = Provenance.SAMPLED

    @property
    def is_power(self) -> bool:
        """Whether it is a gauge of power and not a counter."""
        return self.unit.endswith("watts")

    @property
    def scale(self) -> float:
        """Joules, or watts, per unit."""
        return UNITS[self.unit]

    @classmethod
    def of(cls, spec: str) -> PrometheusQuery:
        """The query of a command-line argument.

        Raises:
            UsageError: It cannot be understood.
        """
        address, _, rest = spec.removeprefix(PREFIX).partition("?")
        try:
            parts = urlsplit(address)
        except ValueError as error:  # [::1 without its end
            raise UsageError(f"--meter {spec}: {error}; give {_EXAMPLE}") from None
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise UsageError(f"--meter {spec}: there is no server in it; give {_EXAMPLE}")
        if "@" in parts.netloc:
            raise UsageError(
                f"--meter prometheus: {parts.hostname} is given with a password, which run.toml would keep; put the"
                " value of the Authorization header into ECOML_PROMETHEUS_AUTHORIZATION instead"
            )
        given = dict(part.partition("=")[::2] for part in _SPLIT.split(rest) if part)
        query = unquote(given.pop("query", ""))
        for key in given:
            if key not in _KEYS:
                raise UsageError(f"--meter {spec}: unknown {key!r}; {did_you_mean(key, ('query', *_KEYS))}")
        if not query:
            raise UsageError(f"--meter {spec}: there is no query in it; give {_EXAMPLE}")
        return cls(
            address.rstrip("/"),
            query,
            _unit(given.get("unit"), query),
            _domain(given.get("domain") or NODE),
            _seconds(given["step"]) if "step" in given else None,
            _worth(given.get("provenance", "sampled")),
        )


def seconds_of(duration: str) -> float | None:
    """A duration as Prometheus writes it (`1m0s`, `250ms`), in seconds; None if it is not a duration."""
    parts = re.findall(r"([\d.]+)(ms|s|m|h|d)", duration)
    if not parts or "".join(f"{n}{unit}" for n, unit in parts) != duration:
        return None
    return sum(float(n) * {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}[unit] for n, unit in parts)


def _seconds(step: str) -> float:
    try:
        step_s = seconds_of(step) or float(step)
    except ValueError:
        step_s = 0.0
    if not 0.01 <= step_s <= 3600:
        raise UsageError(f"--meter prometheus: the step is {step!r}; give the time between two scrapes, such as 15s")
    return step_s


def _unit(given: str | None, query: str) -> str:
    if given is not None:
        if given.lower() not in UNITS:
            raise UsageError(f"--meter prometheus: unknown unit {given!r}; {did_you_mean(given.lower(), UNITS)}")
        return given.lower()
    named = {name for name in _NAMED.findall(query) if not _CHANGED.search(query)}
    if len(named) != 1:
        raise UsageError(
            f"--meter prometheus: the unit of {query!r} is not clear; add &unit=joules (a counter)"
            " or &unit=watts (a gauge)"
        )
    return str(named.pop())


def _domain(given: str) -> str:
    if _DOMAIN.fullmatch(given) is None:
        raise UsageError(
            f"--meter prometheus: unknown domain {given!r}; state what the figure covers: node (the machine, or more),"
            " psys, cpu (all processors), cpu:0, dram:0, gpu:0 or module:0"
        )
    return given


def _worth(given: str) -> Provenance:
    if given not in _WORTH:
        raise UsageError(
            f"--meter prometheus: the provenance is {given!r}; say what the figure is at its source: measured (a"
            " hardware counter), sampled or estimated (a model)"
        )
    return Provenance(given)
