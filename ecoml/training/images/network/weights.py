"""The files of a backbone's weights, which the caller has on disk."""

from __future__ import annotations

from pathlib import Path

from ecoml.errors import UsageError
from ecoml.space import Space
from ecoml.training.images.settings import NO_BACKBONE, options_of

_KINDS = (".pth", ".pt", ".safetensors")


def file_of(backbone: str, weights: str) -> Path:
    """The file of a backbone's weights: as given, or the one in that folder whose name begins with the backbone's.

    Raises:
        UsageError: There is none.
    """
    path = Path(weights).expanduser()
    if not weights or not path.exists():
        what = f"weights = {weights!r}: there is no such file" if weights else f"backbone = {backbone!r} needs weights"
        raise UsageError(f"{what}; name the file that torchvision has for {backbone}, since ecoml downloads none")
    if path.is_file():
        return path
    found = sorted(file for file in path.glob(f"{backbone}[-.]*") if file.suffix in _KINDS)
    if not found:
        raise UsageError(f"weights = {weights!r}: no {backbone}-….pth lies there, and ecoml downloads none")
    return found[0]


def refuse_absent(space: Space) -> None:
    """Refuse a space with a backbone whose weights are not there.

    Raises:
        UsageError: So it is.
    """
    for backbone in options_of(space, "backbone", NO_BACKBONE):
        if backbone != NO_BACKBONE:
            for weights in options_of(space, "weights", ""):
                file_of(str(backbone), str(weights))
