"""The search space: the configurations that may be tried, and their map to and from the unit cube."""

from __future__ import annotations

from ecoml.space.files import available_spaces, load_space
from ecoml.space.parameters import Choice, Float, Int, Parameter
from ecoml.space.space import Space
from ecoml.space.values import Value

__all__ = ["Choice", "Float", "Int", "Parameter", "Space", "Value", "available_spaces", "load_space"]
