"""The sources that the user selects with `--meter` and `--powercap-root`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from ecoml.errors import UsageError
from ecoml.meter.base import Meter
from ecoml.meter.counters.remote.query import PREFIX, PrometheusQuery
from ecoml.meter.found import contains

_POWERCAP = "powercap:"


@dataclass(frozen=True, slots=True)
class SourceChoice:
    """The selected sources.

    Attributes:
        node: Whether to count the meter of the entire machine.
        powercap: The folder to use as `sys/class/powercap`; None: that one.
        queries: Queries of Prometheus servers, each the source of one domain.
    """

    node: bool = False
    powercap: Path | None = None
    queries: tuple[PrometheusQuery, ...] = ()

    @classmethod
    def of(cls, given: Sequence[str]) -> SourceChoice:
        """The selection of a list of `node`, `powercap:DIR` and `prometheus:URL?query=…`.

        Raises:
            UsageError: An entry cannot be understood, or two entries conflict.
        """
        queries = tuple(PrometheusQuery.of(one) for one in given if one.startswith(PREFIX))
        folders = [Path(one.removeprefix(_POWERCAP)) for one in given if one.startswith(_POWERCAP)]
        others = [one for one in given if not one.startswith((PREFIX, _POWERCAP))]
        domains = [query.domain for query in queries] + ["node"] * others.count("node")
        for one in others:
            if one != "node":
                raise UsageError(f"--meter {one}: unknown; give node, powercap:DIR or prometheus:URL?query=…")
        for whole, part in permutations(domains, 2):
            if contains(whole, part):
                raise UsageError(f"--meter: {whole} contains {part}, so only one of them can be counted")
        if len(set(domains)) < len(domains):
            raise UsageError("--meter: two sources for one domain; give one, or add &domain= to either")
        if len(folders) > 1 or any(not folder.is_dir() for folder in folders):
            named = ", ".join(map(str, folders))
            raise UsageError(f"--powercap-root {named}: give one folder that holds zones such as intel-rapl:0")
        return cls("node" in others, folders[0] if folders else None, queries)


def meter_or_sources(given: Meter | str | Sequence[str] | None) -> tuple[Meter | None, tuple[str, ...]]:
    """The user's own meter if one is given, and the description of this host's sources.

    Raises:
        UsageError: It is neither a meter nor a description.
    """
    if given is None or isinstance(given, str):
        return None, (given,) if given else ()
    described = isinstance(given, Sequence) and all(isinstance(one, str) for one in given)
    if not described and (isinstance(given, type) or not hasattr(given, "window")):
        raise UsageError(
            f"meter is {given!r:.60}; give a meter, as in ecoml.open_meter(), or sources of this host: node,"
            " powercap:DIR or prometheus:URL?query=…"
        )
    return (None, tuple(given)) if isinstance(given, Sequence) else (given, ())
