"""Plan: the shape of a network before it is built, and the memory of its training.

Notation: k kernel, c_in and c_out channels in and out, h×w pixels; all counts are per image or per network.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from ecoml.training.images.settings import Settings

Shape = tuple[int, int, int]
"""Channels, height and width of one image."""

_CONVOLUTIONS = {"plain": 1, "separable": 2, "residual": 2}


@dataclass(frozen=True, slots=True)
class Block:
    """One convolution block.

    Attributes:
        kind: `plain`, `residual` or `separable`.
        inputs: Channels in.
        outputs: Channels out.
        kernel: Side of its convolutions.
        pixels: Height times width of its input.
        pooled: Whether 2×2 max pooling follows.
    """

    kind: str
    inputs: int
    outputs: int
    kernel: int
    pixels: int
    pooled: bool

    @property
    def parameters(self) -> int:
        """Number of weights: convolutions without bias, and two per channel of each batch norm."""
        area = self.kernel**2
        if self.kind == "separable":
            return self.inputs * (area + 2) + self.outputs * (self.inputs + 2)
        first = self.outputs * (self.inputs * area + 2)
        if self.kind == "plain":
            return first
        skip = self.outputs * (self.inputs + 2) if self.inputs != self.outputs else 0
        return first + self.outputs * (self.outputs * area + 2) + skip

    @property
    def products(self) -> int:
        """Multiplications per pixel in one forward pass of its convolutions."""
        area = self.kernel**2
        if self.kind == "separable":
            return self.inputs * (area + self.outputs)
        first = self.outputs * self.inputs * area
        if self.kind == "plain":
            return first
        return first + self.outputs**2 * area + (self.outputs * self.inputs if self.inputs != self.outputs else 0)

    @property
    def activations(self) -> int:
        """Number of values that a forward pass stores for the backward pass."""
        convolution = 3 * self.outputs * self.pixels  # what the convolution, the batch norm and the activation give
        if self.kind != "residual" and self.pooled:  # the batch norm sees a quarter of it; indices take eight bytes
            convolution = self.outputs * self.pixels + 5 * self.outputs * self.pixels // 4
        if self.kind == "separable":
            return convolution + 3 * self.inputs * self.pixels
        if self.kind == "residual":
            return 2 * convolution + (2 * self.outputs * self.pixels if self.inputs != self.outputs else 0)
        return convolution


@dataclass(frozen=True, slots=True)
class Plan:
    """The shape of a network.

    Attributes:
        shape: Shape of the images.
        blocks: The convolution blocks in order.
        pooled: Whether the head averages over the remaining pixels (otherwise it keeps them all).
        widths: Sizes between the linear layers: features, hidden widths, classes.
    """

    shape: Shape
    blocks: tuple[Block, ...]
    pooled: bool
    widths: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """Number of trainable parameters."""
        return sum(block.parameters for block in self.blocks) + self.linear_parameters

    @property
    def linear_parameters(self) -> int:
        """Number of parameters of the linear layers."""
        return sum((inputs + 1) * outputs for inputs, outputs in pairwise(self.widths))

    @property
    def linear_flops(self) -> int:
        """FLOP of one image's forward pass in the linear layers."""
        return 2 * sum(inputs * outputs for inputs, outputs in pairwise(self.widths))

    @property
    def convolutions(self) -> int:
        """Number of convolutions."""
        skips = sum(block.kind == "residual" and block.inputs != block.outputs for block in self.blocks)
        return sum(_CONVOLUTIONS[block.kind] for block in self.blocks) + skips

    @property
    def activations(self) -> int:
        """Number of values that one image's forward pass stores for the backward pass."""
        channels, height, width = self.shape
        return channels * height * width + sum(block.activations for block in self.blocks) + 2 * sum(self.widths)

    def flops(self, sides: tuple[int, int] | None = None) -> int:
        """FLOP of one image's forward pass, two per multiplication in convolutions and linear layers.

        Args:
            sides: Height and width of the image, if they differ from those of `shape`; only with a pooled head.
        """
        height, width = sides or self.shape[1:]
        products = 0
        for block in self.blocks:
            products += block.products * height * width
            if block.pooled:
                height, width = height // 2, width // 2
        return 2 * products + self.linear_flops

    def training_flops(self, sides: tuple[int, int], epochs: int, train: int, validation: int) -> int:
        """FLOP of a number of epochs at a resolution, by numbers of images; the backward pass takes twice the forward
        pass.
        """
        return epochs * self.flops(sides) * (3 * train + validation)

    @property
    def counts(self) -> tuple[int, ...]:
        """Quantities that the cost of predictions increases with: layers, weights, arithmetic, intermediate values."""
        return self.convolutions, len(self.widths), self.parameters, self.flops(), self.activations

    def training_bytes(self, batch: int) -> int:
        """Approximate memory of one step: weights, gradients and two optimiser states, and one batch's activations."""
        return 4 * (4 * self.parameters + batch * self.activations)

    def evaluation_bytes(self, batch: int) -> int:
        """Approximate memory of predicting one batch: the weights, and the activations of the largest block."""
        return 4 * (self.parameters + batch * max(block.activations for block in self.blocks))


def plan(settings: Settings, shape: Shape, classes: int) -> Plan:
    """The network that `settings` describe for images of `shape`, at their resolution.

    The depth is divided evenly among as many stages as the shorter side can be halved without falling below 2 pixels,
    but at most `depth`; remaining blocks go to the last stages, where images are small. Stage s (from 0) has
    round(width · growth^s) channels, rounded to a multiple of `channel_multiple`, and ends with 2×2 max pooling. Images
    that cannot be halved get one stage without pooling.
    """
    channels, height, width = shape = shape[0], *settings.sides_of(shape[1:])
    halvings = max(min(height, width), 1).bit_length() - 2
    stages = max(1, min(settings.depth, halvings))
    blocks: list[Block] = []
    for stage in range(stages):
        multiple = settings.channel_multiple
        outputs = multiple * max(1, round(settings.width * settings.growth**stage / multiple))
        depth = (settings.depth + stage) // stages
        for index in range(depth):
            # A depthwise convolution of a grey image would have a single filter, so the first block is a plain one.
            kind = "plain" if settings.block == "separable" and not blocks else settings.block
            pooled = halvings > 0 and index == depth - 1
            blocks.append(Block(kind, channels, outputs, settings.kernel, height * width, pooled))
            channels = outputs
            if pooled:
                height, width = height // 2, width // 2
    features = channels if settings.head == "pool" else channels * height * width
    return Plan(shape, tuple(blocks), settings.head == "pool", linear_widths(settings, features, classes))


def linear_widths(settings: Settings, features: int, classes: int) -> tuple[int, ...]:
    """Sizes between the linear layers; layer i (from 0) has features / 2^(i+1) outputs, but at least the number of
    classes.
    """
    hidden = (max(classes, features // 2 ** (i + 1)) for i in range(settings.linear_layers - 1))
    return features, *hidden, classes
