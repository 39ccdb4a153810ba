"""The batches of an epoch: their sizes, their bounds, and the memory they take."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from ecoml.training.images.data.resident import TrainingTask
from ecoml.training.images.network.form import form_of
from ecoml.training.images.settings import Settings

_PREDICTED = {"cpu": 500, "cuda": 10_000}
_OF_PIXELS = 64 * 64


def predicted_at_once(device: str, sides: tuple[int, int]) -> int:
    """Number of images that are predicted at once.

    On a CPU as many as its caches hold; on a GPU all, or a quarter of them if they do not fit, and so on. Images of
    more than 64×64 pixels are fewer, so that the number of pixels stays the same.

    Args:
        device: Its type, `cpu` or `cuda`.
        sides: Height and width of the images.
    """
    return max(1, min(_PREDICTED[device], _PREDICTED[device] * _OF_PIXELS // (sides[0] * sides[1])))


def batch_size(task: TrainingTask, settings: Settings) -> int:
    """Images per batch: the largest number on a CPU, the exact number on a GPU."""
    images = len(task.train)
    if task.device.type == "cuda":
        return images // _batches(images, settings.batch_size)
    return min(images, settings.batch_size)


def _batches(images: int, size: int) -> int:
    """Number of batches of `images`; none has fewer than two images, because a batch norm needs two."""
    return max(1, min(math.ceil(images / size), images // 2))


def bounds_of(images: int, size: int, *, equal: bool) -> Iterator[tuple[int, int]]:
    """Start and end of each batch of an epoch.

    Args:
        images: Number of images.
        size: Largest number of images per batch (one more if this divides evenly).
        equal: Whether all batches have exactly the same size, as recorded steps require; the remainder (less than one
            batch, other images each time) is left out. Otherwise the images are divided evenly.
    """
    if equal and images >= size:
        yield from ((start, start + size) for start in range(0, images - size + 1, size))
        return
    batches = _batches(images, size)
    ends = [images * number // batches for number in range(batches + 1)]
    yield from pairwise(ends)


def bytes_needed(task: TrainingTask, settings: Settings) -> int:
    """The approximate memory in bytes that a training of one of our networks takes on its device."""
    batch, form = batch_size(task, settings), form_of(settings, task.shape, len(task.classes))
    predicted = min(predicted_at_once("cpu", form.shape[1:]), len(task.validation))
    at_once = batch if task.device.type == "cuda" else predicted
    needed = max(form.training_bytes(batch), form.evaluation_bytes(at_once))
    if not settings.resolution:
        return needed
    return needed + math.prod(form.shape) * (len(task.train) + len(task.validation))  # the images at that resolution
