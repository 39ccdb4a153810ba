"""A Prometheus server as a source of energy: Kepler, Scaphandre, a smart plug, a rack's power distribution.

A thread queries the current value twice per scrape; the meter reads the last answer.

    gauge, W      power = Σ of all series                            integrated, each value held for a scrape
    counter, J    energy = Σ over series of (value − value at first) interpolated between scrapes

If a series of a counter falls, it was restarted; if the set of series changes, it was relabelled. `repair/counter.py`
treats both as resets: the energy between the two scrapes is reported as uncertain and never guessed. A query without
series, a time-out, an error or a value that is not a number leaves the domain `missing` until an answer arrives.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from ecoml.energy import Provenance
from ecoml.errors import MeterError
from ecoml.meter.base import Source
from ecoml.meter.counters.remote.query import PrometheusQuery, seconds_of
from ecoml.meter.repair.counter import Counter, PowerIntegral
from ecoml.meter.repair.gauge import FoundGauges
from ecoml.meter.repair.polled import Polled
from ecoml.meter.repair.sensor import Sensor
from ecoml.outside.fetch import Fetch, fetch_json

GAIN = 0.05
"""Half-width of the source's own error, as a share. This is an assumption; plugs state 1 to 2 %."""
MODEL_GAIN = 1.0
"""The same for a model, such as Kepler's in a virtual machine: a factor of two."""
HIGHEST_W = 150_000.0
"""More than any metered thing draws: a rack."""
ASSUMED_STEP_S = 60.0
"""Time between two scrapes if neither the user nor the server says it: the default of Prometheus."""
STEP = 1e-3
"""Smallest step of a counter in its unit. This is an assumption, since a server passes on numbers of any length."""
PATIENCE_S = 5.0

_AUTHORIZATION = "ECOML_PROMETHEUS_AUTHORIZATION"


class Scrape:
    """The current value of a query.

    Args:
        query: The query.
        fetch: Sends a request to a server.
    """

    def __init__(self, query: PrometheusQuery, fetch: Fetch) -> None:
        self._query = query
        self._fetch = fetch
        self._first: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def __call__(self) -> float:
        """W of a gauge; J of a counter since the first query, or since it was restarted or relabelled.

        Raises:
            OSError: The server does not answer, or answers with an error.
            ValueError: The answer is not a number, or has no series.
        """
        values = self._values()
        if self._query.is_power:
            power_w = self._query.scale * math.fsum(values.values())
            if not 0.0 <= power_w <= HIGHEST_W:  # a plug that also meters what comes back; a sensor's sentinel
                raise ValueError(f"the query gives {power_w:.6g} W, which no machine draws")
            return power_w
        before, self._last = self._last, values
        if values.keys() != before.keys() or any(values[key] < before[key] for key in values):
            self._first = values
        return self._query.scale * math.fsum(values[key] - self._first[key] for key in values)

    def step_s(self) -> float:
        """Time between two scrapes: as given, else the longest of all targets of the server."""
        if self._query.step_s is not None:
            return self._query.step_s
        try:
            targets = self._ask("targets", {"state": "active"})["activeTargets"]
            return max(seconds_of(target["scrapeInterval"]) or ASSUMED_STEP_S for target in targets)
        except (OSError, ValueError, KeyError, TypeError):
            return ASSUMED_STEP_S

    def _values(self) -> dict[str, float]:
        data = self._ask("query", {"query": self._query.query})
        try:
            kind, result = data["resultType"], data["result"]
            if kind == "scalar":
                result = [{"metric": {}, "value": result}]
            elif kind != "vector":
                raise ValueError(f"the query gives a {kind}; ask for a value at one instant")
            values = {repr(sorted(one["metric"].items())): float(one["value"][1]) for one in result}
        except (LookupError, TypeError, AttributeError):  # a histogram, or something that only looks like Prometheus
            raise ValueError("the answer holds no plain numbers") from None
        if not values:
            raise ValueError("the query gives no series at present")
        if not all(math.isfinite(value) for value in values.values()):
            raise ValueError("the query returns something that is not a number")
        return values

    def _ask(self, what: str, parameters: Mapping[str, str]) -> Any:
        address = f"{self._query.url}/api/v1/{what}?{urlencode(parameters, quote_via=quote)}"
        told = os.environ.get(_AUTHORIZATION)
        answer = self._fetch(address, {"Authorization": told} if told else {})
        if not isinstance(answer, dict) or answer.get("status") != "success":
            raise ValueError("the answer does not come from a Prometheus server")
        return answer.get("data")


def open_prometheus(query: PrometheusQuery, clock: Callable[[], float] | None, fetch: Fetch | None) -> FoundGauges:
    """The gauge of a query.

    Args:
        query: The query.
        clock: A simulated clock; None: the host's own.
        fetch: Sends a request to a server; None: over HTTP.

    Raises:
        MeterError: The server does not answer, or has no value for the query.
    """
    scrape = Scrape(query, fetch or (lambda address, headers: fetch_json(address, headers, timeout_s=PATIENCE_S)))
    try:
        scrape()
        step_s = scrape.step_s()
        every_s = min(15.0, max(0.1, step_s / 2))
        polled = Polled(scrape, every_s, patience_s=PATIENCE_S, clock=clock)
    except (OSError, ValueError, KeyError) as error:
        raise MeterError(f"--meter prometheus: {query.url} gives nothing for {query.query!r}: {error}") from None
    poll_s = min(every_s, 1.0)
    gain = MODEL_GAIN if query.provenance is Provenance.ESTIMATED else GAIN
    if query.is_power:
        provenance = max(query.provenance, Provenance.SAMPLED, key=lambda worth: worth.rank)
        power = PowerIntegral(query.domain, 0.0, HIGHEST_W, step_s + every_s)
        gauge = Sensor(query.domain, provenance, gain, poll_s, power, polled, polled.close)
    else:
        provenance = query.provenance
        step = STEP * query.scale
        counter = Counter(query.domain, step_s, 2 * step_s + every_s, HIGHEST_W, resolution_j=step, interpolated=True)
        gauge = Sensor(query.domain, provenance, gain, poll_s, counter, polled, polled.close)
    kind = "power" if query.is_power else "energy"
    covers = f"{query.query} at {query.url}: {kind}, in {query.unit}, scraped every {step_s:g} s"
    source = Source("Prometheus", query.domain, provenance, True, True, covers, lag_s=step_s + every_s)
    return FoundGauges([gauge], [source], {})
