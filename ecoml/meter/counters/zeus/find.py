"""Finds devices through `zeus.device`: AMD's GPUs, Apple's and NVIDIA's systems on a chip.

Zeus is imported only if such hardware is present: the import takes half a second, and AMD's GPUs half a second more.
Zeus' `get_gpus` returns NVIDIA's GPUs instead of AMD's. ecoml reads NVIDIA's itself, so on a host with both, AMD's are
not read.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from ecoml.energy import Provenance
from ecoml.meter.base import Source
from ecoml.meter.counters.zeus.amd import add_amd
from ecoml.meter.counters.zeus.soc import add_soc
from ecoml.meter.repair.gauge import FoundGauges

_INSTALL = "`pip install 'ecoml[zeus]'`"
_LEAST_MEMORY_B = 4 * 2**30  # a GPU with less of its own is part of a processor, whose counter has it
_JETSON = ("etc/nv_tegra_release", "usr/lib/aarch64-linux-gnu/tegra")


def find_zeus(
    root: Path,
    zeus: Any | None,
    now_s: float,
    clock: Callable[[], float] | None,
    gpus: Collection[int] | None = None,
) -> FoundGauges:
    """The devices that Zeus can read and ecoml cannot.

    Args:
        root: Root of the file system.
        zeus: Replacement for `zeus.device`; None: that module, if there is hardware for it.
        now_s: The time now, on the meter's clock.
        clock: A simulated clock; None: the host's own.
        gpus: Zeus' numbers of the metered GPUs, which are also PyTorch's; None: all.
    """
    found = FoundGauges([], [], {})
    cards = _amd_cards(root)
    on_chip = sys.platform == "darwin" or any((root / mark).exists() for mark in _JETSON)
    if zeus is None:
        if not cards and not on_chip:
            return found
        try:
            logging.getLogger("zeus").addHandler(logging.NullHandler())  # what it would say stands in the sources
            zeus = importlib.import_module("zeus.device")
        except Exception as error:
            missing = isinstance(error, ImportError)
            _unread(found, cards, f"Zeus is not installed: {_INSTALL}" if missing else f"Zeus does not start: {error}")
            return found
    try:
        devices = zeus.get_gpus()
    except Exception as error:
        _unread(found, cards, f"Zeus finds no GPU ({' '.join(str(error).split())[:120]}): check whether `amd-smi` does")
    else:
        if "NVIDIA" not in type(devices).__name__:
            add_amd(found, devices, now_s, gpus)
        else:
            _unread(found, cards, "Zeus reads no AMD GPU beside an NVIDIA GPU")
    try:
        chip = zeus.get_soc()
    except Exception:  # there is none on most hosts
        return found
    add_soc(found, chip, now_s, clock)
    return found


def _unread(found: FoundGauges, cards: int, why: str) -> None:
    for number in range(cards):
        domain = f"gpu:{number}"
        found.unseen[domain] = f"{domain} cannot be read: {why}"
        found.sources.append(Source("Zeus", domain, Provenance.MISSING, False, False, "AMD GPU", why))


def _amd_cards(root: Path) -> int:
    """Number of AMD GPUs with their own memory."""
    count = 0
    for card in (root / "sys/class/drm").glob("card*/device"):
        try:
            amd = (card / "vendor").read_text(encoding="ascii").strip() == "0x1002"
            count += amd and int((card / "mem_info_vram_total").read_text(encoding="ascii")) >= _LEAST_MEMORY_B
        except (OSError, ValueError):
            continue
    return count
