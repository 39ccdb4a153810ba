"""Weights as safetensors, and the plain PyTorch source of the network for them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType

import safetensors.torch
import torch
from torch import nn

from ecoml.errors import UsageError
from ecoml.models.export.deployed import Deployed
from ecoml.models.export.program import Predict
from ecoml.models.model import Model
from ecoml.models.written import written
from ecoml.training.images.network.network import Conv2d, Residual
from ecoml.training.images.network.pretrained import Pretrained

_PLAIN = (
    nn.AdaptiveAvgPool2d,
    nn.Conv2d,
    nn.Dropout,
    nn.Flatten,
    nn.GELU,
    nn.Identity,
    nn.Linear,
    nn.MaxPool2d,
    nn.ReLU,
    nn.SiLU,
)
"""Modules whose `repr` is the call that makes them."""


def weights_and_source(model: Model, about: Mapping[str, str]) -> tuple[bytes, str, Predict]:
    """The weights, the source, and a function that predicts with both.

    Args:
        model: The model.
        about: Information stored in the header of the weights.

    Raises:
        UsageError: The user's own function built the network.
    """
    deployed = Deployed(model)
    state = {name: value.contiguous() for name, value in deployed.state_dict().items()}
    content = safetensors.torch.save(state, metadata=dict(about))
    source = written("model.py.j2", model, body=_made(deployed.body, model, 2), deployed=deployed, about=about)
    return content, source, _loaded(content, source)


def _loaded(content: bytes, source: str) -> Predict:
    """A function that predicts with the weights and the source, which runs as a module of its own."""
    module = ModuleType("model")
    exec(compile(source, "model.py", "exec"), module.__dict__)  # noqa: S102 - written in this very file's caller
    network: nn.Module = module.__dict__["Network"]()
    network.load_state_dict(safetensors.torch.load(content))
    return network.eval()


def _made(module: nn.Module, model: Model, depth: int) -> str:
    """The expression that makes a module, indented by `depth` times four spaces."""
    outer, inner = " " * 4 * depth, " " * 4 * (depth + 1)
    if isinstance(module, Residual):
        parts = [f"{name}={_made(child, model, depth + 1)}" for name, child in module.named_children()]
        return "Residual(\n" + "".join(f"{inner}{part},\n" for part in parts) + f"{outer})"
    if isinstance(module, Pretrained):
        head = _made(module.head, model, depth + 1)
        return f'Pretrained(\n{inner}"{module.name}",\n{inner}"{module.last}",\n{inner}{head},\n{outer})'
    if isinstance(module, nn.Sequential):
        names = [name for name, _ in module.named_children()]
        if names == [str(number) for number in range(len(names))]:
            made = [_made(child, model, depth + 1) for child in module]
            return "nn.Sequential(\n" + "".join(f"{inner}{part},\n" for part in made) + f"{outer})"
        pairs = [f'"{name}": {_made(child, model, depth + 1)}' for name, child in module.named_children()]
        return "nn.Sequential(OrderedDict({\n" + "".join(f"{inner}{pair},\n" for pair in pairs) + f"{outer}}}))"
    if type(module) is nn.BatchNorm2d:  # of which newer versions show an argument that older ones do not know
        return f"nn.BatchNorm2d({module.num_features}, eps={module.eps})"
    if type(module) in _PLAIN or isinstance(module, Conv2d):
        return f"nn.{module!r}"
    raise UsageError(
        f"{model.path}: a function of your own built this network, and its source is that function; export it"
        " --to onnx or --to torch"
    )


def versions() -> dict[str, str]:
    """The versions of the libraries that made an export."""
    from ecoml.version import __version__

    return {"ecoml": __version__, "torch": torch.__version__, "python": sys.version.split()[0]}
