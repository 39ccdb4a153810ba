"""Models for programs without ecoml: ONNX, torch programs, safetensors with plain PyTorch source.

    export      one of them into a folder, checked first on images, with what goes with it
    deployed    the network as it leaves: from pixels to probabilities
    onnx_file   ONNX, by `torch.export`
    program     a program of `torch.export`
    source      weights as safetensors, and the Python that builds the network

All of them take pixels, uint8 N×C×H×W, and give probabilities and logits.
"""

from ecoml.models.export.export import FORMATS, Exported, export_model

__all__ = ["FORMATS", "Exported", "export_model"]
