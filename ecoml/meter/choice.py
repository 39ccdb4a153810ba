"""Which sources a meter was told to use: what `--meter` and `--powercap-root` say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ecoml.errors import UsageError
from ecoml.meter.base import Meter
from ecoml.meter.counters.remote.query import PREFIX, PrometheusQuery

_POWERCAP = "powercap:"


@dataclass(frozen=True, slots=True)
class Choice:
    """What was said of sources.

    Attributes:
        node: Whether the whole machine's meter is to be counted.
        powercap: The folder that stands for `sys/class/powercap`; None: that one.
        queries: Queries of Prometheus servers, each the source of its domain.
    """

    node: bool = False
    powercap: Path | None = None
    queries: tuple[PrometheusQuery, ...] = ()

    @classmethod
    def of(cls, given: Sequence[str]) -> Choice:
        """From `node`, `powercap:DIR` and `prometheus:URL?query=…`, any of them.

        Raises:
            UsageError: One cannot be understood, or two say the same.
        """
        queries = tuple(PrometheusQuery.of(one) for one in given if one.startswith(PREFIX))
        folders = [Path(one.removeprefix(_POWERCAP)) for one in given if one.startswith(_POWERCAP)]
        others = [one for one in given if not one.startswith((PREFIX, _POWERCAP))]
        domains = [query.domain for query in queries] + ["node"] * others.count("node")
        for one in others:
            if one != "node":
                raise UsageError(f"--meter {one}: unknown; give node, powercap:DIR or prometheus:URL?query=…")
        if "node" in domains and len(domains) > 1:
            raise UsageError("--meter: node contains all other domains, so nothing can be metered beside it")
        if len(set(domains)) < len(domains):
            raise UsageError("--meter: two sources of one domain; give one, or say &domain= of either")
        if len(folders) > 1 or any(not folder.is_dir() for folder in folders):
            named = ", ".join(map(str, folders))
            raise UsageError(f"--powercap-root {named}: give one folder that holds zones such as intel-rapl:0")
        return cls("node" in others, folders[0] if folders else None, queries)


def meter_or_sources(given: Meter | str | Sequence[str] | None) -> tuple[Meter | None, tuple[str, ...]]:
    """A meter of the caller's own, and what is said of this host's sources."""
    if given is None or isinstance(given, str):
        return None, (given,) if given else ()
    return (None, tuple(given)) if isinstance(given, Sequence) else (given, ())
