"""Converts CUDA's numbers of GPUs to NVML's, by which domains are named."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from ecoml.errors import MeterError
from ecoml.meter.base import Meter
from ecoml.meter.counters.device import MODULE, ask, is_kept_open, start_nvml, text


@dataclass(frozen=True, slots=True)
class VisibleGpus:
    """The GPUs that CUDA_VISIBLE_DEVICES allows this process to use.

    Attributes:
        count: Number of all GPUs that NVML knows.
        indices: NVML's index of each allowed GPU, in the order of the setting; a UUID unknown to NVML stays as text.
        in_order: Whether CUDA is certain to number them in this order.
    """

    count: int
    indices: tuple[int | str, ...]
    in_order: bool


_known: dict[tuple[int, str | None, str | None], VisibleGpus] = {}
"""Results by process and settings, for the host's own NVML, whose boards do not change."""


def visible_gpus(nvml: Any) -> VisibleGpus:
    """The GPUs that a started NVML shows to this process."""
    setting, order = os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("CUDA_DEVICE_ORDER")
    if not is_kept_open(nvml):
        return _visible(nvml, setting, order)
    key = os.getpid(), setting, order
    if key not in _known:
        _known[key] = _visible(nvml, setting, order)
    return _known[key]


def _visible(nvml: Any, setting: str | None, order: str | None) -> VisibleGpus:
    count = int(ask(nvml, "nvmlDeviceGetCount") or 0)
    handles = [ask(nvml, "nvmlDeviceGetHandleByIndex", index) for index in range(count)]
    by_uuid = setting is not None and setting.strip().startswith(("GPU-", "MIG-"))
    alike = len({text(ask(nvml, "nvmlDeviceGetName", handle)) for handle in handles if handle is not None}) <= 1
    indices = tuple(range(count)) if setting is None else _left_by(nvml, handles, setting)
    return VisibleGpus(count, indices, by_uuid or alike or order == "PCI_BUS_ID")


def _left_by(nvml: Any, handles: Sequence[Any], setting: str) -> tuple[int | str, ...]:
    """The allowed entries; as in CUDA, the list ends at the first entry that is neither a GPU's index nor a UUID."""
    left: list[int | str] = []
    for entry in (part.strip() for part in setting.split(",")):
        if entry.isdigit() and int(entry) < len(handles):
            left.append(int(entry))
        elif entry.startswith(("GPU-", "MIG-")):
            index = _index_of(nvml, handles, entry)
            left.append(entry if index is None else index)
        else:
            break
    return tuple(dict.fromkeys(left))


def _index_of(nvml: Any, handles: Sequence[Any], uuid: str) -> int | None:
    """The board whose UUID starts like this, or that holds the MIG slice of this UUID."""
    board = uuid.removeprefix("MIG-").split("/")[0]
    for index, handle in enumerate(handles):
        if handle is not None and text(ask(nvml, "nvmlDeviceGetUUID", handle)).startswith(board):
            return index
    slice_ = ask(nvml, "nvmlDeviceGetHandleByUUID", uuid.encode()) if uuid.startswith("MIG-") else None
    parent = None if slice_ is None else ask(nvml, "nvmlDeviceGetDeviceHandleFromMigDeviceHandle", slice_)
    found = None if parent is None else ask(nvml, "nvmlDeviceGetIndex", parent)
    return found if isinstance(found, int) else None


def nvml_indices(ordinals: Collection[int], nvml: Any | None = None) -> tuple[int, ...] | None:
    """NVML's indices of GPUs that CUDA numbers in this process.

    Args:
        ordinals: CUDA's numbers; `1` is torch's `cuda:1`.
        nvml: Replacement for the module `pynvml`; None: that module.

    Returns:
        The indices; None if CUDA's order is unknown, so that every visible GPU has to be counted.
    """
    if not ordinals:
        return ()
    try:
        nvml, close = start_nvml(nvml)
    except Exception:  # without NVML nothing is counted; which GPU it is that is missing, its number has to tell
        return tuple(sorted(ordinals)) if "CUDA_VISIBLE_DEVICES" not in os.environ else None
    visible = visible_gpus(nvml)
    close()
    if not visible.in_order:
        return None
    found = [visible.indices[ordinal] for ordinal in sorted(ordinals) if ordinal < len(visible.indices)]
    indices = tuple(index for index in found if isinstance(index, int))
    return indices if len(indices) == len(found) else None


def domains_of(ordinals: Sequence[int], meter: Meter) -> list[str]:
    """The domain of each GPU that CUDA numbers so; trials on several GPUs are told apart by domain.

    Raises:
        MeterError: One of them has no domain of its own among the sources that the meter uses.
    """
    used = {source.domain for source in meter.sources if source.used}
    nvml, domains = getattr(meter, "nvml", None), list[str]()
    for ordinal in ordinals:
        names = [f"{kind}:{index}" for index in nvml_indices((ordinal,), nvml) or () for kind in ("gpu", MODULE)]
        own = [name for name in names if name in used and name not in domains]
        if not own:
            raise MeterError(
                f"cuda:{ordinal} has no readable energy counter of its own, so the energy of trials on"
                " several GPUs at once cannot be told apart; name one device, or see `ecoml meters`"
            )
        domains += own
    return domains
