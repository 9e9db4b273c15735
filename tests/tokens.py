"""What makes two state values the same: type, value, order, bits. Knows nothing of the codec."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import math
import struct
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pydantic

from dachi_fast import BaseModule

_PLAIN = (type(None), type(...), bool, int, str, bytes)


def token(value: Any) -> Any:
    """Gives a description that is equal for two values exactly if they are the same."""
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    return (name, _content(value, kind))


def same(a: object, b: object) -> bool:
    """Whether two values have the same type and content, bit for bit."""
    return bool(token(a) == token(b))


def _content(value: Any, kind: type) -> Any:
    if kind in _PLAIN:
        return value
    if kind is float:
        return struct.pack(">d", value)
    if kind is complex:
        return struct.pack(">dd", value.real, value.imag)
    if kind in (list, tuple):
        return tuple(map(token, value))
    if kind is dict:
        return tuple((token(key), token(inner)) for key, inner in value.items())
    if kind in (set, frozenset):
        return tuple(sorted(map(token, value), key=repr))
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, np.generic):
        return _dtype(value.dtype), _items(value)
    return _named(value)


def _array(value: np.ndarray[Any, Any]) -> Any:
    # Where both orders hold, or none does, there is no order to keep.
    c_order, fortran = value.flags.c_contiguous, value.flags.f_contiguous
    order = "F" if fortran and not c_order else "C"
    return _dtype(value.dtype), value.shape, order, _items(value)


def _items(value: Any) -> Any:
    """Gives the bytes of an array or scalar; of records field by field: padding is no content."""
    names = value.dtype.names
    if value.dtype.char in "gG":  # a long double does not use all its bytes
        return repr(value.tolist())
    return [_items(value[name]) for name in names] if names else value.tobytes()


def _dtype(dtype: np.dtype[Any]) -> Any:
    names = dtype.names and [(n, *map(str, dtype.fields[n])) for n in dtype.names]  # type: ignore[index]
    return dtype.str, dtype.char, dtype.itemsize, repr(names)


def _named(value: Any) -> Any:
    if isinstance(value, datetime.datetime | datetime.time):
        naive = value.replace(tzinfo=None)
        return naive.isoformat(), value.fold, _zone(value.tzinfo)
    if isinstance(value, Decimal):
        return str(value.as_tuple())
    if isinstance(value, enum.Enum):
        return value.name, token(value.value)
    if isinstance(value, BaseModule):
        return token(value.spec(to_dict=True)), token(value.state_dict())
    if isinstance(value, pydantic.BaseModel):
        private = value.__pydantic_private__
        fields_set = sorted(value.__pydantic_fields_set__)
        return token(value.__dict__), fields_set, token(value.__pydantic_extra__), token(private)
    if dataclasses.is_dataclass(value):
        fields = [field.name for field in dataclasses.fields(value)]
        return [(name, token(getattr(value, name))) for name in fields if hasattr(value, name)]
    if isinstance(value, tuple):
        return tuple(map(token, value))
    return repr(value)


def _zone(zone: datetime.tzinfo | None) -> Any:
    if isinstance(zone, ZoneInfo):
        return "zoneinfo", zone.key
    if zone is datetime.UTC:
        return "utc"
    return None if zone is None else ("fixed", repr(zone))


def nan(payload: int, sign: int = 0) -> float:
    """Gives a quiet NaN with these payload bits."""
    bits = sign << 63 | 0x7FF8 << 48 | payload
    made: float = struct.unpack(">d", struct.pack(">Q", bits))[0]
    assert math.isnan(made)
    return made
