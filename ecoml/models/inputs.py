"""The images that a command line names: files, folders, folders by class, `.npz` files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecoml.errors import DataError, UsageError
from ecoml.models.model import Model, Prediction, refuse_unknown
from ecoml.run.folder import read_settings
from ecoml.training.images.data.listing import EXTENSIONS, listed, splits_of
from ecoml.training.images.data.npz import images_of


@dataclass(frozen=True, slots=True)
class Input:
    """An image for a prediction.

    Attributes:
        name: Its name for people: its file, or its position in an `.npz` file.
        image: The image, as `Model.predict` takes it.
        label: Its class; None if unknown.
    """

    name: str
    image: Any
    label: str | None = None


def inputs_of(named: Sequence[Path], model: Model, *, labelled: bool) -> list[Input]:
    """The images of paths, in order.

    Args:
        named: Image files, folders (with all subfolders), and `.npz` files with an array x.
        model: The model that will predict them.
        labelled: Whether their classes must be known: folders then contain `CLASS/*.png` (of `DIR/train` and `DIR/test`
            the latter is used), and `.npz` files an array y.

    Raises:
        UsageError: There are no images, or the model has no such class.
        DataError: A file cannot be read.
    """
    found: list[Input] = []
    for path in named:
        before = len(found)
        if path.is_dir():
            found += _labelled(path) if labelled else [Input(str(file), file) for file in _below(path)]
        elif path.suffix.lower() == ".npz":
            found += _arrays(path, labelled=labelled)
        elif not path.exists():
            raise UsageError(f"{path}: no such file or folder; name images, a folder of them, or an .npz file")
        elif labelled:
            raise UsageError(f"{path}: its class is not known; name a folder of images by class, or an .npz with y")
        else:
            found.append(Input(str(path), path))
        if len(found) == before:
            raise UsageError(f"{path}: no images in it; supported are files of {', '.join(sorted(EXTENSIONS))}")
    refuse_unknown((given.label for given in found if given.label is not None), model, str(named[0]))
    return found


def trained_on(named: Path, run: Path) -> Mapping[str, Any] | None:
    """Table [data] of a run that drew its test images from these; None if it did not, or if `run` is no run folder."""
    if not (run / "run.toml").is_file():
        return None
    settings = read_settings(run)
    data, path = settings.get("data", {}), settings.get("executor", {}).get("data")
    same = isinstance(path, str) and Path(path).resolve() == named.resolve()
    return data if same and "test" in data.get("drawn", ()) else None


def predicted(inputs: Sequence[Input], model: Model) -> Iterator[tuple[Input, Prediction | DataError]]:
    """The model's prediction for each image, or the error if the image cannot be read."""
    for start in range(0, len(inputs), model.at_once):
        batch, levels, wrong = inputs[start : start + model.at_once], [], {}
        for index, given in enumerate(batch):
            try:
                levels.append(model.preprocess.levels(given.image))
            except DataError as error:
                wrong[index] = error
        predictions = iter(model.predict_levels(levels))
        yield from ((given, wrong.get(index) or next(predictions)) for index, given in enumerate(batch))


def _below(folder: Path) -> list[Path]:
    files = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    return sorted(file for file in files if file.suffix.lower() in EXTENSIONS and not file.name.startswith("."))


def _labelled(folder: Path) -> list[Input]:
    places = splits_of(folder)
    listing = listed(places.get("test", folder))
    return [Input(str(file), file, label) for file, label in zip(listing.files, listing.labels, strict=True)]


def _arrays(path: Path, *, labelled: bool) -> list[Input]:
    images, labels = images_of(path)
    if labels is None and labelled:
        raise UsageError(f"{path}: the array y is missing; it is needed for the evaluation")
    return [
        Input(f"{path}[{index}]", image, None if labels is None else labels[index])
        for index, image in enumerate(images)
    ]
