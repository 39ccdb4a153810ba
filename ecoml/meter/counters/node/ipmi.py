"""IPMI DCMI: the power of the entire machine from its management controller, by `ipmitool dcmi power reading`.

The controller answers within 0.1 s to some seconds, and not at all while it restarts. If it has no reading, it says
that power readings are not activated, or returns 0 W or 0xffffffff, which some versions print as 4294967295 W.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from ecoml.meter.counters.node import plausible_w

TIMEOUT_S = 10.0

AVERAGED_S = 1.0
"""The assumed time over which a reading is averaged (DCMI 1.5, section 6.6.1, leaves it to the maker)."""

_COMMAND = ("dcmi", "power", "reading")
_DEVICES = ("dev/ipmi0", "dev/ipmi/0", "dev/ipmidev/0")
_POWER = re.compile(r"Instantaneous power reading:?\s*:?\s*(\d+)\s*Watts", re.IGNORECASE)
_STATE = re.compile(r"Power reading state is:?\s*:?\s*(\w+)", re.IGNORECASE)

Ipmitool = Callable[[], str]
"""Returns what `ipmitool dcmi power reading` prints; raises OSError if it fails."""


def has_controller(root: Path) -> bool:
    """Whether the kernel shows a management controller."""
    return any((root / device).exists() for device in _DEVICES)


def run_ipmitool(timeout_s: float = TIMEOUT_S) -> str:
    """The output of this host's `ipmitool dcmi power reading`.

    Raises:
        OSError: The tool is not installed, fails, or does not answer in time; the message says what to do.
    """
    tool = shutil.which("ipmitool")
    if tool is None:
        raise OSError("ipmitool is not installed: `sudo apt-get install ipmitool`")
    try:
        done = subprocess.run(  # noqa: S603 - a tool of the system, without a shell
            [tool, *_COMMAND], capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"ipmitool gave no answer within {timeout_s:g} s") from None
    if done.returncode:
        why = " ".join(done.stderr.split())[:120] or f"exit code {done.returncode}"
        remedy = ": only root may ask the controller" if "ermission" in why or "Could not open" in why else ""
        raise OSError(f"ipmitool fails ({why}){remedy}")
    return done.stdout


def power_w(printed: str) -> float:
    """The power in the output of `ipmitool dcmi power reading`.

    Raises:
        ValueError: It contains no power, or none that a machine draws.
    """
    state = _STATE.search(printed)
    if state is not None and state[1].lower() not in ("activated", "active"):
        raise ValueError(f"the controller's power readings are {state[1]}")
    found = _POWER.search(printed)
    if found is None:
        first = " ".join(printed.split())[:80]
        raise ValueError(f"ipmitool prints no power ({first or 'nothing'})")
    return plausible_w(float(found[1]))
