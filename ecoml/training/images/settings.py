"""Settings: a configuration with all defaults filled in and all values checked."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple, get_type_hints

from ecoml.errors import UsageError, did_you_mean
from ecoml.space import Choice, Float, Int, Parameter, Space, Value
from ecoml.trial import Config

NO_BACKBONE = "none"

BACKBONES = (
    *("resnet18", "resnet34", "resnet50", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large"),
    *("efficientnet_b0", "efficientnet_b1", "shufflenet_v2_x1_0", "convnext_tiny"),
)
"""Backbones of torchvision: networks for images of any size, with weights from the user's disk."""

LARGEST_SIDE = 64
"""Largest side of images in pixels, unless a space asks for more."""


def _bad(key: str, value: Any, wanted: str) -> UsageError:
    return UsageError(f"the CNN training cannot use {key} = {value!r}; it takes {wanted}")


class Whole(NamedTuple):
    """A check for whole numbers in a range, perhaps for odd ones only."""

    low: int
    high: int
    odd: bool = False

    def checked(self, key: str, value: Any) -> int:
        whole = isinstance(value, numbers.Real) and not isinstance(value, bool) and float(value).is_integer()
        if not whole or not self.low <= value <= self.high or (self.odd and int(value) % 2 == 0):
            kind = "an odd whole number" if self.odd else "a whole number"
            raise _bad(key, value, f"{kind} from {self.low} to {self.high}")
        return int(value)


class Real(NamedTuple):
    """A check for finite numbers in a range; its ends belong to it unless they are open."""

    low: float
    high: float
    open_low: bool = False
    open_high: bool = False

    def checked(self, key: str, value: Any) -> float:
        real = isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
        if real and self.low <= value <= self.high:
            at_open_end = (self.open_low and value == self.low) or (self.open_high and value == self.high)
            if not at_open_end:
                return float(value)
        low = f"above {self.low:g}" if self.open_low else f"at least {self.low:g}"
        high = "" if math.isinf(self.high) else f" and {'below' if self.open_high else 'at most'} {self.high:g}"
        raise _bad(key, value, f"a number {low}{high}")


class OneOf(NamedTuple):
    """A check for one of several words."""

    options: tuple[str, ...]

    def checked(self, key: str, value: Any) -> str:
        if not isinstance(value, str) or value not in self.options:
            raise _bad(key, value, "one of " + ", ".join(self.options))
        return str(value)


class Strength(NamedTuple):
    """A check for a share from 0 to 1, or false and true."""

    def checked(self, key: str, value: Any) -> float:
        return Real(0.0, 1.0).checked(key, float(value) if isinstance(value, bool) else value)


class Text(NamedTuple):
    """A check for any text."""

    def checked(self, key: str, value: Any) -> str:
        if not isinstance(value, str):
            raise _bad(key, value, "a text")
        return value


Check = Whole | Real | OneOf | Strength | Text


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """The settings of the network. A model of the user's own reads its keys itself.

    Attributes:
        width: Channels of the first stage.
        depth: Number of convolution blocks.
        growth: Factor from one stage's channels to the next.
        channel_multiple: The channels of every stage are rounded to a multiple of this; 8 suits a GPU's tensor cores.
        kernel: Side of the convolutions in pixels, odd.
        block: `plain` (convolution, batch norm, activation), `residual` (two of them with a skip connection) or
            `separable` (depthwise and pointwise convolution).
        activation: `relu`, `gelu`, `silu` or `none`.
        head: `pool` (global average) or `flatten`.
        linear_layers: Number of linear layers after the head, including the classifier.
        backbone: One of `BACKBONES`: a network of torchvision with the user's weights, instead of one of ours. Of the
            keys above, it uses only `activation` and `linear_layers`, for its head.
        weights: The file of its weights, or a folder with a file for each backbone. Nothing is downloaded.
        frozen: `yes` trains only the head, `no` trains everything.
        dropout: Share of features dropped before each linear layer.
    """

    width: Annotated[int, Whole(1, 65_536)] = 16
    depth: Annotated[int, Whole(1, 1_000)] = 3
    growth: Annotated[float, Real(0.1, 10.0)] = 2.0
    channel_multiple: Annotated[int, Whole(1, 64)] = 1
    kernel: Annotated[int, Whole(1, 31, odd=True)] = 3
    block: Annotated[str, OneOf(("plain", "residual", "separable"))] = "plain"
    activation: Annotated[str, OneOf(("relu", "gelu", "silu", "none"))] = "relu"
    head: Annotated[str, OneOf(("pool", "flatten"))] = "pool"
    linear_layers: Annotated[int, Whole(1, 100)] = 1
    backbone: Annotated[str, OneOf((NO_BACKBONE, *BACKBONES))] = NO_BACKBONE
    weights: Annotated[str, Text()] = ""
    frozen: Annotated[str, OneOf(("yes", "no"))] = "yes"
    dropout: Annotated[float, Real(0.0, 0.9)] = 0.0


