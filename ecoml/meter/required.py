"""What keeps a host's energy from being measured, and the refusal where that was asked for."""

from __future__ import annotations

from ecoml.energy import Provenance
from ecoml.errors import MeterError
from ecoml.meter.base import Meter

_PARTS = ("dram", "psys", "core", "uncore")
"""What adds to a processor's counter or contains it: alone it is not what is wanting."""


def what_is_unmeasured(meter: Meter) -> tuple[str, ...]:
    """One sentence, with the remedy, for each source that would have to be readable; none if all is measured."""
    if meter.provenance.rank <= Provenance.SAMPLED.rank:
        return ()
    wanting = [source for source in meter.sources if not source.readable and source.domain != "gpu"]
    chief = [source for source in wanting if not source.domain.startswith(_PARTS)] or wanting
    chief.sort(key=lambda source: source.provenance is not Provenance.MISSING)  # what is there comes first
    return tuple(dict.fromkeys(f"{source.domain} cannot be read: {source.remedy}" for source in chief))


def refuse_unmeasured(meter: Meter) -> None:
    """Refuse a meter any part of which is a model's, or missing.

    Raises:
        MeterError: So it is.
    """
    if meter.provenance.rank > Provenance.SAMPLED.rank:
        why = "; ".join(what_is_unmeasured(meter)) or "no counter was found"
        raise MeterError(
            f"a measured energy is required, and here it would be {meter.provenance}: {why} (`ecoml meters` shows every"
            " source; without require_measured=True it goes on with what there is)"
        )
