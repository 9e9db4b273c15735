"""How values of documents compare, as bytes: equal values have equal bytes, smaller ones smaller.

Values of different kinds are never equal, and come in this order: a field that is not there, None,
False and True, numbers, str, bytes, datetimes with a zone, datetimes without, dates, UUIDs. What
has no order (lists, NaN, integers beyond 64 bits) comes last, and equals nothing.

A component is a byte of its kind and a payload that no other one of the kind begins with, as in the
tuple layer of FoundationDB: text ends with two zero bytes, a zero byte in it is written 00 FF.
Numbers are the bits of the nearest float64, turned so that they ascend, and how far an integer is
from that.
"""

from __future__ import annotations

import datetime
import struct
import uuid
from typing import Any, Final

import numpy as np

ABSENT: Final = b"\x01"
UNORDERED: Final = b"\xf0"
_NONE, _FALSE, _TRUE = b"\x02", b"\x03", b"\x04"
_NUMBER, _TEXT, _BYTES = b"\x10", b"\x20", b"\x28"
_AWARE, _NAIVE, _DATE, _UUID = b"\x30", b"\x31", b"\x32", b"\x38"

_MICROSECOND: Final = datetime.timedelta(microseconds=1)
_EPOCH: Final = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - the clock on the wall has no zone
_AWARE_EPOCH: Final = _EPOCH.replace(tzinfo=datetime.UTC)
_SIGN: Final = 1 << 63
_ALL: Final = (1 << 64) - 1
# Beyond, float64 does not tell neighbouring integers apart.
_EXACT: Final = 1 << 53


def component(value: Any) -> bytes:
    """Gives the bytes that a value compares by; `UNORDERED` for one that has no order."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return _NONE
    if isinstance(value, str):
        return _TEXT + _ended(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, bool):
        return _TRUE if value else _FALSE
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, datetime.date):
        return _time(value)
    if isinstance(value, bytes):
        return _BYTES + _ended(value)
    if isinstance(value, uuid.UUID):
        return _UUID + value.bytes
    return UNORDERED


def behind(key: bytes) -> bytes:
    """Gives the smallest bytes behind all that begin with these, which begin with a kind."""
    key = key.rstrip(b"\xff")
    return key[:-1] + bytes([key[-1] + 1])


def _ended(data: bytes) -> bytes:
    return data.replace(b"\0", b"\0\xff") + b"\0\0"


def _number(value: float) -> bytes:
    if isinstance(value, int):
        if not -_SIGN <= value <= _ALL:
            return UNORDERED
        nearest = float(value)
        rest = value - int(nearest) if abs(value) > _EXACT else 0
    else:
        if value != value:  # noqa: PLR0124 - NaN
            return UNORDERED
        nearest, rest = value, 0
    [bits] = struct.unpack(">Q", struct.pack(">d", nearest + 0.0))  # -0.0 is 0.0
    turned = bits ^ _ALL if bits & _SIGN else bits ^ _SIGN
    return _NUMBER + struct.pack(">QH", turned, rest + 0x8000)


def _time(value: datetime.date) -> bytes:
    if not isinstance(value, datetime.datetime):
        return _DATE + struct.pack(">I", value.toordinal())
    if value.utcoffset() is None:
        kind, passed = _NAIVE, value.replace(tzinfo=None) - _EPOCH
    else:
        kind, passed = _AWARE, value - _AWARE_EPOCH
    return kind + struct.pack(">Q", passed // _MICROSECOND + _SIGN)
