"""What the maps hold: names, namespaces, versions (docs/format.md, section 9)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from dachi_fast.reader._blobs import Value, taken_value
from dachi_fast.reader._envelope import ROOT, Opener
from dachi_fast.reader._maps import Node, root_of
from dachi_fast.reader._wire import Take, malformed


@dataclass(frozen=True)
class Version:
    """One saved version of an agent.

    Attributes:
        number: from 1.
        created_ns: when it was saved, in nanoseconds since 1970.
        base: the version it follows; 0 for the first.
        restores: the version it is equal to, when it came from a rollback; else 0.
        written_bytes: of the nodes that were written for it.
        total_bytes: the same of all versions of its branch up to it.
        source: name and number of the version it was forked or copied from.
        tags: names it goes by.
        justification: why, in the caller's words.
        state: root of the map of its state; None if that is empty.
        blueprint: encoded, inline or as a blob.
        classes: the same; nothing where there is none.
    """

    number: int
    created_ns: int
    base: int
    restores: int
    written_bytes: int
    total_bytes: int
    source: tuple[str, int] | None
    tags: tuple[str, ...]
    justification: str
    state: Node | None
    blueprint: Value
    classes: Value

    @property
    def root(self) -> str:
        """Hash of the state's root in hex; zeros for an empty one."""
        return (self.state.digest if self.state else bytes(32)).hex()

    @property
    def fingerprint(self) -> str:
        """Hash of the content in hex: equal for equal content, however it came about."""
        state = self.state.digest if self.state else bytes(32)
        keys = self.state.keys[0] if self.state and self.state.keys else bytes(32)
        sides = (self.blueprint, self.classes)
        blobs = [side.blob.digest if side.blob else bytes(32) for side in sides]
        length = len(self.blueprint.inline).to_bytes(8, "big")
        parts = [state, keys, *blobs, length, *(side.inline for side in sides)]
        return hashlib.sha256(b"dachi_fast fingerprint" + b"".join(parts)).hexdigest()


def version_of(record: bytes) -> Version:
    """Reads a version record."""
    take = Take(record)
    number, created_ns = take.varint(), take.u64()
    base, restores, written_bytes, total_bytes = (take.varint() for _ in range(4))
    source = (take.text(), take.varint()) if take.flag() else None
    tags = tuple(take.text() for _ in range(take.count()))
    justification, state = take.text(), root_of(take)
    blueprint, classes = taken_value(take, take), taken_value(take, take)
    take.done()
    return Version(
        number,
        created_ns,
        base,
        restores,
        written_bytes,
        total_bytes,
        source,
        tags,
        justification,
        state,
        blueprint,
        classes,
    )


def name_key(store_key: bytes, name: str) -> bytes:
    """Gives the key of a name in the top map."""
    return b"n" + hmac.digest(store_key, b"name" + name.encode(), "sha256")


def namespace_map(opener: Opener, namespace: bytes, record: bytes) -> Node | None:
    """Gives the root of a namespace's map out of its root record."""
    take = Take(opener.open(ROOT, namespace, record))
    root = root_of(take)
    take.done()
    return root


def number_of(key: bytes) -> int:
    """Gives a number in a key."""
    if len(key) != 8:
        raise malformed("a key of a map has a wrong length")
    return int.from_bytes(key, "big")
