"""Models for programs without ecoml: ONNX, torch programs, safetensors with plain PyTorch source.

export      writes one of them into a folder with its accompanying files, after a check on images
deployed    the exported network: from pixels to probabilities
onnx_file   ONNX, through `torch.export`
program     a program of `torch.export`
source      weights as safetensors, and the Python code that builds the network

All of them take pixels, uint8 N×C×H×W, and return probabilities and logits.
"""

from ecoml.models.export.export import FORMATS, Exported, export_model

__all__ = ["FORMATS", "Exported", "export_model"]
