"""Why a host's energy is not fully measured, and the refusal if the user requires measurement."""

from __future__ import annotations

from ecoml.energy import Provenance
from ecoml.errors import MeterError
from ecoml.meter.base import Meter

_PARTS = ("dram", "psys", "core", "uncore")
"""Domains that only add to a processor's counter or contain it: alone they are not reported as missing."""


def what_is_unmeasured(meter: Meter) -> tuple[str, ...]:
    """One sentence, with the remedy, for each source that must be readable but is not; none if all energy is
    measured.
    """
    if meter.provenance.rank <= Provenance.SAMPLED.rank:
        return ()
    wanting = [source for source in meter.sources if not source.readable and source.domain != "gpu"]
    chief = [source for source in wanting if not source.domain.startswith(_PARTS)] or wanting
    chief.sort(key=lambda source: source.provenance is not Provenance.MISSING)  # what is there comes first
    return tuple(dict.fromkeys(f"{source.domain} cannot be read: {source.remedy}" for source in chief))


def refuse_unmeasured(meter: Meter) -> None:
    """Refuse a meter with an estimated or missing part.

    Raises:
        MeterError: A part is estimated or missing.
    """
    if meter.provenance.rank > Provenance.SAMPLED.rank:
        why = "; ".join(what_is_unmeasured(meter)) or "no counter was found"
        raise MeterError(
            f"measured energy is required, and here it would be {meter.provenance}: {why} (`ecoml meters` shows every"
            " source; without require_measured=True the search runs all the same)"
        )
