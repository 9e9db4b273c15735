"""Vectors of a namespace's documents (docs/format.md, section 9.6)."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dachi_fast.errors import Tampered
from dachi_fast.reader import _maps
from dachi_fast.reader._wire import Take, malformed, utf8

if TYPE_CHECKING:
    from dachi_fast.reader._nodes import Nodes

_PART_BYTES: Final = 512
_MOST_COMPONENTS: Final = 4096
# Components are rounded by 2^-11 of themselves.
_SLACK: Final = 1e-3


@dataclass(frozen=True)
class Space:
    """What the vectors of a space have in common.

    Attributes:
        model: what made them.
        dimension: components of each.
    """

    model: str
    dimension: int


@dataclass(frozen=True)
class Vector:
    """The vector of a document.

    Attributes:
        document_id: 32 hex digits.
        visibility: the class of searches that may see it, 0 to 255.
        expires_ns: when the document ceases to be there; 0 for never.
        components: of a vector of length 1, floats of 16 bits.
    """

    document_id: str
    visibility: int
    expires_ns: int
    components: tuple[float, ...]


def spaces(nodes: Nodes, root: _maps.Node | None) -> dict[str, Space]:
    """Gives the spaces of a namespace by name, ascending."""
    found = {}
    for name, record in _maps.prefixed(nodes, root, b"s"):
        take = Take(record)
        space = Space(take.text(), take.varint())
        take.done()
        if not 1 <= space.dimension <= _MOST_COMPONENTS:
            raise malformed("a space that cannot be")
        found[utf8(name)] = space
    return found


def vectors(nodes: Nodes, root: _maps.Node | None, name: str, space: Space) -> list[Vector]:
    """Gives the vectors of a space, ascending by document."""
    records: dict[bytes, bytes] = {}
    for rest, part in _maps.prefixed(nodes, root, b"w" + name.encode() + b"\0"):
        document_id = rest[:-1]
        record = records.get(document_id, b"")
        if len(rest) != 17 or rest[-1] * _PART_BYTES != len(record):
            raise malformed("a part of a vector is missing")
        records[document_id] = record + part
    return [_vector(key, record, space) for key, record in records.items()]


def _vector(document_id: bytes, record: bytes, space: Space) -> Vector:
    take = Take(record)
    visibility, expires_ns = take.u8(), take.u64()
    if len(take.rest) != 2 * space.dimension:
        raise malformed("a vector has not as many components as its space says")
    components = struct.unpack(f"<{space.dimension}e", take.rest)
    if not abs(math.hypot(*components) - 1) < _SLACK:
        raise malformed("a vector is not of length 1")
    return Vector(document_id.hex(), visibility, expires_ns, components)


def prove(nodes: Nodes, root: _maps.Node | None, expiries: dict[str, int]) -> None:
    """Proves that every vector belongs to a document, and ends with it."""
    found = spaces(nodes, root)
    for name, space in found.items():
        for vector in vectors(nodes, root, name, space):
            if expiries.get(vector.document_id) != vector.expires_ns:
                raise Tampered("tampered", "a vector belongs to no document")
    for rest, _ in _maps.prefixed(nodes, root, b"w"):
        if utf8(rest[:-18]) not in found:
            raise Tampered("tampered", "a vector lies in no space")
