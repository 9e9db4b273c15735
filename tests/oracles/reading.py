"""What the second reader gives for a value, and the value itself, described alike."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from dachi_fast.reader import Array, Opaque, Scalar
from dachi_fast.values import dtype_text, lower
from tests.tokens import token

_CONTAINERS = (list, tuple, dict, set, frozenset)


def described(value: Any) -> Any:
    """Gives a description that is equal for a value and for what the reader gives for it."""
    kind = type(value)
    if kind in _CONTAINERS:
        return kind.__name__, _contents(value)
    if kind is np.ndarray:
        # Where both orders hold, or none does, there is no order to keep.
        flags = value.flags
        order = "F" if flags.f_contiguous and not flags.c_contiguous else "C"
        return "array", dtype_text(value.dtype), value.shape, order, value.tobytes(order)
    if kind is Array:
        return "array", value.dtype, value.shape, value.order, value.items
    if isinstance(value, np.generic):
        return "scalar", dtype_text(value.dtype), value.tobytes()[: value.dtype.itemsize]
    if kind is Scalar:
        return "scalar", value.dtype, value.item
    if isinstance(value, pathlib.PurePath):
        return "path", isinstance(value, pathlib.PureWindowsPath), str(value)
    if kind is Opaque:
        return "named", value.tag, described(value.content)
    if kind.__module__ in {"builtins", "datetime", "decimal", "fractions", "uuid"}:
        return token(value)
    lowered = lower(value)
    assert lowered is not None
    return "named", lowered[0], described(lowered[1])


def _contents(value: Any) -> Any:
    if isinstance(value, dict):
        return [(described(key), described(inner)) for key, inner in value.items()]
    contents = [described(element) for element in value]
    return sorted(contents, key=repr) if isinstance(value, set | frozenset) else contents
