"""A data set from a folder of images.

Layout: `DIR/CLASS/*.png`, or `DIR/train/CLASS/…` with `DIR/test/CLASS/…` and one of `val`, `valid`, `validation`.
Sizes: images that all have one size of at most 64×64 are taken as they are. Otherwise all become squares, whose side is
the median of the training images' shorter sides but no more than 64: each is scaled until its shorter side fits, and
its middle is kept. Colour: if any image is coloured, all have three channels, else one. What is transparent is black.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median_low

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from ecoml.errors import DataError
from ecoml.training.images.data import decoded
from ecoml.training.images.data.dataset import FoundData, Images, LabelledImages, numbered

LARGEST_SIDE = 64
EXTENSIONS = frozenset(
    (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm")
)
_VALIDATION = ("val", "valid", "validation")
_GREY = frozenset(("1", "L", "LA", "La", "I"))


@dataclass(slots=True)
class _Listing:
    """The images below one folder, by class."""

    files: list[Path] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    classes: set[str] = field(default_factory=set)
    ignored: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Form:
    """What all images are brought to."""

    height: int
    width: int
    coloured: bool


def read(folder: Path) -> FoundData:
    """The data set in a folder.

    Raises:
        DataError: No images, a class without any, a class that only the test split has, or a file that is no image.
    """
    places = _splits(folder)
    listings = {split: _listed(place) for split, place in places.items()}
    classes = sorted(listings["train"].classes)
    labels = {split: numbered(listing.labels, classes, str(places[split])) for split, listing in listings.items()}
    images = _decoded(listings)
    splits = {split: LabelledImages(images[split].transpose(0, 3, 1, 2), labels[split]) for split in listings}
    name = folder.resolve().name
    train, test, validation = splits["train"], splits.get("test"), splits.get("validation")
    return FoundData(name, tuple(classes), train, test, validation, _notes(listings))


def _decoded(listings: dict[str, _Listing]) -> dict[str, Images]:
    """Images N×H×W×C by split; decoded at most once per machine."""
    labelled = {split: zip(listing.files, listing.labels, strict=True) for split, listing in listings.items()}
    key = decoded.digest(labelled)
    images = decoded.find(key, listings)
    if images is None:
        with _silent():
            form = _form(listings)
            images = {split: _images(listing.files, form) for split, listing in listings.items()}
        decoded.keep(key, images)
    return images


def _splits(folder: Path) -> dict[str, Path]:
    """Split → its folder of classes. `DIR/train` may also be a class, namely where images lie in it."""
    train = folder / "train"
    if not train.is_dir() or not _subfolders(train) or any(_is_image(file) for file in train.iterdir()):
        return {"train": folder}
    given = [name for name in _VALIDATION if (folder / name).is_dir()]
    if len(given) > 1:
        raise DataError(f"{folder}: {' and '.join(given)} both hold validation images; keep one of them")
    places = {"train": train, "validation": folder / (given[0] if given else "val"), "test": folder / "test"}
    return {split: place for split, place in places.items() if place.is_dir()}


def _listed(folder: Path) -> _Listing:
    listing = _Listing()
    for place in _subfolders(folder):
        listing.classes.add(place.name)
        before = len(listing.files)
        for file in sorted(place.iterdir()):
            if file.name.startswith("."):
                continue
            if _is_image(file):
                listing.files.append(file)
                listing.labels.append(place.name)
            else:
                listing.ignored["folder" if file.is_dir() else file.suffix.lower() or "no extension"] += 1
        if len(listing.files) == before:
            raise DataError(f"{place}: no images in this class; add some or remove the folder")
    if not listing.files:
        kinds = ", ".join(sorted(EXTENSIONS))
        raise DataError(f"{folder}: no images by class; it takes one folder per class, with files of {kinds} in it")
    return listing


def _subfolders(folder: Path) -> list[Path]:
    return sorted(place for place in folder.iterdir() if place.is_dir() and not place.name.startswith("."))


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in EXTENSIONS and not file.name.startswith(".") and file.is_file()


def _notes(listings: dict[str, _Listing]) -> tuple[str, ...]:
    ignored = sum((listing.ignored for listing in listings.values()), Counter())
    if not ignored:
        return ()
    kinds = ", ".join(f"{count} × {kind}" for kind, count in sorted(ignored.items()))
    return (f"what is no image of a known kind was ignored: {kinds}",)


def _form(listings: dict[str, _Listing]) -> _Form:
    coloured = False
    sizes: dict[Path, tuple[int, int]] = {}
    for listing in listings.values():
        for file in listing.files:
            with _opened(file) as image:
                sizes[file] = image.size
                coloured = coloured or not _is_grey(image)
    different = set(sizes.values())
    width, height = next(iter(different))
    if len(different) == 1 and max(width, height) <= LARGEST_SIDE:
        return _Form(height, width, coloured)
    side = min(LARGEST_SIDE, median_low(min(sizes[file]) for file in listings["train"].files))
    return _Form(side, side, coloured)


def _is_grey(image: Image.Image) -> bool:
    if image.mode == "P":
        palette = np.array(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return image.mode in _GREY or image.mode.startswith("I;16")


def _images(files: list[Path], form: _Form) -> Images:
    channels = 3 if form.coloured else 1
    images = np.empty((len(files), form.height, form.width, channels), dtype=np.uint8)
    for index, file in enumerate(files):
        with _opened(file) as image:
            images[index] = _pixels(image, form).reshape(form.height, form.width, channels)
    return images


def _pixels(image: Image.Image, form: _Form) -> npt.NDArray[np.uint8]:
    image.draft(None, (2 * form.width, 2 * form.height))  # a JPEG is decoded no larger than needed
    image = _in_eight_bits(ImageOps.exif_transpose(image), "RGB" if form.coloured else "L")
    if image.size != (form.width, form.height):
        image = ImageOps.fit(image, (form.width, form.height))
    return np.asarray(image)


def _in_eight_bits(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):  # sixteen bits a pixel
        image = Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("its pixels are floats; store whole numbers")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    return image.convert(mode)


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(file) as image:
            yield image
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        why = "its format is not recognised" if isinstance(error, UnidentifiedImageError) else error
        raise DataError(f"{file}: cannot be read as an image ({why}); repair or remove it") from None


@contextmanager
def _silent() -> Iterator[None]:
    """Without Pillow's warnings about metadata: what cannot be read is an error here anyway."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
