"""Text that a terminal may show, and values as text and as JSON.

Names, values and messages may hold anything, escape sequences that steer a terminal among it:
whatever is not printable is shown as Python writes it in a literal. JSON is ASCII for the same
reason.
"""

from __future__ import annotations

import base64
import datetime
import math
import reprlib
from pprint import pformat
from typing import Any, Final

import numpy as np

from dachi_fast.opaque import CLASSES, Opaque, opaque
from dachi_fast.values import lower

_LONGEST_SHOWN: Final = 160


def safe(text: str) -> str:
    """Gives text without what could steer a terminal, or turn the direction of writing."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def size(size_bytes: int) -> str:
    """Gives a number of bytes for people.

    Example:
        >>> size(999), size(1500), size(2_000_000)
        ('999 B', '1.5 kB', '2.0 MB')
    """
    if size_bytes < 1000:
        return f"{size_bytes} B"
    amount = float(size_bytes)
    for unit in ("kB", "MB", "GB"):
        amount /= 1000
        if amount < 999.95:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1000:.1f} TB"


def counted(count: int, one: str, many: str = "") -> str:
    """Gives a number of things; their plural, where it is not given, ends in s.

    Example:
        >>> counted(1, "name"), counted(2000, "entry", "entries")
        ('1 name', '2,000 entries')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def moment(at: datetime.datetime) -> str:
    """Gives a time as the ledger writes it: RFC 3339, UTC, six digits."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class _Short(reprlib.Repr):
    """Values on one line of bounded length."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = _LONGEST_SHOWN // 2

    def repr_ndarray(self, value: Any, _: int) -> str:
        return f"array({value.dtype}, shape={value.shape})"

    def repr_Opaque(self, value: Opaque, level: int) -> str:  # noqa: N802 -- reprlib's protocol
        return f"Opaque({value.kind!r}, {self.repr1(dict(value.fields), level)})"


def short(value: object) -> str:
    """Gives a value on one line, cut where it is long."""
    text = " ".join(_Short().repr(value).split())
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


def whole(value: object) -> list[str]:
    """Gives a value as lines of text, nothing cut."""
    try:
        text = pformat(value, width=100, sort_dicts=False)
    except Exception:  # noqa: BLE001 -- a class of the user's that cannot show itself
        text = pformat(plain(value), width=100, sort_dicts=False)
    return text.split("\n")


def plain(value: Any) -> Any:
    """Gives a value as JSON can write it; what JSON lacks is ``{"$type": ...}``.

    A value of a user's class looks alike whether this process knows the class or not.

    Example:
        >>> plain({"a": (1, b"x")})
        {'a': {'$type': 'tuple', 'items': [1, {'$type': 'bytes', 'base64': 'eA=='}]}}
    """
    if value is None or type(value) in {bool, int, str}:
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"$type": "float", "text": repr(value)}
    if type(value) is list:
        return [plain(item) for item in value]
    if type(value) is dict:
        return _plain_dict(value)
    if type(value) in {tuple, set, frozenset}:
        return {"$type": type(value).__name__, "items": [plain(item) for item in value]}
    if type(value) is bytes:
        return {"$type": "bytes", "base64": base64.b64encode(value).decode()}
    if isinstance(value, Opaque):
        return {"$type": value.kind, "fields": _fields(value)}
    if hasattr(value, "dtype"):
        return _plain_numpy(value)
    return _plain_other(value)


def _plain_dict(value: dict[Any, Any]) -> Any:
    if all(type(key) is str for key in value) and "$type" not in value:
        return {key: plain(item) for key, item in value.items()}
    return {"$type": "dict", "items": [[plain(k), plain(v)] for k, v in value.items()]}


def _fields(value: Opaque) -> dict[str, Any]:
    return {name: plain(field) for name, field in value.fields.items()}


def _plain_numpy(value: Any) -> Any:
    made = {"$type": type(value).__name__, "dtype": str(value.dtype)}
    if made["$type"] != "ndarray":
        return {**made, "text": str(value)}
    items = value.tolist()
    if not _is_json(value):
        items = plain(items)
    return {**made, "shape": list(value.shape), "items": items}


def _is_json(array: Any) -> bool:
    """Tells whether JSON has every item: a large array is then not gone through one by one."""
    if array.dtype.kind == "f":
        return array.dtype.itemsize <= 8 and bool(np.isfinite(array).all())
    return array.dtype.kind in "biu"


def _plain_other(value: Any) -> Any:
    lowered = lower(value)
    if lowered is not None and lowered[0] in CLASSES:
        shown = opaque(*lowered)
        return {"$type": shown.kind, "fields": _fields(shown)}
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return {"$type": type(value).__name__, "text": text}
