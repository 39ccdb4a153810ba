"""Files of a backbone's weights on the user's disk."""

from __future__ import annotations

from pathlib import Path

from ecoml.errors import UsageError
from ecoml.outside.folders import expanded
from ecoml.space import Space
from ecoml.training.images.settings import NO_BACKBONE, options_of

_KINDS = (".pth", ".pt", ".safetensors")


def file_of(backbone: str, weights: str) -> Path:
    """The file of a backbone's weights: the given file, or the one in the given folder whose name starts with the
    backbone's.

    Raises:
        UsageError: There is no such file.
    """
    path = expanded(weights)
    if not weights or not path.exists():
        what = f"weights = {weights!r}: there is no such file" if weights else f"backbone = {backbone!r} needs weights"
        raise UsageError(f"{what}; name the file of torchvision for {backbone}; ecoml downloads none")
    if path.is_file():
        return path
    found = sorted(file for file in path.glob(f"{backbone}[-.]*") if file.suffix in _KINDS)
    if not found:
        raise UsageError(f"weights = {weights!r}: no {backbone}-….pth is in this folder, and ecoml downloads none")
    return found[0]


def refuse_absent(space: Space) -> None:
    """Check that the weights of every backbone of a space exist.

    Raises:
        UsageError: A file is missing.
    """
    for backbone in options_of(space, "backbone", NO_BACKBONE):
        if backbone != NO_BACKBONE:
            for weights in options_of(space, "weights", ""):
                file_of(str(backbone), str(weights))
