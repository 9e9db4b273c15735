"""Large values, in pieces (docs/format.md, section 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dachi_fast.reader._envelope import CHUNK, INDEX
from dachi_fast.reader._wire import Take, malformed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dachi_fast.reader._nodes import Nodes

_MOST_LEVELS: Final = 16


@dataclass(frozen=True)
class Blob:
    """A reference to a large value, a piece of it, or an index of pieces.

    Attributes:
        digest: hash of the node.
        node_id: its id.
        size_bytes: of the pieces below.
        levels: of indexes.
    """

    digest: bytes
    node_id: bytes
    size_bytes: int
    levels: int

    def read(self, nodes: Nodes) -> bytes:
        """Gives all the bytes."""
        return b"".join(self._pieces(nodes))

    def _pieces(self, nodes: Nodes) -> Iterator[bytes]:
        if self.levels > 0:
            for part in self._parts(nodes):
                yield from part._pieces(nodes)
            return
        piece = nodes.proved(CHUNK, self.digest, self.node_id)
        if len(piece) != self.size_bytes:
            raise malformed("a piece has another length")
        yield piece

    def _parts(self, nodes: Nodes) -> list[Blob]:
        content, ids = nodes.framed(INDEX, self.digest, self.node_id)
        parts = []
        for _ in range(content.count()):
            size_bytes, digest = content.varint(), content.raw(32)
            parts.append(Blob(digest, ids.raw(16), size_bytes, self.levels - 1))
        content.done()
        ids.done()
        if sum(part.size_bytes for part in parts) != self.size_bytes:
            raise malformed("an index and its pieces differ in length")
        return parts


@dataclass(frozen=True)
class Value:
    """A value: what stands in the leaf, and the rest.

    Attributes:
        inline: its first bytes.
        blob: what follows, if it is large.
    """

    inline: bytes
    blob: Blob | None

    @property
    def size_bytes(self) -> int:
        """How many there are."""
        return len(self.inline) + (self.blob.size_bytes if self.blob else 0)

    def read(self, nodes: Nodes) -> bytes:
        """Gives all the bytes."""
        return self.inline if self.blob is None else self.inline + self.blob.read(nodes)


def taken_value(content: Take, ids: Take) -> Value:
    """Reads a value, whose blob's id stands among `ids`."""
    tag = content.varint()
    inline = content.raw(tag >> 1)
    if tag % 2 == 0:
        return Value(inline, None)
    size_bytes, form, digest = content.varint(), content.u8(), content.raw(32)
    levels = form >> 1
    if levels > _MOST_LEVELS:
        raise malformed("an index is higher than any can be")
    return Value(inline, Blob(digest, ids.raw(16), size_bytes, levels))
