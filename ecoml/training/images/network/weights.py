"""Files of a backbone's weights on the user's disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ecoml.errors import UsageError
from ecoml.outside.folders import expanded
from ecoml.space import Space
from ecoml.training.images.settings import NO_BACKBONE, options_of

if TYPE_CHECKING:
    from torch import Tensor, nn

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


def weights_of(backbone: str, weights: str) -> dict[str, Tensor]:
    """A backbone's weights by torchvision's names, without its last linear layer.

    Raises:
        UsageError: The file is missing, cannot be read, or belongs to another network.
    """
    import torch
    import torchvision

    path = file_of(backbone, weights)
    with torch.device("meta"):
        network = torchvision.models.get_model(backbone, weights=None)
    head = f"{last_linear(network)}."
    expected = {name: value for name, value in network.state_dict().items() if not name.startswith(head)}
    try:
        found = {name: value for name, value in _read(path).items() if not name.startswith(head)}
    except Exception:
        raise UsageError(
            f"{path}: not a state dict, or damaged; give torchvision's file of {backbone}, or write one with"
            " torch.save(network.state_dict(), …)"
        ) from None
    if (wrong := _difference(expected, found)) is not None:
        raise UsageError(f"{path}: not torchvision's weights of {backbone}: {wrong}; give the file of {backbone}")
    return found


def last_linear(network: nn.Module) -> str:
    """The name of a network's last linear layer, which assigns features to classes."""
    from torch import nn

    *_, last = (name for name, part in network.named_modules() if isinstance(part, nn.Linear))
    return str(last)


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        import safetensors.torch

        return safetensors.torch.load_file(path)
    import torch

    kept: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return kept


def _difference(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str | None:
    """The first thing that is missing, superfluous, or of another shape; old files lack `num_batches_tracked`."""
    needed = [name for name in expected if name in found or not name.endswith(".num_batches_tracked")]
    if absent := [name for name in needed if name not in found]:
        return f"{absent[0]!r} is missing, and its first entry is {next(iter(found), 'not there')!r}"
    if others := [name for name in found if name not in expected]:
        return f"{others[0]!r} is no part of it"
    for name in needed:
        if (theirs := found[name].shape) != (ours := expected[name].shape):
            return f"{name!r} has the shape {tuple(theirs)} instead of {tuple(ours)}"
    return None


def refuse_unusable(space: Space) -> None:
    """Check the weights of every backbone of a space, before energy is spent.

    Raises:
        UsageError: A file is missing, or belongs to another network.
    """
    for backbone in options_of(space, "backbone", NO_BACKBONE):
        if backbone != NO_BACKBONE:
            for weights in options_of(space, "weights", ""):
                weights_of(str(backbone), str(weights))
