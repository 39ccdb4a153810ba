"""ONNX, through `torch.export`: input `images` uint8 batch×C×H×W, outputs `probabilities` and `logits`."""

from __future__ import annotations

import importlib.util
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import torch
from torch import Tensor

from ecoml.errors import UsageError
from ecoml.models.export.program import Predict, exported_program
from ecoml.models.model import Model

OPSET = 18
"""Version of ONNX's operators: the oldest that this export can write, so that many runtimes can read it."""

_NEEDED = ("onnx", "onnxscript")


def onnx_file(model: Model, about: Mapping[str, Any]) -> tuple[bytes, Predict, str]:
    """The file, a function that predicts with it, and the name of the runtime.

    Args:
        model: The model.
        about: Information for the file's metadata, stored as JSON under `ecoml`.

    Raises:
        UsageError: A package is missing, or the network cannot be exported.
    """
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise UsageError(f"ONNX needs the package {' and '.join(missing)}; install it: pip install 'ecoml[onnx]'")
    graph = exported_program(model)
    with _quietly():
        made = torch.onnx.export(
            graph,
            opset_version=OPSET,
            input_names=["images"],
            output_names=["probabilities", "logits"],
            dynamo=True,
            verbose=False,
        )
    assert made is not None, "with dynamo=True there is a program"
    proto = made.model_proto
    for key, value in {"ecoml": json.dumps(about), "classes": json.dumps(list(model.classes))}.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value
    content: bytes = proto.SerializeToString()
    predict, runtime = _loaded(content)
    return content, predict, runtime


def _loaded(content: bytes) -> tuple[Predict, str]:
    """A function that predicts with the file: by onnxruntime, or else by ONNX's own reference, which is slow."""
    run: Any
    if importlib.util.find_spec("onnxruntime") is not None:
        import onnxruntime

        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        run, runtime = session.run, f"onnxruntime {onnxruntime.__version__}"
    else:
        import onnx
        from onnx.reference import ReferenceEvaluator

        run, runtime = ReferenceEvaluator(onnx.load_from_string(content)).run, f"onnx {onnx.__version__}'s reference"

    def predict(images: Tensor) -> tuple[Tensor, Tensor]:
        probabilities, logits = run(None, {"images": images.numpy()})
        return torch.from_numpy(probabilities), torch.from_numpy(logits)

    return predict, runtime


@contextmanager
def _quietly() -> Iterator[None]:
    """Suppress the exporter's progress and advice."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
