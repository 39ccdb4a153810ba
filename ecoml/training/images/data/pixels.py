"""Converts an image; the same rules hold for training and for later predictions.

    with opened(file) as image:
        levels = pixels(image, form)        # uint8 H×W×C, as the network takes it

1. Orientation: as the camera was held (EXIF).
2. Brightness: numbers become the levels 0 … 255, from black to white. Eight-bit numbers are levels already; sixteen-bit
numbers 0 … 65,535 and floats 0 … 1 are scaled. If the training images use little of that range (`range_of`), their own
least and largest number become black and white instead: a camera's twelve bits stored in sixteen.
3. Transparency: shown on black; on white if the visible part of each training image is dark, and on grey if it is dark
in some and bright in others.
4. Colour: three channels if any image of the data has colours, else one. Palettes and CMYK are converted.
5. Size: scaled until the shorter side fits, and cropped to the centre.

An image that cannot be read correctly is an error: numbers that are NaN or infinite, and sixteen-bit colours whose
lower half is needed but cannot be read.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from ecoml.errors import DataError
from ecoml.training.images.data.dataset import NATURAL, Form, Images, levels_of

BLACK, GREY, WHITE = 0, 128, 255

_GREY_MODES = frozenset(("1", "L", "LA", "La", "I", "F"))
_WITH_ALPHA = frozenset(("LA", "La", "PA", "RGBA", "RGBa"))
_HALVES = {
    f"{mode};16{order}": (f"{mode};16{order}", f"{mode};16{other}")
    for mode in ("RGB", "RGBX", "RGBA")
    for order, other in (("B", "L"), ("L", "B"), ("N", "B" if sys.byteorder == "little" else "L"))
}
"""Pillow's names for sixteen-bit colours, of which it reads the high byte → the modes that read the high and the low
byte.
"""

_GREY_AND_ALPHA = "LA;16B"
_TIFF_SAMPLES, _TIFF_UNSIGNED = 339, 1
_FEWEST_HALVED = 32  # levels, below which an image is taken for one whose numbers are in the lower eight bits


@contextmanager
def opened(file: Path) -> Iterator[Image.Image]:
    """An image file, open while the context is open.

    Raises:
        DataError: It cannot be read, on opening or inside the context.
    """
    try:
        # Given a path, Pillow 13 maps a TIFF into memory by its sides as they are stored, and garbles one held upright.
        with file.open("rb") as stream, Image.open(stream) as image:
            yield image
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        why = "its format is not recognised" if isinstance(error, UnidentifiedImageError) else error
        raise DataError(f"{file}: cannot be read as an image ({why}); repair it, or keep it elsewhere") from None


def pixels(image: Image.Image, form: Form) -> Images:
    """A newly opened image in the form of a data set: uint8 H×W×C.

    Raises:
        ValueError, OSError: It cannot be read correctly.
    """
    image.draft(None, (2 * form.width, 2 * form.height))  # a JPEG is decoded no larger than needed
    image = _in_levels(image, form)
    if is_transparent(image):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (form.background,) * 3), image)
    image = image.convert("RGB" if form.channels == 3 else "L")
    if image.size != (form.width, form.height):
        image = ImageOps.fit(image, (form.width, form.height))
    return np.asarray(image).reshape(form.height, form.width, form.channels)


def is_grey(image: Image.Image) -> bool:
    """Whether an image has no colours, according to its file's header."""
    if image.mode == "P":
        palette = np.array(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return image.mode in _GREY_MODES or image.mode.startswith("I;16") or _raw_mode(image) == _GREY_AND_ALPHA


def is_transparent(image: Image.Image) -> bool:
    """Whether an image may have transparent pixels."""
    return image.mode in _WITH_ALPHA or "transparency" in image.info


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height in upright orientation; for a PNG this reads the entire file."""
    width, height = image.size
    turned = image.format != "TIFF" and image.getexif().get(0x0112, 1) >= 5
    return (height, width) if turned else (width, height)


def kind_of(image: Image.Image) -> str:
    """The storage format of an image's numbers: `8 bits`, `16 bits`, `32 bits` or `floats`."""
    if image.mode in ("I", "F"):
        return "32 bits" if image.mode == "I" else "floats"
    return "16 bits" if image.mode.startswith("I;16") or _is_deep_colour(image) else "8 bits"


def extremes(image: Image.Image) -> tuple[float, float]:
    """The least and the largest number of an image's colours, without transparency."""
    if kind_of(image) == "8 bits":
        colours = np.asarray(image.convert("L" if is_grey(image) else "RGB"))
    else:
        colours, _ = _numbers(image)
    return float(colours.min()), float(colours.max())


def varies(image: Image.Image) -> bool:
    """Whether an image has more than one colour, or more than one degree of transparency."""
    if kind_of(image) == "8 bits":
        bands = _bands(image.convert("RGBA"))
        return bool((bands != bands[0, 0]).any())
    return any(part is not None and bool((part != part[0, 0]).any()) for part in _numbers(image))


def seen_level(image: Image.Image, form: Form) -> float | None:
    """Mean level of an image's visible pixels, in [0, 255]; None if all or no pixels are transparent."""
    whole = _in_levels(image, form).convert("RGBA")
    seen = np.asarray(whole.getchannel("A"), dtype=float)
    if seen.min() == 255 or seen.max() == 0:
        return None
    return float((np.asarray(whole.convert("RGB").convert("L")) * seen).sum() / seen.sum())


def _in_levels(image: Image.Image, form: Form) -> Image.Image:
    """An image in upright orientation, with eight-bit numbers."""
    kind = kind_of(image)
    if kind == "8 bits":
        halved = ";16" in _raw_mode(image) or _largest(image) > NATURAL["8 bits"]
        image = ImageOps.exif_transpose(image)
        if halved and np.asarray(image).max() < _FEWEST_HALVED:
            raise ValueError("of its sixteen bits only the upper eight can be read, and they are empty; store eight")
        if kind not in form.ranges:
            return image
        alpha = is_transparent(image)
        bands = _bands(image.convert(("LA" if alpha else "L") if is_grey(image) else "RGBA" if alpha else "RGB"))
        colours, opacity = (bands[..., :-1], bands[..., -1:]) if alpha else (bands, None)
    else:
        colours, opacity = _numbers(image)
    colours = levels_of(colours, *form.range(kind))
    if opacity is not None:
        colours = np.concatenate([colours, levels_of(opacity, 0, NATURAL[kind])], axis=2)
    return Image.fromarray(colours.squeeze(2) if colours.shape[2] == 1 else colours)


def _numbers(image: Image.Image) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    """The numbers of an image of more than eight bits, upright: its colours H×W×C, and its opacity H×W×1 if it
    has one.
    """
    if _is_deep_colour(image):
        numbers = _deep_colours(image)
        return (numbers[..., :-1], numbers[..., -1:]) if numbers.shape[2] in (2, 4) else (numbers, None)
    unsigned = _TIFF_UNSIGNED in getattr(image, "tag_v2", {}).get(_TIFF_SAMPLES, ())
    numbers = _bands(ImageOps.exif_transpose(image))
    if unsigned and numbers.dtype == np.int32:  # Pillow reads them as if they had a sign
        numbers = numbers.view(np.uint32)
    if numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
        raise ValueError("it has pixels that are NaN or infinite")
    return numbers, None


def _is_deep_colour(image: Image.Image) -> bool:
    raw = _raw_mode(image)
    numbers = image.mode == "RGB" and _codec(image) == "ppm" and _largest(image) > NATURAL["8 bits"]
    return raw in _HALVES or raw == _GREY_AND_ALPHA or numbers


def _deep_colours(image: Image.Image) -> npt.NDArray[np.uint16]:
    """Sixteen-bit colours, H×W×C; Pillow itself returns only their upper eight bits."""
    assert isinstance(image, ImageFile), "only of a file is it known how its numbers are stored"
    assert image.fp is not None, "it was just opened"
    image.fp.seek(0)
    content = image.fp.read()
    raw = _raw_mode(image)
    if raw == _GREY_AND_ALPHA:
        bytes_ = _read_as(content, "RGBA")
        return bytes_[..., 0::2] * 256 + bytes_[..., 1::2]
    if raw in _HALVES:
        high, low = (_read_as(content, half) for half in _HALVES[raw])
        return high * 256 + low
    count, start = 3 * image.width * image.height, image.tile[0].offset
    numbers = np.frombuffer(content, ">u2", count, start).reshape(image.height, image.width, 3)
    return np.rint(numbers * (NATURAL["16 bits"] / _largest(image))).astype(np.uint16)


def _read_as(content: bytes, raw_mode: str) -> npt.NDArray[np.uint16]:
    """An image file as H×W×C, upright, decoded with another raw mode."""
    with Image.open(BytesIO(content)) as image:
        for number, tile in enumerate(image.tile):
            args = (raw_mode, *tile.args[1:]) if isinstance(tile.args, tuple) else raw_mode
            image.tile[number] = tile._replace(args=args)
        image.load()
        return _bands(ImageOps.exif_transpose(image)).astype(np.uint16)


def _raw_mode(image: Image.Image) -> str:
    """Pillow's name for the arrangement of bytes in a newly opened file; empty for other images."""
    args = _decoder_args(image)
    return str(args[0]) if args else ""


def _largest(image: Image.Image) -> int:
    """The number that stands for white in a PPM file; 0 for other images."""
    args = _decoder_args(image)
    return int(args[1]) if _codec(image).startswith("ppm") and len(args) > 1 else 0


def _codec(image: Image.Image) -> str:
    tiles = getattr(image, "tile", [])
    return str(tiles[0].codec_name) if tiles else ""


def _decoder_args(image: Image.Image) -> tuple[Any, ...]:
    tiles = getattr(image, "tile", [])
    args = tiles[0].args if tiles else ()
    return args if isinstance(args, tuple) else (args,)


def _bands(image: Image.Image) -> npt.NDArray[Any]:
    """The image's bands, H×W×C."""
    values = np.asarray(image)
    return values[..., None] if values.ndim == 2 else values
