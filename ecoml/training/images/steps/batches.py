"""The batches of an epoch: how many images each has, where they begin and end, and what memory they take."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from ecoml.training.images.data.resident import TrainingTask
from ecoml.training.images.network.plan import plan
from ecoml.training.images.settings import Settings

EVALUATION_BATCH = {"cpu": 500, "cuda": 10_000}
"""Images predicted at once: on a CPU as many as its caches hold, on a GPU all, or a quarter of them if they do not fit,
and so on."""


def batch_size(task: TrainingTask, settings: Settings) -> int:
    """Images of a batch, at most on a CPU, exactly on a GPU."""
    images = len(task.train)
    if task.device.type == "cuda":
        return images // _batches(images, settings.batch_size)
    return min(images, settings.batch_size)


def _batches(images: int, size: int) -> int:
    """Number of batches of `images`; none has fewer than two, since a batch norm needs two."""
    return max(1, min(math.ceil(images / size), images // 2))


def bounds_of(images: int, size: int, *, equal: bool) -> Iterator[tuple[int, int]]:
    """Where the batches of an epoch begin and end.

    Args:
        images: How many there are.
        size: Of a batch, at most (one more where it divides evenly).
        equal: Whether all batches have the very same size, as a recorded step needs; what is left over (less than one
            batch, other images each time) is left out. Otherwise the images are divided evenly.
    """
    if equal and images >= size:
        yield from ((start, start + size) for start in range(0, images - size + 1, size))
        return
    batches = _batches(images, size)
    ends = [images * number // batches for number in range(batches + 1)]
    yield from pairwise(ends)


def bytes_needed(task: TrainingTask, settings: Settings) -> int:
    """Roughly the memory that a training of a network of ours takes on its device."""
    batch, form = batch_size(task, settings), plan(settings, task.shape, len(task.classes))
    at_once = batch if task.device.type == "cuda" else min(EVALUATION_BATCH["cpu"], len(task.validation))
    return max(form.training_bytes(batch), form.evaluation_bytes(at_once))
