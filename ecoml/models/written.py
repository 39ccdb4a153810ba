"""Texts that accompany a model, from templates: source files and the model card."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ecoml.models.model import Model
from ecoml.training.images.data.dataset import NATURAL, levels_of

_TEMPLATES = Path(__file__).with_name("templates")


def written(template: str, model: Model, **context: Any) -> str:
    """The text of a template of `ecoml/models/templates` for a model."""
    channels, height, width = model.network.shape
    form = model.preprocess.form
    low, high = form.range("8 bits")
    brightened = (low, high) != (0.0, NATURAL["8 bits"])
    made: str = (
        _environment()
        .get_template(template)
        .render(
            classes=model.classes,
            channels=channels,
            height=height,
            width=width,
            background=form.background,
            levels=_table(low, high) if brightened else None,
            temperature=model.temperature,
            trial=model.trial,
            **context,
        )
    )
    return made


def _table(low: float, high: float) -> list[int]:
    """The level after brightening, for each level before."""
    import numpy as np

    table: list[int] = levels_of(np.arange(256, dtype=np.float64), low, high).tolist()
    return table


@cache
def _environment() -> Environment:
    return Environment(  # what comes out is Python and Markdown, no HTML
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=False,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
