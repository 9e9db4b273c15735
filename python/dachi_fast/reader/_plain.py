"""Values as JSON, for those who only look."""

from __future__ import annotations

import base64
import math
from typing import Any

from dachi_fast.reader._values import Array, Opaque, Scalar


def plain(value: Any) -> Any:
    """Gives a value as JSON can hold it; what JSON lacks is an object of one member, ``$type``."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": repr(value)}
    if isinstance(value, str):
        # Of lone surrogates JSON knows escapes only.
        return value
    if isinstance(value, list):
        return [plain(element) for element in value]
    if isinstance(value, dict):
        return _dict(value)
    if isinstance(value, bytes):
        return {"$bytes": _base64(value)}
    if isinstance(value, tuple | set | frozenset):
        return {f"${type(value).__name__}": [plain(element) for element in value]}
    if isinstance(value, Array):
        items = {"order": value.order, "items": _base64(value.items)}
        return {"$array": {"dtype": value.dtype, "shape": list(value.shape), **items}}
    if isinstance(value, Scalar):
        return {"$scalar": {"dtype": value.dtype, "item": _base64(value.item)}}
    if isinstance(value, Opaque):
        return {f"${value.tag}": plain(value.content)}
    return {f"${type(value).__name__.lower()}": str(value)}


def _dict(value: dict[Any, Any]) -> Any:
    if all(type(key) is str and not key.startswith("$") for key in value):
        return {key: plain(inner) for key, inner in value.items()}
    return {"$dict": [[plain(key), plain(inner)] for key, inner in value.items()]}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
