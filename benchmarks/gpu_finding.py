"""What a part of `gpu_check.py` is told, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table.

    Attributes:
        what: What was checked.
        figure: The result, with its unit.
        wanted: The condition; empty if there is none.
        holds: Whether the condition holds; None if there is none.
    """

    what: str
    figure: str
    wanted: str = ""
    holds: bool | None = None


@dataclass(frozen=True, slots=True)
class Where:
    """The settings of all parts.

    Attributes:
        data: Name of the data.
        data_dir: Folder of their files.
        out: Folder of the results.
        device: `cuda` or `cpu`.
        quick: Whether to do only as much as exercises the code.
    """

    data: str
    data_dir: str | None
    out: Path
    device: str
    quick: bool

    @property
    def cuda(self) -> bool:
        """Whether a GPU is checked."""
        return self.device.startswith("cuda")
