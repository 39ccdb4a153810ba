"""The approximate duration of an epoch on a GPU: for a small network, mostly the time to launch its kernels.

    seconds = N / B · k · 2.5 µs + F / (¼ · peak),    k = 20 + Σ over convolutions of 12 + …

N: training images, B: images per batch, F: FLOP of an epoch (`floor.py`). 12: convolution, batch norm, activation and
pooling, each once forward and twice backward; 20: the batch's gather, its loss and the update. The kernels were counted
in the code of a step, and the time of a kernel is a published figure: only the ratio between two configurations
matters.
"""

from __future__ import annotations

from ecoml.training.images.network.floor import Floor
from ecoml.training.images.network.form import form_of
from ecoml.training.images.network.plan import Plan
from ecoml.training.images.settings import Settings
from ecoml.trial import Config

_KERNEL_S = 2.5e-6
_SHARE_OF_PEAK = 0.25
_OF_A_STEP = 20
_OF_A_CONVOLUTION = 12
_OF_A_LAYER = 4
_OF_AUGMENTATION = 12


def epoch_seconds(config: Config, data: Floor, peak_flop_per_s: float) -> float:
    """A number roughly proportional to the seconds of an epoch of a built-in network.

    Args:
        config: The configuration of the training.
        data: Shape and counts of the training's data.
        peak_flop_per_s: The device's peak performance.
    """
    settings = Settings.of(config)
    steps = max(1.0, data.train_images / settings.batch_size)
    arithmetic_s = data.flops({**config, "epochs": 1}, 1) / (_SHARE_OF_PEAK * peak_flop_per_s)
    return steps * kernels(settings, form_of(settings, data.shape, data.classes)) * _KERNEL_S + arithmetic_s


def kernels(settings: Settings, form: Plan) -> int:
    """The approximate number of kernels that a step launches."""
    augmented = settings.shift > 0 or settings.flip == "yes" or settings.cutout > 0
    layers = len(form.widths) - 1
    return _OF_A_STEP + _OF_A_CONVOLUTION * form.convolutions + _OF_A_LAYER * layers + _OF_AUGMENTATION * augmented
