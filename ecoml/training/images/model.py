"""Trained networks as files: safetensors, with a JSON header that says how to rebuild and use the network.

A network of the user's own is rebuilt by the user's own function.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch
import torch

from ecoml.errors import UsageError
from ecoml.outside.folders import whole
from ecoml.training.images.data.dataset import Form
from ecoml.training.images.network.network import Network
from ecoml.training.images.network.own import built
from ecoml.training.images.network.state import LEFT_OUT, packed, unpacked
from ecoml.training.images.settings import Settings
from ecoml.trial import Config
from ecoml.version import __version__

if TYPE_CHECKING:
    from ecoml.training.images.network.own import Build

_KEY = "ecoml"
_VERSION = 2

log = logging.getLogger("ecoml")


def save_model(
    network: Network,
    path: Path,
    problem: str,
    trial: int,
    config: Config,
    *,
    form: Form,
    temperature: float = 1.0,
    model: str | None = None,
) -> None:
    """Write the network's current weights; a reader sees the complete file or none.

    Args:
        network: The network; it does not change.
        path: The file; missing folders are created.
        problem: Name of the data set, for people.
        trial: Number of the trial, for people.
        config: The trial's configuration.
        form: The form of the network's input images.
        temperature: The divisor of logits before their softmax.
        model: Name of the user's function that built the network; None for a built-in network.
    """
    weights, forms = packed(network)
    header = {
        "version": _VERSION,
        "problem": problem,
        "trial": trial,
        "config": asdict(network.settings) if model is None else dict(config),
        "model": model,
        "shape": network.shape,
        "sides": network.sides,
        "classes": network.classes,
        "form": asdict(form),
        "temperature": temperature,
        "ecoml": __version__,
        "forms": forms,
    }
    content = safetensors.torch.save(weights, metadata={_KEY: json.dumps(header)})
    with whole(path) as unfinished, unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def load_model_file(path: str | Path, build: Build | None = None) -> Network:
    """The network in a file that `save_model` wrote, on the CPU and in evaluation mode.

    Args:
        path: The file.
        build: The function that built the network, if it was the user's own.

    Raises:
        UsageError: The file does not exist, is damaged, belongs to another program or another version, or needs
            `build`.
    """
    path = Path(path)
    with _opened(path) as file:
        header = _header(path, file.metadata() or {})
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - the file is no mapping
    if header.get("model") and build is None:
        raise UsageError(f"{path}: {header['model']} built this network; pass that function as model=")
    try:
        settings, shape = Settings.of(header["config"], own_model=build is not None), header["shape"]
        if build is None:
            with torch.device("meta"):  # initial weights would be drawn only to be replaced
                network = Network(settings, (shape[0], shape[1], shape[2]), header["classes"])
        else:
            body = built(build, header["config"])
            network = Network(settings, (shape[0], shape[1], shape[2]), header["classes"], body)
        network.sides = (int(header["sides"][0]), int(header["sides"][1]))
        _fill(path, network, weights, header.get("forms", {}), assign=build is None)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, RuntimeError, UsageError) as error:
        raise UsageError(f"{path}: the model does not fit its own description ({error!s:.120})") from None
    return network.to(memory_format=torch.channels_last).eval()


def read_header(path: Path) -> dict[str, Any]:
    """The arguments of `save_model`, as JSON; files of earlier versions lack `form`, `temperature` and `ecoml`.

    Raises:
        UsageError: As `load_model_file`, for errors of the header.
    """
    with _opened(path) as file:
        return _header(path, file.metadata() or {})


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise UsageError(f"{path}: no such model file")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            yield file
    except (safetensors.SafetensorError, OSError) as error:
        raise UsageError(f"{path}: cannot be read as a model ({error})") from None


def _fill(
    path: Path, network: Network, weights: dict[str, torch.Tensor], forms: dict[str, Any], *, assign: bool
) -> None:
    """Load a file's weights into a network; entries that the file lacks keep the network's values."""
    left_out = {name: form[LEFT_OUT] for name, form in forms.items() if LEFT_OUT in form}
    found = network.load_state_dict(unpacked(weights, forms), strict=False, assign=assign)
    if wrong := [*(set(found.missing_keys) - set(left_out)), *found.unexpected_keys]:
        raise KeyError(f"its weights differ in {', '.join(sorted(wrong)[:3])}")
    for name, kind in left_out.items():
        log.warning(
            "%s: %s, a %s, could not be saved; it keeps the value that the model's function gives it", path, name, kind
        )


def _header(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    try:
        header: dict[str, Any] = json.loads(metadata[_KEY])
        version = int(header["version"])
    except (KeyError, ValueError, TypeError):
        raise UsageError(f"{path}: a safetensors file, but not a model of ecoml") from None
    if version > _VERSION:
        raise UsageError(f"{path}: written by a newer ecoml (format {version}, known is {_VERSION}); upgrade ecoml")
    if version < _VERSION:
        raise UsageError(f"{path}: written by an older ecoml (format {version}, known is {_VERSION}); search again")
    return header
