"""A data set from a folder of images; `listing` lists the files, `pixels` converts an image.

Sizes: images that all have one size of at most L×L keep it, where L is 64 unless a space asks for more (`resolution`).
Otherwise all become squares, whose side is the median of the training images' shorter sides, at most L. Colour: if any
image has colours, all have three channels, else one.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median_low
from typing import TypeVar

import numpy as np
from PIL import Image

from ecoml.training.images.data import decoded, pixels
from ecoml.training.images.data.dataset import (
    NATURAL,
    Form,
    FoundData,
    ImageReading,
    Images,
    LabelledImages,
    numbered,
    range_of,
)
from ecoml.training.images.data.listing import Listing, beside, listed, splits_of
from ecoml.training.images.settings import LARGEST_SIDE

_DARK = 32
"""Level that at least one training image of eight bits must reach; otherwise all are brightened."""

T = TypeVar("T")


def read(folder: Path, largest_side: int = LARGEST_SIDE) -> FoundData:
    """The data set in a folder, with images of at most `largest_side` pixels per side.

    Raises:
        DataError: There are no images, a class has none, a class is only in the test split, or a file is not an image.
    """
    places = splits_of(folder)
    listings = {split: listed(place) for split, place in places.items()}
    where = {split: str(place) for split, place in places.items()}
    return of_listings(folder.resolve().name, listings, where, beside(folder, places), largest_side)


def of_listings(
    name: str,
    listings: dict[str, Listing],
    where: Mapping[str, str],
    aside: Counter[str] | None = None,
    largest_side: int = LARGEST_SIDE,
) -> FoundData:
    """The data set from lists of files.

    Args:
        name: Short name for people.
        listings: Lists by split; `train` is one of them.
        where: Name of each split for errors.
        aside: Files that were left out in addition to those of the lists.
        largest_side: Largest side in pixels; larger images are reduced.

    Raises:
        DataError: A class is missing in the training split, or a file is not an image.
    """
    classes = sorted(listings["train"].classes)
    labels = {split: numbered(listing.labels, classes, where[split]) for split, listing in listings.items()}
    labelled = {split: zip(listing.files, listing.labels, strict=True) for split, listing in listings.items()}
    digest = decoded.digest(labelled)
    images, reading = _decoded(listings, digest, largest_side)
    splits = {split: LabelledImages(images[split].transpose(0, 3, 1, 2), labels[split]) for split in listings}
    ignored = sum((listing.ignored for listing in listings.values()), aside or Counter())
    return FoundData(
        name,
        tuple(classes),
        replace(reading, ignored=dict(ignored)),
        splits["train"],
        splits.get("test"),
        splits.get("validation"),
        digest,
    )


def _decoded(listings: dict[str, Listing], digest: str, largest_side: int) -> tuple[Mapping[str, Images], ImageReading]:
    """Images N×H×W×C by split; decoded at most once per machine and size."""
    content = digest if largest_side == LARGEST_SIDE else f"{digest} {largest_side}"
    found = decoded.find(content, listings)
    if found is None:
        with _silent():
            found = _decode({split: listing.files for split, listing in listings.items()}, largest_side)
        decoded.keep(content, *found)
    return found


def _decode(files: Mapping[str, list[Path]], largest_side: int) -> tuple[dict[str, Images], ImageReading]:
    survey = _survey(files, largest_side)
    form = _form(survey, files["train"], largest_side)
    images = {split: _images(of, form) for split, of in files.items()}
    plain = np.array([survey.kinds[file] == "8 bits" for file in files["train"]])
    if plain.any() and images["train"][plain].max() < _DARK:
        form = replace(form, ranges={**form.ranges, **_ranges(survey, files["train"], ("8 bits",))})
        images = {split: _images(of, form) for split, of in files.items()}
    sizes = sorted(((height, width) for width, height in survey.sizes.values()), key=lambda size: size[0] * size[1])
    changed = set(sizes) != {(form.height, form.width)}
    blank = sum(
        _has_vanished(file, image) for split in files for file, image in zip(files[split], images[split], strict=True)
    )
    smallest, largest = (sizes[0], sizes[-1]) if changed else (None, None)
    return images, ImageReading(form, {}, smallest, largest, survey.several, blank)


@dataclass(slots=True)
class _Survey:
    """The properties of the files before all are decoded.

    Attributes:
        sizes: Width and height of each, in upright orientation.
        kinds: Storage format of each file's numbers.
        transparent: Files that may have transparent pixels.
        coloured: Whether any file has colours.
        several: Number of files with several pictures.
    """

    sizes: dict[Path, tuple[int, int]] = field(default_factory=dict)
    kinds: dict[Path, str] = field(default_factory=dict)
    transparent: set[Path] = field(default_factory=set)
    coloured: bool = False
    several: int = 0


def _survey(files: Mapping[str, list[Path]], largest_side: int) -> _Survey:
    survey = _Survey()
    for file in (file for of in files.values() for file in of):
        with pixels.opened(file) as image:
            survey.sizes[file] = image.size
            survey.kinds[file] = pixels.kind_of(image)
            survey.coloured |= not pixels.is_grey(image)
            survey.several += bool(getattr(image, "is_animated", False))
            if pixels.is_transparent(image):
                survey.transparent.add(file)
    sides = {(min(size), max(size)) for size in survey.sizes.values()}
    shorter, longer = next(iter(sides))
    if len(sides) == 1 and shorter < longer <= largest_side:  # which of them is their height, and is it for all?
        survey.sizes = dict(zip(survey.sizes, _each(survey.sizes, pixels.upright_size), strict=True))
    return survey


def _form(survey: _Survey, train: list[Path], largest_side: int) -> Form:
    different = set(survey.sizes.values())
    width, height = next(iter(different))
    if len(different) > 1 or max(width, height) > largest_side:
        width = height = min(largest_side, median_low(min(survey.sizes[file]) for file in train))
    ranges = _ranges(survey, train, [kind for kind in NATURAL if kind != "8 bits"])
    form = Form(height, width, 3 if survey.coloured else 1, pixels.BLACK, ranges)
    transparent = [file for file in train if file in survey.transparent]
    seen = [level for level in _each(transparent, lambda image: pixels.seen_level(image, form)) if level is not None]
    dark = [level < pixels.GREY for level in seen]
    background = pixels.BLACK if not any(dark) else pixels.WHITE if all(dark) else pixels.GREY
    return replace(form, background=background)


def _ranges(survey: _Survey, train: list[Path], kinds: Iterable[str]) -> dict[str, tuple[float, float]]:
    """The numbers that become black and white for these storage formats, if not those of the natural range."""
    ranges = {}
    for kind in kinds:
        ends = list(_each([file for file in train if survey.kinds[file] == kind], pixels.extremes))
        if ends:
            found = range_of(kind, min(low for low, _ in ends), max(high for _, high in ends))
            if found != (0.0, NATURAL[kind]):
                ranges[kind] = found
    return ranges


def _images(files: list[Path], form: Form) -> Images:
    images = np.empty((len(files), form.height, form.width, form.channels), dtype=np.uint8)
    for index, image in enumerate(_each(files, lambda image: pixels.pixels(image, form))):
        images[index] = image
    return images


def _has_vanished(file: Path, image: Images) -> bool:
    """Whether an image shows a single colour although its file does not."""
    return bool((image == image[0, 0]).all()) and next(_each([file], pixels.varies))


def _each(files: Iterable[Path], look: Callable[[Image.Image], T]) -> Iterator[T]:
    for file in files:
        with pixels.opened(file) as image:
            yield look(image)


@contextmanager
def _silent() -> Iterator[None]:
    """Suppress Pillow's warnings about metadata: unreadable files raise an error anyway."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
