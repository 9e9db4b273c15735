"""Nodes: opened, and proved by the hash their parent holds (docs/format.md, section 6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from blake3 import blake3

from dachi_fast.errors import Missing, Tampered
from dachi_fast.reader._wire import Take

if TYPE_CHECKING:
    from dachi_fast.reader._envelope import Opener

_HASH_KEY: Final = b"dachi_fast hash of a node, kind"

Find = Callable[[bytes], bytes | None]
"""Gives the envelope under an id, None if there is none."""


def hash_of(kind: int, content: bytes) -> bytes:
    """Gives the hash of a node."""
    digest: bytes = blake3(content, key=_HASH_KEY + bytes([kind])).digest()
    return digest


class Nodes:
    """The nodes of one namespace, or the store's own.

    Args:
        find: the engine.
        opener: the keys.
        met: gets the id of every node that is opened.
    """

    def __init__(self, find: Find, opener: Opener, met: set[bytes]) -> None:
        self.namespace = opener.namespace
        self._find = find
        self._opener = opener
        self._met = met

    def content(self, kind: int, node_id: bytes) -> bytes:
        """Gives what a node holds.

        Raises:
            Missing: it is not there.
        """
        sealed = self._find(node_id)
        if sealed is None:
            what = "a node that the head leads to is not in the store"
            raise Missing("missing", what, node=node_id.hex(), kind=kind)
        content = self._opener.open(kind, node_id, sealed)
        self._met.add(node_id)
        return content

    def proved(self, kind: int, digest: bytes, node_id: bytes) -> bytes:
        """Gives what a node holds, all of which its hash covers."""
        content = self.content(kind, node_id)
        _check(kind, content, digest, node_id)
        return content

    def framed(self, kind: int, digest: bytes, node_id: bytes) -> tuple[Take, Take]:
        """Gives content and ids of a node whose hash covers the content alone."""
        ids = Take(self.content(kind, node_id))
        content = ids.sized()
        _check(kind, content, digest, node_id)
        return Take(content), ids


def _check(kind: int, content: bytes, digest: bytes, node_id: bytes) -> None:
    if hash_of(kind, content) != digest:
        what = "a node is not the one that its parent refers to"
        raise Tampered("tampered", what, node=node_id.hex(), kind=kind)
