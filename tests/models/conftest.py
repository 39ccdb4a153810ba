"""A search on image files of every kind, made once, and what can be done with its models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ecoml
from ecoml.cli import app
from ecoml.run.result import Result
from ecoml.training.images.data.loader import load

SPACE: dict[str, Any] = {
    "width": 12,
    "depth": 2,
    "kernel": 3,
    "learning_rate": 0.1,
    "batch_size": 32,
    "epochs": 8,
    "block": ecoml.Choice(["plain", "separable"]),
}


def write(level: np.ndarray, path: Path, kind: int) -> None:
    """A digit 8×8 as a file of one of six kinds, all of which show the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    side = 12 + 4 * (kind % 3)
    picture = Image.fromarray(level).resize((side, side), Image.Resampling.BICUBIC)
    if kind == 0:
        picture.save(path.with_suffix(".jpg"), quality=95)
    elif kind == 1:  # held the other way, as a camera says
        exif = Image.Exif()
        exif[0x0112] = 6
        picture.transpose(Image.Transpose.ROTATE_90).save(path.with_suffix(".jpg"), quality=95, exif=exif)
    elif kind == 2:  # opacity instead of brightness
        opaque = np.full((side, side, 4), 255, np.uint8)
        opaque[..., 3] = np.asarray(picture)
        Image.fromarray(opaque).save(path.with_suffix(".png"))
    elif kind == 3:
        Image.fromarray(np.asarray(picture).astype(np.uint16) * 257).save(path.with_suffix(".png"))
    elif kind == 4:
        picture.convert("RGB").quantize(32).save(path.with_suffix(".gif"))
    else:
        Image.new("L", (side + 8, side)).save(path.with_suffix(".png"))
        wide = Image.new("L", (side + 8, side))
        wide.paste(picture, (4, 0))
        wide.save(path.with_suffix(".png"))


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits as files, 240 to train on and 120 to test with, divided by who made them."""
    folder, found = tmp_path_factory.mktemp("models") / "photos", load("digits").train
    for index in range(360):
        split = "train" if index < 240 else "test"
        write(found.images[index, 0], folder / split / f"no. {found.labels[index]}" / f"{index}", index % 6)
    return folder


@pytest.fixture(scope="session")
def run(photos: Path) -> Result:
    """A finished search on them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(photos.parent / "cache"))
        # a search as short as this would try none of its models
        patch.setattr("ecoml.searcher.front.models._USE_SHARE", 1.0)
        space, training = ecoml.Space(SPACE), ecoml.CnnTraining(photos, threads=1)
        given: dict[str, Any] = {"strategy": "grid", "directory": photos.parent / "run", "progress": False}
        return ecoml.search(space, training, budget_j=1e4, **given)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command prints."""

    def run(*arguments: object) -> str:
        capsys.readouterr()
        app([str(argument) for argument in arguments], standalone_mode=False)
        return capsys.readouterr().out

    return run