@dataclass(frozen=True, slots=True)
class Settings(NetworkSettings):
    """The settings of one training. Each field is a key of a configuration; a missing key has the default given here,
    and the check beside its type says which values it takes.

    Attributes:
        optimizer: `sgd` (with Nesterov momentum), `adam` or `adamw`.
        learning_rate: The highest learning rate; adam and adamw need about a hundredth of that for sgd.
        schedule: `constant`, `cosine` (falling), `triangle` (rising during the first quarter, then falling) or
            `averaged` (constant after a short rise; the network of each epoch has a running average of the weights).
        weight_decay: Weight decay of convolution and linear weights.
        momentum: Momentum of sgd.
        beta1: β1 of adam and adamw.
        beta2: β2 of adam and adamw.
        epsilon: ε of adam and adamw.
        batch_size: Largest number of images per step; an epoch is divided evenly.
        label_smoothing: Probability that is shared by all classes.
        epochs: Number of passes over the training images; each ends in a measurement.
        resolution: Shorter side of the network's input in pixels; 0: the images' own, at most `LARGEST_SIDE`.
        start_resolution: Share of the images' sides in the first epoch; it rises to 1 by the middle of the training.
            Only with the head `pool`, which takes images of any size, and for images of at least 16 pixels; a model of
            the user's own gets the full resolution unless this is given.
        skip_easy: Share of the images with a loss below the mean that an epoch leaves out, others each time; the
            remaining ones get a larger weight. Not in the first epoch, nor in the last eighth of the training.
        class_weights: Weight of rare classes in the loss: 0 (or false) for equal images, 1 (or true) for equal classes;
            a value between them is the exponent.
        shift: Largest shift of an image in pixels, in each direction.
        flip: `yes` mirrors every other image, left to right.
        cutout: Side in pixels of a square that is masked in each image.
    """

    optimizer: Annotated[str, OneOf(("sgd", "adam", "adamw"))] = "sgd"
    learning_rate: Annotated[float, Real(0.0, math.inf, open_low=True)] = 0.2
    schedule: Annotated[str, OneOf(("constant", "cosine", "triangle", "averaged"))] = "averaged"
    weight_decay: Annotated[float, Real(0.0, math.inf)] = 5e-4
    momentum: Annotated[float, Real(0.0, 1.0, open_high=True)] = 0.9
    beta1: Annotated[float, Real(0.0, 1.0, open_high=True)] = 0.9
    beta2: Annotated[float, Real(0.0, 1.0, open_high=True)] = 0.999
    epsilon: Annotated[float, Real(0.0, math.inf, open_low=True)] = 1e-8
    batch_size: Annotated[int, Whole(2, 10_000_000)] = 128
    label_smoothing: Annotated[float, Real(0.0, 1.0, open_high=True)] = 0.05
    epochs: Annotated[int, Whole(1, 1_000_000)] = 10
    resolution: Annotated[int, Whole(0, 1_024)] = 0
    start_resolution: Annotated[float, Real(0.25, 1.0)] = 0.7
    skip_easy: Annotated[float, Real(0.0, 0.9)] = 0.5
    class_weights: Annotated[float, Strength()] = 0.0
    shift: Annotated[int, Whole(0, 64)] = 0
    flip: Annotated[str, OneOf(("no", "yes"))] = "no"
    cutout: Annotated[int, Whole(0, 1_000)] = 0

    @classmethod
    def of(cls, config: Config, *, own_model: bool = False) -> Settings:
        """The settings of a configuration.

        Args:
            config: Its keys and values.
            own_model: Whether the user's own function builds the network. The keys of the network, and unknown keys,
                then belong to that function, and only those of the training are read.

        Raises:
            UsageError: A key is unknown, or a value cannot be used; the message names the key.
        """
        if own_model:
            known = {key: value for key, value in config.items() if key in _CHECKS and key not in _OF_THE_NETWORK}
            config = {"start_resolution": 1.0, **known}
        unknown = [key for key in config if key not in _CHECKS]
        if unknown:
            raise UsageError(
                f"the CNN training has no parameter {unknown[0]!r}; {did_you_mean(str(unknown[0]), _CHECKS)}"
            )
        values: dict[str, Any] = {key: _CHECKS[key].checked(key, value) for key, value in config.items()}
        return cls(**values)

    @property
    def keeps_features(self) -> bool:
        """Whether the backbone is frozen and its images never change, so that it processes each image once."""
        augmented = self.shift > 0 or self.flip == "yes" or self.cutout > 0
        return self.backbone != NO_BACKBONE and self.frozen == "yes" and not augmented

    def sides_of(self, sides: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the network's input for images of these sides."""
        share = self.resolution / min(sides) if self.resolution else 1.0
        return round(sides[0] * share), round(sides[1] * share)


_CHECKS: Mapping[str, Check] = {
    key: hint.__metadata__[0] for key, hint in get_type_hints(Settings, include_extras=True).items()
}

_OF_THE_NETWORK = frozenset(field.name for field in fields(NetworkSettings))

DEFAULTS: Mapping[str, Any] = MappingProxyType(asdict(Settings()))
"""Every key of a configuration and its default."""


def validate_space(space: Space, *, own_model: bool = False) -> None:
    """Check that every configuration of a space can be trained.

    Args:
        space: The space.
        own_model: As in `Settings.of`.

    Raises:
        UsageError: A parameter is unknown, or has values that cannot be used; the message names it.
    """
    for key, parameter in space.parameters.items():
        for value in _extremes(parameter):
            try:
                Settings.of({key: value}, own_model=own_model)
            except UsageError as error:
                raise UsageError(f"search space {space.name}: {error}" if space.name else str(error)) from None


def largest_side(space: Space) -> int:
    """Largest side of images in pixels: `LARGEST_SIDE`, or more if a space asks for more."""
    return max(LARGEST_SIDE, *(int(value) for value in options_of(space, "resolution", 0)))


def options_of(space: Space, key: str, default: Value) -> Iterable[Value]:
    """The values of a parameter that may be searched or fixed; its default if the space does not contain it."""
    return _extremes(space.parameters.get(key, default))


def _extremes(parameter: Parameter | Value) -> Iterable[Value]:
    """Values of a parameter such that all its values can be used if these can."""
    if isinstance(parameter, Choice):
        return parameter.options
    if isinstance(parameter, Float):
        return parameter.low, parameter.high
    if isinstance(parameter, Int):  # one more than the lowest: of odd numbers alone no range is made
        return parameter.low, min(parameter.low + 1, parameter.high), parameter.high
    return (parameter,)
