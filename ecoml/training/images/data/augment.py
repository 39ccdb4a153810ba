"""Augmentation of batches on the device: shifts and mirroring cost no more than the gather that makes the batch."""

from __future__ import annotations

import torch
from torch import Tensor

from ecoml.training.images.data.resident import Resident
from ecoml.training.images.settings import Settings


def batch_of(data: Resident, indices: Tensor, settings: Settings, full_height: int) -> tuple[Tensor, Tensor]:
    """Augmented images N×C×H×W, uint8 and channels_last, and labels N.

    Args:
        data: The images.
        indices: The images of the batch, int64 N.
        settings: `shift`, `flip` and `cutout`, in pixels of the full resolution.
        full_height: Height of the images at full resolution.
    """
    height, width = data.sides
    share = height / full_height
    shift, cutout = round(settings.shift * share), round(settings.cutout * share)
    flip = settings.flip == "yes"
    if not (shift or flip or cutout):
        return data.batch(indices)
    rows, columns = _pixels(height, indices), _pixels(width, indices)
    if shift:
        rows = _inside(rows + _moves(indices, shift), height)
        columns = _inside(columns + _moves(indices, shift), width)
    if flip:
        mirrored = torch.rand(len(indices), 1, device=indices.device) < 0.5
        columns = torch.where(mirrored, width - 1 - columns, columns)
    images = data.images[indices[:, None, None], rows[:, :, None], columns[:, None, :]]
    if cutout:
        hole = _hole(height, cutout, indices)[:, :, None] & _hole(width, cutout, indices)[:, None, :]
        images.masked_fill_(hole[..., None], 0)
    return images.permute(0, 3, 1, 2), data.labels.index_select(0, indices)


def _pixels(side: int, indices: Tensor) -> Tensor:
    """0 … side − 1 for each image, N×side."""
    return torch.arange(side, device=indices.device).expand(len(indices), side)


def _moves(indices: Tensor, most: int) -> Tensor:
    """A random whole number of pixels from −most to most for each image, N×1."""
    return torch.randint(-most, most + 1, (len(indices), 1), device=indices.device)


def _inside(positions: Tensor, side: int) -> Tensor:
    """Positions, with those beyond the edge reflected at it."""
    last = max(side - 1, 1)
    return (last - (positions.abs() % (2 * last) - last).abs()).clamp_(0, side - 1)


def _hole(side: int, size: int, indices: Tensor) -> Tensor:
    """Whether each pixel along one side is masked; N×side."""
    first = torch.randint(-(size // 2), max(side - size // 2, 1), (len(indices), 1), device=indices.device)
    offset = _pixels(side, indices) - first
    return (offset >= 0) & (offset < size)
