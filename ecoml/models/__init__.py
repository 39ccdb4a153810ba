"""Models taken home: trained networks that predict, without the run that made them, and without ecoml.

    load        a run or a file → `Model`
    model       what it predicts; `preprocess` what becomes of an image before
    inputs      what a command line names: images, folders, `.npz` files
    evaluation  how good predictions on labelled images are
    export      ONNX, torch programs, safetensors with plain PyTorch source
    card        what a reader has to know of a model, as Markdown; `written` text from templates

Importing this package imports torch.
"""

from __future__ import annotations

from ecoml.models.load import load_model
from ecoml.models.model import Model, Prediction
from ecoml.models.preprocess import Preprocess

__all__ = ["Model", "Prediction", "Preprocess", "load_model"]
