"""A module's state as plain tensors and JSON, which a safetensors file can store, and back.

Each tensor gets its own memory, so tied weights are stored twice. Sparse and complex tensors are stored as their parts.
Extra state (`get_extra_state`) is stored if it consists of numbers, texts, tensors, arrays, lists and dictionaries;
anything else would need a pickle, and is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_PARTS = {
    torch.sparse_coo: ("indices", "values"),
    torch.sparse_csr: ("crow_indices", "col_indices", "values"),
    torch.sparse_csc: ("ccol_indices", "row_indices", "values"),
    torch.sparse_bsr: ("crow_indices", "col_indices", "values"),
    torch.sparse_bsc: ("ccol_indices", "row_indices", "values"),
}
_LAYOUTS = {str(layout): layout for layout in _PARTS}

LEFT_OUT = "left out"


def packed(module: nn.Module) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The state of a module: tensors by name, on the CPU, and the form of the entries that are not plain tensors.

    The second is JSON; the form of an entry that cannot be stored is `{"left out": its type}`.
    """
    tensors: dict[str, Tensor] = {}
    forms: dict[str, Any] = {}
    for name, value in module.state_dict().items():
        if _is_plain(value):
            tensors[name] = _own(value)
            continue
        parts: dict[str, Tensor] = {}
        try:
            forms[name] = _form(name, value, parts)
            tensors |= parts
        except TypeError:
            forms[name] = {LEFT_OUT: type(value).__name__}
    return tensors, forms


def unpacked(tensors: Mapping[str, Tensor], forms: Mapping[str, Any]) -> dict[str, Any]:
    """The state that `packed` returned, without the entries that were left out."""
    left = dict(tensors)
    made = {name: _value(form, left) for name, form in forms.items() if LEFT_OUT not in form}
    return {**left, **made}


def _is_plain(value: Any) -> bool:
    return isinstance(value, Tensor) and value.layout is torch.strided and not value.is_complex()


def _own(value: Tensor) -> Tensor:
    """A dense copy on the CPU that shares no memory."""
    return value.detach().to("cpu", copy=True).contiguous()


def _form(name: str, value: Any, tensors: dict[str, Tensor]) -> Any:
    """A value as JSON; its tensors are added to `tensors`."""
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    if isinstance(value, Tensor):
        return _tensor_form(f"{name}/{len(tensors)}", value, tensors)
    if isinstance(value, np.ndarray | np.generic):
        return {"array": _tensor_form(f"{name}/{len(tensors)}", torch.from_numpy(np.array(value)), tensors)}
    if isinstance(value, list | tuple | set):
        return {type(value).__name__: [_form(name, item, tensors) for item in value]}
    if isinstance(value, Mapping):
        return {"dict": [[_form(name, key, tensors), _form(name, item, tensors)] for key, item in value.items()]}
    raise TypeError(type(value).__name__)


def _tensor_form(name: str, value: Tensor, tensors: dict[str, Tensor]) -> Any:
    value = value.detach()
    if _is_plain(value):
        tensors[name] = _own(value)
        return {"tensor": name}
    if value.layout in _PARTS:
        whole = value.coalesce() if value.layout is torch.sparse_coo else value
        parts = [_tensor_form(f"{name}.{part}", getattr(whole, part)(), tensors) for part in _PARTS[value.layout]]
        return {"sparse": str(value.layout), "size": list(value.shape), "parts": parts}
    if value.is_complex():
        return {"complex": _tensor_form(name, torch.view_as_real(value.resolve_conj()), tensors)}
    raise TypeError(str(value.layout))


def _value(form: Any, tensors: dict[str, Tensor]) -> Any:
    """The value that `_form` described; its tensors are removed from `tensors`."""
    match form:
        case {"value": value}:
            return value
        case {"tensor": name}:
            return tensors.pop(name)
        case {"array": inner}:
            return _value(inner, tensors).numpy()
        case {"complex": inner}:
            return torch.view_as_complex(_value(inner, tensors))
        case {"sparse": "torch.sparse_coo", "size": size, "parts": [indices, values]}:
            where, what = _value(indices, tensors), _value(values, tensors)
            return torch.sparse_coo_tensor(where, what, size, check_invariants=True).coalesce()
        case {"sparse": layout, "size": size, "parts": parts}:
            first, second, what = (_value(part, tensors) for part in parts)
            kind = _LAYOUTS[layout]
            return torch.sparse_compressed_tensor(first, second, what, size, layout=kind, check_invariants=True)
        case {"dict": pairs}:
            return {_value(key, tensors): _value(item, tensors) for key, item in pairs}
        case {"list": items}:
            return [_value(item, tensors) for item in items]
        case {"tuple": items}:
            return tuple(_value(item, tensors) for item in items)
        case {"set": items}:
            return {_value(item, tensors) for item in items}
    raise KeyError(f"a value of an unknown form ({form!r:.60})")
