"""AMD's GPUs through Zeus: the energy counter of each, or its sampled power if Zeus does not trust the counter.

Known faults and their treatment:

- In firmware, the counter of many boards has 32 bits of 2⁻¹⁶ J (`EnergyAccumulator` of the SMU's metrics); the driver
  passes it on in 64 bits. It wraps at 65,536 J, within minutes. Zeus takes differences as they are; ecoml corrects the
  wrap.
- Zeus compares each counter with its board's power for half a second, and refuses one that is off by a factor of ten or
  more (ROCm/amdsmi#38). ecoml then samples the power.
- An MI250 has two dies, which are two GPUs to ROCm and PyTorch. One shows the power of the card, the other 0 W
  (codecarbon#1097). The card is one domain, named by the die that shows the power.
- A GPU that shows 0 W and counts nothing is refused: a running GPU draws power.
- The figure of an MI300A is that of its socket, processor cores included.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from ecoml.energy import Provenance
from ecoml.meter.base import DeviceState, Hardware, Source
from ecoml.meter.counters.device import MODULE
from ecoml.meter.repair.counter import Counter, PowerIntegral
from ecoml.meter.repair.gauge import FoundGauges, Gauge
from ecoml.meter.repair.sensor import Sensor

PERIOD_S = 0.01
LONGEST_PERIOD_S = 0.5
MODULUS_J = 2.0**32 * 2.0**-16
STEP_J = 1e-3
"""Zeus returns whole mJ."""
AVERAGED_S = 1.0
"""Firmware averages `average_socket_power`; the time is not documented."""
SAMPLE_S = 0.1
GAIN = 0.05
MAX_POWER_W = 3000.0
LIMIT_MARGIN = 1.25

_NAME = "Zeus (amdsmi)"


def add_amd(found: FoundGauges, devices: Any, now_s: float, gpus: Collection[int] | None) -> None:
    """Add each of Zeus' GPUs to the sources found; `gpus`: the GPUs to use, None for all."""
    cards = [_Card(devices, number) for number in range(len(devices.gpus))]
    wanted = set(range(len(cards)) if gpus is None else gpus)
    teller = {card.hip_index: card.number for card in cards if card.is_dual and not card.is_second}
    for card in cards:
        first = teller.get(card.hip_index - 1)
        if card.is_second and card.number in wanted and first is not None:
            wanted.add(first)
    for card in cards:
        domain = f"{MODULE if card.is_apu else 'gpu'}:{card.number}"
        if card.is_second:
            first = teller.get(card.hip_index - 1)
            why = (
                f"the second die of a card; gpu:{first} shows the power of both"
                if first is not None
                else "the second die of a card shows no power: let the process see the first too (HIP_VISIBLE_DEVICES)"
            )
            _unread(found, domain, card.name, why, missed=first is None and card.number in wanted)
        elif card.number not in wanted:
            why = "not counted, as it is not used by this search"
            found.sources.append(Source(_NAME, domain, Provenance.MEASURED, True, False, card.name, why))
        else:
            _add(found, card, domain, now_s)


def _add(found: FoundGauges, card: _Card, domain: str, now_s: float) -> None:
    try:
        gauge = _gauge(card, domain, now_s)
    except Exception as error:
        why = f"neither energy nor power is shown ({' '.join(str(error).split())[:120] or type(error).__name__})"
        _unread(found, domain, card.name, why, missed=True)
        return
    counter = gauge.provenance is Provenance.MEASURED
    whole = "both dies of the card" if card.is_dual else "socket, processor cores included" if card.is_apu else "board"
    sampled = "" if counter else f"; Zeus does not trust its counter, so its power is sampled every {SAMPLE_S:g} s"
    hardware = Hardware(card.name, limit_w=card.limit_w)
    found.gauges.append(gauge)
    found.devices[domain] = lambda: DeviceState(temperature_c=card.temperature_c())
    found.sources.append(
        Source(_NAME, domain, gauge.provenance, True, True, f"{card.name}, {whole}{sampled}", hardware=hardware)
    )


def _unread(found: FoundGauges, domain: str, name: str, why: str, *, missed: bool) -> None:
    if missed:
        found.unseen[domain] = f"{domain} cannot be read: {why}"
    found.sources.append(Source(_NAME, domain, Provenance.MISSING, False, False, name, why))


def _gauge(card: _Card, domain: str, now_s: float) -> Gauge:
    """The best gauge of a card; raises Zeus' error if there is none."""
    limit_w = min(MAX_POWER_W, LIMIT_MARGIN * card.limit_w) if card.limit_w else None
    if card.counts():
        counter = Counter(
            domain, PERIOD_S, LONGEST_PERIOD_S, MAX_POWER_W, MODULUS_J, limit_w, STEP_J, interpolated=True
        )
        counter.advance(card.energy_j(), now_s, card.power_w)
        poll_s = MODULUS_J / MAX_POWER_W / 4
        return Sensor(domain, Provenance.MEASURED, GAIN, poll_s, counter, card.energy_j, power_w=lambda: card.power_w)
    power = PowerIntegral(domain, AVERAGED_S, MAX_POWER_W)
    power.advance(card.drawn_w(), now_s)
    return Sensor(domain, Provenance.SAMPLED, GAIN, SAMPLE_S, power, card.drawn_w)


class _Card:
    """One of Zeus' GPUs.

    Attributes:
        number: Zeus' number of it, which is also PyTorch's.
        hip_index: The host's number of it, independent of the GPUs this process may see.
        name: The maker's name.
        is_dual: Whether it is one of a card's two dies.
        is_second: Whether it is the die that shows no power.
        is_apu: Whether its figure includes a processor.
        limit_w: Its power limit; None if unknown.
        power_w: The power when the energy was last read; NaN if unknown.
    """

    def __init__(self, devices: Any, number: int) -> None:
        self._devices = devices
        self.number = number
        self.hip_index = int(getattr(devices.gpus[number], "gpu_index", number))
        self.name = str(self._ask("get_name") or "AMD GPU")
        self.is_dual = "MI250" in self.name
        self.is_second = self.is_dual and self.hip_index % 2 == 1
        self.is_apu = "MI300A" in self.name
        limit_mw = self._ask("get_power_management_limit")
        self.limit_w = limit_mw * 1e-3 if limit_mw else None
        self.power_w = math.nan

    def counts(self) -> bool:
        """Whether Zeus trusts its counter."""
        return bool(self._ask("supports_get_total_energy_consumption"))

    def energy_j(self) -> float:
        """The counter; raises Zeus' errors."""
        energy_mj = self._devices.get_total_energy_consumption(self.number)
        power_mw = self._power_mw()
        self.power_w = power_mw * 1e-3 if power_mw else math.nan
        return float(energy_mj) * 1e-3

    def drawn_w(self) -> float:
        """The power; raises ValueError if there is none, or 0 W."""
        power_mw = self._power_mw()
        if not power_mw:
            raise ValueError("it reads 0 W" if power_mw == 0 else "it tells no power")
        return power_mw * 1e-3

    def temperature_c(self) -> float | None:
        """Its temperature; None if unknown."""
        found = self._ask("get_gpu_temperature")
        return None if found is None else float(found)

    def _power_mw(self) -> float | None:
        average_mw = self._ask("get_average_power_usage")
        power_mw = self._ask("get_instant_power_usage") if average_mw is None else average_mw
        return None if power_mw is None else float(power_mw)

    def _ask(self, function: str) -> Any:
        """Zeus' answer to a query that is not essential; None if it has none."""
        try:
            return getattr(self._devices, function)(self.number)
        except Exception:
            return None
