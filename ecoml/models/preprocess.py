"""Converts an image for a network, by the same functions as the training images.

An image is a path, a Pillow image, or an array or tensor H×W, H×W×C or C×H×W with C 1, 3 or (with opacity) 4; its
numbers are bool, whole numbers from 0 to 255 (or to 65,535), or floats from 0 to 1.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from ecoml.errors import DataError
from ecoml.training.images.data.dataset import Form, Images
from ecoml.training.images.data.npz import as_levels
from ecoml.training.images.data.pixels import opened, pixels

_CHANNELS = (1, 3, 4)


@dataclass(frozen=True, slots=True)
class Preprocess:
    """Converts any image to a network's input; called with several images, it returns a batch.

    Attributes:
        form: Height, width, channels, the background of transparent pixels, and which numbers are black and white.
    """

    form: Form

    def __call__(self, images: Any) -> Tensor:
        """The network's input uint8 N×C×H×W, of one image (N = 1) or of several.

        Args:
            images: An image, an array or tensor of several (N×H×W×C or N×C×H×W), or an iterable of images.

        Raises:
            DataError: One of them cannot be read, or is not an image.
        """
        return torch.from_numpy(np.stack([self.levels(image) for image in several(images)[0]]))

    def levels(self, image: Any) -> Images:
        """One image as uint8 C×H×W.

        Raises:
            DataError: It cannot be read, or is not an image.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about metadata: what cannot be read is an error here anyway
            if isinstance(image, str | os.PathLike):
                with opened(Path(image)) as file:
                    levels = pixels(file, self.form)
            elif isinstance(image, Image.Image):
                levels = _of_picture(image, self.form)
            else:
                levels = self._of_array(_array_of(image, self.form))
        return np.ascontiguousarray(levels.transpose(2, 0, 1))

    def _of_array(self, array: npt.NDArray[Any]) -> Images:
        """H×W×C in the form, from H×W×C of any size and number of channels."""
        levels, form = as_levels(array, self.form), self.form
        if levels.shape == (form.height, form.width, form.channels):
            return levels
        picture = Image.fromarray(levels.squeeze(2) if levels.shape[2] == 1 else levels)
        return _of_picture(picture, replace(form, ranges={}))

    def __repr__(self) -> str:
        form = self.form
        return f"Preprocess({form.channels}×{form.height}×{form.width})"


def several(images: Any) -> tuple[Iterable[Any], bool]:
    """The images one by one, and whether several images were given."""
    if isinstance(images, str | os.PathLike | Image.Image):
        return [images], False
    if isinstance(images, np.ndarray | Tensor):
        return (images, True) if images.ndim == 4 else ([images], False)
    if isinstance(images, Iterable):
        return images, True
    raise DataError(f"a {type(images).__name__} is not an image; give a path, a Pillow image, an array or a tensor")


def _array_of(image: Any, form: Form) -> npt.NDArray[Any]:
    """An array or a tensor of one image, as H×W×C; if the dimensions are ambiguous, the reading that matches the form.

    Raises:
        DataError: It is not an image.
    """
    array = image.numpy(force=True) if isinstance(image, Tensor) else image
    if not isinstance(array, np.ndarray):
        raise DataError(f"a {type(image).__name__} is not an image; give a path, a Pillow image, an array or a tensor")
    if array.dtype.kind not in "buif" or not array.size:
        raise DataError(f"an array of {array.dtype} and shape {array.shape} is not an image; pixels are numbers")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError("an image has pixels that are NaN or infinite; replace them")
    if array.ndim == 2:
        return array[..., None]
    first = array.shape == (form.channels, form.height, form.width)
    if array.ndim == 3 and array.shape[2] in _CHANNELS and not first:
        return array
    if array.ndim == 3 and array.shape[0] in _CHANNELS:
        return array.transpose(1, 2, 0)
    raise DataError(
        f"an array of shape {array.shape} is not an image; one is H×W, H×W×C or C×H×W, several are N×H×W×C or N×C×H×W"
    )


def _of_picture(picture: Image.Image, form: Form) -> Images:
    try:
        return pixels(picture, form)
    except (OSError, SyntaxError, ValueError, AssertionError) as error:
        raise DataError(f"an image cannot be read ({error}); give its file instead") from None
