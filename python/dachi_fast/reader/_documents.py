"""Documents of a namespace, and the indexes that lead to them (docs/format.md, section 9.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dachi_fast.errors import Tampered
from dachi_fast.reader import _maps, _vectors
from dachi_fast.reader._values import decoded
from dachi_fast.reader._wire import Take, malformed, utf8

if TYPE_CHECKING:
    from dachi_fast.reader._nodes import Nodes


@dataclass(frozen=True)
class Document:
    """A document.

    Attributes:
        memory_type: of which kind.
        id: 32 hex digits, ascending as documents were stored.
        created_ns: when it was stored, in nanoseconds since 1970.
        updated_ns: when it was replaced last; at first the same.
        expires_ns: when it ceases to be there; 0 for never.
        entries: where indexes have it: number and order.
        value: what it holds.
    """

    memory_type: str
    id: str
    created_ns: int
    updated_ns: int
    expires_ns: int
    entries: tuple[tuple[int, bytes], ...]
    value: Any

    def _leading(self) -> dict[bytes, bytes]:
        """Gives what must lead to it."""
        kind, key = self.memory_type.encode(), bytes.fromhex(self.id)
        leading = {
            b"x" + kind + b"\0" + bytes([number]) + order + key: b""
            for number, order in self.entries
        }
        if self.expires_ns:
            leading[b"e" + self.expires_ns.to_bytes(8, "big") + key] = kind
        return leading


def documents(nodes: Nodes, root: _maps.Node | None) -> list[Document]:
    """Gives all documents, those that have expired included, by type and id."""
    found = []
    for rest, record in _maps.prefixed(nodes, root, b"d"):
        kind, id_ = rest[:-17], rest[-16:]
        if len(rest) < 18 or rest[-17] or 0 in kind:
            raise malformed("a document has a wrong key")
        take = Take(record)
        times = take.u64(), take.u64(), take.u64()
        entries = tuple((take.u8(), take.sized()) for _ in range(take.count()))
        found.append(Document(utf8(kind), id_.hex(), *times, entries, decoded(take.rest)))
    return found


def indexes(nodes: Nodes, root: _maps.Node | None) -> dict[str, list[list[str]]]:
    """Gives the fields of each index that was declared, by type."""
    found = {}
    for kind, record in _maps.prefixed(nodes, root, b"i"):
        take = Take(record)
        found[utf8(kind)] = [
            [take.text() for _ in range(take.count())] for _ in range(take.count())
        ]
        take.done()
    return found


def proved(nodes: Nodes, root: _maps.Node | None) -> int:
    """Proves documents, indexes that lead to them, and their vectors; gives how many documents."""
    found = documents(nodes, root)
    due = {key: value for document in found for key, value in document._leading().items()}
    led = {
        first + rest: value
        for first in (b"e", b"x")
        for rest, value in _maps.prefixed(nodes, root, first)
    }
    if led != due:
        raise Tampered("tampered", "the indexes of documents are not those of the documents")
    indexes(nodes, root)
    _vectors.prove(nodes, root, {document.id: document.expires_ns for document in found})
    return len(found)
