"""Models to take home: trained networks that predict without the run that made them, and without ecoml.

load        a run or a file → `Model`
model       its predictions; `preprocess` converts images for it
inputs      the images that a command line names: files, folders, `.npz` files
evaluation  the quality of predictions on labelled images
export      ONNX, torch programs, safetensors with plain PyTorch source
card        the model card, as Markdown; `written` text from templates

Importing this package imports torch.
"""

from __future__ import annotations

from ecoml.models.load import load_model
from ecoml.models.model import Model, Prediction
from ecoml.models.preprocess import Preprocess

__all__ = ["Model", "Prediction", "Preprocess", "load_model"]
