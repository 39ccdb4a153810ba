"""A program of `torch.export` (.pt2): it runs wherever torch does, without source code."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ecoml.errors import UsageError, in_one_line
from ecoml.models.export.deployed import Deployed, batch_of_two
from ecoml.models.model import Model
from ecoml.training.images.network.own import default_dtype

Predict = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Returns the probabilities and logits of images, computed by the export."""


def exported_program(model: Model) -> torch.export.ExportedProgram:
    """The network as a graph, for batches of any size.

    Raises:
        UsageError: The network branches on values, as one of the user's own may.
    """
    sizes = ({0: torch.export.Dim("batch", min=1)},)
    try:
        with torch.no_grad(), default_dtype(model.network.mean.dtype):
            return torch.export.export(Deployed(model), (batch_of_two(model),), dynamic_shapes=sizes)
    except Exception as error:
        raise UsageError(
            f"{model.path}: torch.export cannot make a graph of this network ({in_one_line(error):.160}); its"
            " forward() may branch on shapes, but not on values"
        ) from None


def program(model: Model, about: Mapping[str, Any]) -> tuple[bytes, Predict]:
    """The file, and a function that predicts with it.

    Args:
        model: The model.
        about: Information stored beside it in `extra_files`, as JSON under `ecoml`.
    """
    file = io.BytesIO()
    torch.export.save(exported_program(model), file, extra_files={"ecoml": json.dumps(about)})
    loaded = torch.export.load(io.BytesIO(file.getvalue())).module()
    return file.getvalue(), loaded
