"""From the numbers that CUDA gives to GPUs to those of NVML, by which domains are named."""

from __future__ import annotations

import importlib
import os
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from ecoml.errors import MeterError
from ecoml.meter.base import Source
from ecoml.meter.counters.device import ask
from ecoml.meter.counters.nvml import MODULE, gpus_left_by, order_is_certain


def nvml_indices(ordinals: Collection[int], nvml: Any | None = None) -> tuple[int, ...] | None:
    """NVML's indices of the GPUs that CUDA numbers so in this process.

    Args:
        ordinals: CUDA's numbers; `1` is torch's `cuda:1`.
        nvml: What has the functions of the module `pynvml`; None: that module.

    Returns:
        The indices; None where CUDA's order cannot be told, so that every visible GPU has to be counted.
    """
    if not ordinals:
        return ()
    try:
        nvml = importlib.import_module("pynvml") if nvml is None else nvml
        nvml.nvmlInit()
    except Exception:  # without NVML nothing is counted; which GPU it is that is missing, its number has to tell
        return tuple(sorted(ordinals)) if "CUDA_VISIBLE_DEVICES" not in os.environ else None
    try:
        count = int(ask(nvml, "nvmlDeviceGetCount") or 0)
        setting = os.environ.get("CUDA_VISIBLE_DEVICES")
        visible = list(range(count)) if setting is None else gpus_left_by(nvml, count, setting)
        named_by_uuid = setting is not None and setting.strip().startswith(("GPU-", "MIG-"))
        if not (named_by_uuid or order_is_certain(nvml, count)):
            return None
        found = [visible[ordinal] for ordinal in sorted(ordinals) if ordinal < len(visible)]
    finally:
        ask(nvml, "nvmlShutdown")
    indices = tuple(index for index in found if isinstance(index, int))
    return indices if len(indices) == len(found) else None


def domains_of(ordinals: Sequence[int], sources: Iterable[Source]) -> list[str]:
    """The domain of each GPU that CUDA numbers so, by which trials that run on them at once are told apart.

    Raises:
        MeterError: One of them has no domain of its own among the sources used.
    """
    used = {source.domain for source in sources if source.used}
    domains: list[str] = []
    for ordinal in ordinals:
        names = [f"{kind}:{index}" for index in nvml_indices((ordinal,)) or () for kind in ("gpu", MODULE)]
        own = [name for name in names if name in used and name not in domains]
        if not own:
            raise MeterError(
                f"cuda:{ordinal} has no energy counter of its own that can be read here, so the energy of trials on"
                " several GPUs at once cannot be told apart; name one device, or see `ecoml meters`"
            )
        domains += own
    return domains
