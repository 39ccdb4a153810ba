"""What is profiled: a configuration of a space, a trial of a run, or a function that builds a module."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecoml.errors import UsageError, in_one_line
from ecoml.run.result import Result
from ecoml.space import load_space
from ecoml.training.images.settings import Settings, largest_side

if TYPE_CHECKING:
    from torch import nn

    from ecoml.training.images import CnnTraining
    from ecoml.training.images.network.plan import Shape

DEFAULT_SHAPE = (1, 28, 28)
DEFAULT_CLASSES = 10


@dataclass(frozen=True, slots=True)
class Subject:
    """What is profiled.

    Attributes:
        name: Its name for people.
        body: From images N×C×H×W to logits N×classes.
        shape: C, H, W of the images as the body gets them: in the resolution of the settings.
        classes: Number of classes.
        settings: The training settings; the step uses their optimiser and batch size.
    """

    name: str
    body: nn.Module
    shape: Shape
    classes: int
    settings: Settings


def find_subject(
    target: str, *, trial: int | None, changes: Sequence[str], shape: Shape | None, classes: int | None
) -> Subject:
    """The subject that a target names.

    Args:
        target: A run folder; `module:function` or `file.py:function`; or a space, whose middle is used.
        trial: A trial of the run; None: the recommended one.
        changes: Changes `key=value` to the configuration.
        shape: Shape of the images, before they are scaled to the resolution; None: that of the run, else 1×28×28.
        classes: Number of classes; None: that of the run, else 10.

    Raises:
        UsageError: It cannot be found or built.
    """
    if (Path(target) / "run.toml").is_file():
        return _of_run(Path(target), trial, changes, shape, classes)
    if trial is not None:
        raise UsageError(f"{target}: not a run folder, so it has no trial {trial}; name a run folder")
    shape, classes = shape or DEFAULT_SHAPE, classes or DEFAULT_CLASSES
    module, colon, function = target.rpartition(":")
    if colon:
        build = _function(module, function)
        config = _changed({}, changes)
        return _subject(target, config, shape, classes, build)
    space = load_space(target)
    config = _changed(space.decode(np.full(space.dimension, 0.5)), changes)
    return _subject(f"the middle of the space {target}", config, shape, classes, None)


def check_fit(subject: Subject) -> None:
    """Raise UsageError if the module cannot process its images."""
    import torch

    try:
        subject.body(torch.rand(2, *subject.shape))
    except (RuntimeError, ValueError, TypeError) as error:
        size = "×".join(map(str, subject.shape))
        raise UsageError(f"{subject.name}: cannot take images of {size} ({in_one_line(error)})") from None


def _of_run(run: Path, number: int | None, changes: Sequence[str], shape: Shape | None, classes: int | None) -> Subject:
    from ecoml.training.create import create_executor
    from ecoml.training.images import CnnTraining

    result = Result.load(run)
    trial = result.recommended if number is None else next((t for t in result.trials if t.number == number), None)
    if trial is None:
        raise UsageError(f"{run}: there is no trial {'to recommend' if number is None else number} in it")
    instead = "name the function that builds a network of yours instead: ecoml profile FILE.py:FUNCTION"
    executor = create_executor(result.settings["executor"], run, way_out=instead)
    if not isinstance(executor, CnnTraining):
        raise UsageError(f"{run}: no training of this run's networks is known; {instead}")
    if shape is None or classes is None:
        images, count = _of_data(result, executor)
        shape, classes = shape or images, classes or count
    return _subject(f"trial {trial.number} of {run}", _changed(trial.config, changes), shape, classes, executor.model)


def _of_data(result: Result, executor: CnnTraining) -> tuple[Shape, int]:
    """The shape of a run's images, and the number of classes: from table [data], or from the data if it has none."""
    data = result.settings.get("data", {})
    if all(key in data for key in ("channels", "height", "width", "train")):
        return (data["channels"], data["height"], data["width"]), len(data["train"])
    from ecoml.space.schema import space_of
    from ecoml.training.images.data.loader import load

    side = largest_side(space_of(result.settings["space"], where=str(result.directory)))
    found = load(executor.data, None if executor.data_dir is None else Path(executor.data_dir), largest_side=side)
    channels, height, width = found.train.images.shape[1:]
    return (channels, height, width), len(found.classes)


def _subject(
    name: str,
    config: dict[str, Any],
    shape: Shape,
    classes: int,
    build: Callable[..., nn.Module] | None,
) -> Subject:
    from ecoml.training.images.network.network import Network

    settings = Settings.of(config, own_model=build is not None)
    shape = (shape[0], *settings.sides_of(shape[1:]))
    body = None
    if build is not None:
        about = {"channels": shape[0], "side": shape[1], "classes": classes}
        try:
            body = build({**about, **config}) if inspect.signature(build).parameters else build()
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(f"{name}: building it failed ({in_one_line(error)})") from None
        from torch import nn

        if not isinstance(body, nn.Module):
            raise UsageError(f"{name}: returned a {type(body).__name__}; it must return a torch.nn.Module")
    network = Network(settings, shape, [str(number) for number in range(classes)], body)
    return Subject(name, network.get_submodule("body"), shape, classes, settings)


def _function(module: str, name: str) -> Callable[..., nn.Module]:
    try:
        found = _from_file(Path(module)) if module.endswith(".py") else importlib.import_module(module)
        function = getattr(found, name)
    except Exception as error:
        raise UsageError(
            f"{module}:{name}: cannot be imported ({in_one_line(error)}); give module:function, or file.py:function"
        ) from None
    if not callable(function):
        raise UsageError(f"{module}:{name}: not a function; give a function that returns a torch.nn.Module")
    return function  # type: ignore[no-any-return]


def _from_file(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.absolute()))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


def _changed(config: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    changed = dict(config)
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {change} is not understood; write --set depth=3")
        changed[key] = _value(value)
    return changed


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
