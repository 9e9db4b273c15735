"""Values of a state out of their bytes (docs/format.md, section 10)."""

from __future__ import annotations

import datetime
import pathlib
import struct
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgpack

from dachi_fast.reader._wire import malformed

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Array:
    """An array of numpy's, as raw bytes.

    Attributes:
        dtype: numpy's name of the item type, or a JSON list that describes it.
        shape: extents, outermost first.
        order: ``"C"`` or ``"F"``.
        items: in that order.
    """

    dtype: str
    shape: tuple[int, ...]
    order: str
    items: bytes


@dataclass(frozen=True)
class Scalar:
    """A scalar of numpy's, as raw bytes.

    Attributes:
        dtype: numpy's name of its type.
        item: its bytes.
    """

    dtype: str
    item: bytes


@dataclass(frozen=True)
class Opaque:
    """A value of a class that only the program that saved it knows.

    Attributes:
        tag: what it was: ``"enum"``, ``"dataclass"``, ``"model"``, ``"namedtuple"``, ``"module"``
            or ``"foreign"``; or a date in a time zone that this machine does not know.
        content: what it held, mostly the name of its class and its fields.
    """

    tag: str
    content: Any = field(compare=False)
    _encoded: bytes = field(repr=False)


# What hooks and constructors raise for content that is not theirs.
_UNREADABLE: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    msgpack.UnpackException,
)


def decoded(data: bytes) -> Any:
    """Gives the value that takes all the bytes.

    Raises:
        Malformed: the bytes do not follow the format.
    """
    [value] = _values(data, 1)
    return value


def _values(data: bytes, count: int) -> list[Any]:
    """Gives so many values, which take all the bytes."""
    unpacker = msgpack.Unpacker(
        ext_hook=_extended,
        object_pairs_hook=_dict,
        strict_map_key=False,
        max_buffer_size=len(data),
    )
    unpacker.feed(data)
    try:
        found = [unpacker.unpack() for _ in range(count)]
    except _UNREADABLE as cause:
        raise malformed(f"a value cannot be read: {cause}") from cause
    if unpacker.tell() != len(data):
        raise malformed("bytes follow a value")
    return found


def _dict(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise malformed("a dict holds a key twice")
    return made


def _extended(code: int, data: bytes) -> Any:
    read = _EXTENSIONS.get(code)
    if read is None:
        raise malformed("an extension type that this version does not know", code=code)
    return read(data)


def _elements(data: bytes) -> list[Any]:
    elements = decoded(data)
    if type(elements) is not list:
        raise malformed("a tuple or set holds no array")
    return elements


def _set(kind: type) -> Callable[[bytes], Any]:
    def read(data: bytes) -> Any:
        elements = _elements(data)
        made = kind(elements)
        if len(made) != len(elements):
            raise malformed("a set holds an element twice")
        return made

    return read


def _head(data: bytes, count: int) -> tuple[list[Any], bytes]:
    """Gives the values at the beginning, and what follows them."""
    unpacker = msgpack.Unpacker(max_buffer_size=len(data))
    unpacker.feed(data)
    found = [unpacker.unpack() for _ in range(count)]
    return found, data[unpacker.tell() :]


def _array(data: bytes) -> Array:
    (dtype, fortran, shape), items = _head(data, 3)
    if fortran not in {0, 1} or type(shape) is not list or type(dtype) is not str:
        raise malformed("an array does not begin as one")
    return Array(dtype, tuple(shape), "F" if fortran else "C", items)


def _scalar(data: bytes) -> Scalar:
    (dtype,), item = _head(data, 1)
    return Scalar(dtype, item)


def _named(data: bytes) -> Any:
    tag, content = _values(data, 2)
    read = _STANDARD.get(tag)
    try:
        return Opaque(tag, content, data) if read is None else read(content)
    except ZoneInfoNotFoundError:  # this machine has no such time zone
        return Opaque(tag, content, data)


def _ellipsis(data: bytes) -> Any:
    if data:
        raise malformed("an Ellipsis holds something")
    return ...


_EXTENSIONS: Final[dict[int, Callable[[bytes], Any]]] = {
    1: _ellipsis,
    2: lambda data: int.from_bytes(data, "big", signed=True),
    3: lambda data: complex(*struct.unpack(">dd", data)),
    4: lambda data: data.decode("utf-8", "surrogatepass"),
    5: lambda data: tuple(_elements(data)),
    6: _set(set),
    7: _set(frozenset),
    8: _array,
    9: _scalar,
    10: _named,
}


def _zone(content: Any) -> datetime.tzinfo | None:
    if content is None:
        return None
    if isinstance(content, str):
        return ZoneInfo(content)
    offset, *name = content
    zone = datetime.timezone(datetime.timedelta(*offset), *name)
    return datetime.UTC if not name and zone == datetime.UTC else zone


def _datetime(content: Any) -> datetime.datetime:
    return datetime.datetime.combine(datetime.date(*content[:3]), _time(content[3:]))


def _time(content: Any) -> datetime.time:
    *moment, fold, zone = content
    return datetime.time(*moment).replace(fold=fold, tzinfo=_zone(zone))


def _path(content: Any) -> pathlib.PurePath:
    kind, text = content
    if kind in {"PurePosixPath", "PosixPath"}:
        return pathlib.PurePosixPath(text)
    if kind in {"PureWindowsPath", "WindowsPath"}:
        return pathlib.PureWindowsPath(text)
    raise malformed(f"a path of the unknown kind {kind!r}")


_STANDARD: Final[dict[str, Callable[[Any], Any]]] = {
    "datetime": _datetime,
    "date": lambda content: datetime.date(*content),
    "time": _time,
    "timedelta": lambda content: datetime.timedelta(*content),
    "decimal": Decimal,
    "fraction": lambda content: Fraction(*content),
    "uuid": lambda content: UUID(bytes=content),
    "path": _path,
}
