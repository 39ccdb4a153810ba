"""What the data of an image training are, and what was done to them; from table [data] of `run.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecoml.format.figures import plural

_BACKGROUNDS = {0: "black", 128: "grey", 255: "white"}


def describe_treatment(data: Mapping[str, Any]) -> list[str]:
    """What was left out, and what was done to the images, a sentence each; none where they were taken as they are."""
    told = []
    if ignored := data.get("ignored"):
        told.append(f"left out: {', '.join(f'{count:,} × {kind}' for kind, count in sorted(ignored.items()))}")
    if data.get("smallest"):
        found = f"{_size(data['smallest'])} pixels"
        if data["largest"] != data["smallest"]:
            found = f"{_size(data['smallest'])} to {_size(data['largest'])} pixels"
        target = _size((data["height"], data["width"]))
        told.append(f"images of {found} were scaled to {target} until the shorter side fitted, and their middle kept")
    for kind, (low, high) in data.get("ranges", {}).items():
        told.append(f"numbers of {kind} from {low:g} to {high:g} were scaled to black … white")
    if background := data.get("background"):
        told.append(f"what is transparent became {_BACKGROUNDS.get(background, f'level {background} of 255')}")
    if several := data.get("several"):
        told.append(f"of {plural(several, 'file')} with several pictures the first was taken")
    if blank := data.get("blank"):
        told.append(f"{plural(blank, 'image')} show{'s' if blank == 1 else ''} one colour only after that")
    return told


def _size(sides: tuple[int, int]) -> str:
    """`500×333`, width first, as people say it."""
    height, width = sides
    return f"{width}×{height}"
