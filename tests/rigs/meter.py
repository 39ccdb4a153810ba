"""A meter that shows what a test has spent."""

from __future__ import annotations

import time
from typing import Self

from ecoml.energy import Energy, EnergyByDomain, Provenance
from ecoml.meter.base import REAL_TIME, DeviceState, Source, Timing


class FakeWindow:
    """A window of `FakeMeter`."""

    def __init__(self, meter: FakeMeter) -> None:
        self._meter = meter
        self._opened_j = self._lap_j = meter.spent_j

    def __enter__(self) -> Self:
        self._opened_j = self._lap_j = self._meter.spent_j
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def lap(self) -> EnergyByDomain:
        now_j = self._meter.now_j()
        lap_j, self._lap_j = now_j - self._lap_j, now_j
        return EnergyByDomain({"cpu:0": Energy(lap_j, 0.0, self._meter.provenance)})

    @property
    def energy_j(self) -> float:
        return self._meter.now_j() - self._opened_j

    @property
    def by_domain(self) -> dict[str, float]:
        return {"cpu:0": self.energy_j}

    @property
    def uncertainty_j(self) -> float:
        return 0.0

    @property
    def provenance(self) -> Provenance:
        return self._meter.provenance

    @property
    def gaps(self) -> tuple[str, ...]:
        return ()


class FakeMeter:
    """A meter that shows what a test has spent, plus `power_w` times the time that passes.

    Args:
        provenance: Of its joules.
        power_w: See above.
        spends_w: The power at which a test spends; its clock then shows how long that takes. None: it takes no time.
    """

    sources: tuple[Source, ...] = ()

    def __init__(
        self, provenance: Provenance = Provenance.MEASURED, power_w: float = 0.0, spends_w: float | None = None
    ) -> None:
        self.provenance = provenance
        self.spent_j = 0.0
        self.pace = REAL_TIME if spends_w is None else Timing(lambda: self.spent_j / spends_w, None)
        self._power_w = power_w
        self._since = time.monotonic()

    def spend(self, energy_j: float) -> None:
        self.spent_j += energy_j

    def now_j(self) -> float:
        return self.spent_j + self._power_w * (time.monotonic() - self._since)

    def read(self) -> dict[str, float]:
        return {"cpu:0": self.now_j()}

    def power_w(self) -> dict[str, float]:
        return {"cpu:0": self._power_w}

    def observe(self) -> dict[str, DeviceState]:
        return {}

    @property
    def neighbours(self) -> tuple[int, ...]:
        return ()

    def window(self) -> FakeWindow:
        return FakeWindow(self)

    def close(self) -> None:
        pass
