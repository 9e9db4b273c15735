"""Ordered maps as trees of nodes (docs/format.md, section 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dachi_fast.reader._blobs import Value, taken_value
from dachi_fast.reader._envelope import BRANCH, KEYS, LEAF, VALUES
from dachi_fast.reader._wire import Take, malformed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dachi_fast.reader._nodes import Nodes

_MOST_LEVELS: Final = 10
_MOST_KEY_BYTES: Final = 4096


@dataclass(frozen=True)
class Node:
    """A reference to a leaf or branch.

    Attributes:
        height: 0 for a leaf.
        split: whether leaves are split into keys and values.
        digest: its hash; of a split leaf, of its values.
        node_id: its id; of a split leaf, of its values.
        keys: hash and id of the keys of a split leaf.
        entries: below it.
        size_bytes: of the values below it.
    """

    height: int
    split: bool
    digest: bytes
    node_id: bytes
    keys: tuple[bytes, bytes] | None
    entries: int
    size_bytes: int


def root_of(take: Take) -> Node | None:
    """Reads the root of a map; None for an empty one."""
    if not take.flag():
        return None
    return _node(take, take, take.u8(), split=take.flag())


def entries(nodes: Nodes, root: Node | None) -> Iterator[tuple[bytes, Value]]:
    """Gives keys and values, ascending by key; every node is proved on the way."""
    last = None
    for key, value in () if root is None else _below(nodes, root):
        if last is not None and key <= last:
            raise malformed("the keys of a map do not ascend")
        last = key
        yield key, value


def prefixed(nodes: Nodes, root: Node | None, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Gives the entries whose keys begin with `prefix`: the rest of the key, and the value."""
    for key, value in entries(nodes, root):
        if key.startswith(prefix):
            yield key[len(prefix) :], value.read(nodes)


def _below(nodes: Nodes, node: Node) -> Iterator[tuple[bytes, Value]]:
    found = _leaf(nodes, node) if node.height == 0 else _branch(nodes, node)
    count = size_bytes = 0
    for key, value in found:
        count, size_bytes = count + 1, size_bytes + value.size_bytes
        yield key, value
    if (count, size_bytes) != (node.entries, node.size_bytes):
        raise malformed("a node holds more or less than its parent says")


def _branch(nodes: Nodes, node: Node) -> Iterator[tuple[bytes, Value]]:
    content, ids = nodes.framed(BRANCH, node.digest, node.node_id)
    if (content.u8(), content.flag()) != (node.height, node.split):
        raise malformed("a branch lies at a wrong height")
    count = content.count()
    if count == 0:
        raise malformed("a branch without children")
    last, children = b"", []
    for number in range(count):
        last = _key(content, last if number else None)
        children.append((last, _node(content, ids, node.height - 1, split=node.split)))
    content.done()
    ids.done()
    for last, child in children:
        key = None
        for key, value in _below(nodes, child):
            yield key, value
        if key != last:
            raise malformed("a branch names another last key than its child has")


def _leaf(nodes: Nodes, node: Node) -> Iterator[tuple[bytes, Value]]:
    kind = VALUES if node.keys else LEAF
    content, ids = nodes.framed(kind, node.digest, node.node_id)
    keys = content
    if node.keys:
        keys, none = nodes.framed(KEYS, *node.keys)
        none.done()
    count = content.count()
    if node.keys and keys.count() != count:
        raise malformed("a leaf has not as many values as keys")
    key = None
    for _ in range(count):
        key = _key(keys, key)
        yield key, taken_value(content, ids)
    for part in (keys, content, ids):
        part.done()


def _key(content: Take, before: bytes | None) -> bytes:
    shared, rest = content.varint(), content.sized()
    known = before or b""
    key = known[:shared] + rest
    if shared > len(known) or len(key) > _MOST_KEY_BYTES:
        raise malformed("a key in a node is too long")
    if before is not None and key <= before:
        raise malformed("the keys of a node do not ascend")
    return key


def _node(content: Take, ids: Take, height: int, *, split: bool) -> Node:
    if height > _MOST_LEVELS:
        raise malformed("a tree is higher than any can be")
    digest = content.raw(32)
    is_split_leaf = split and height == 0
    keys_digest = content.raw(32) if is_split_leaf else b""
    count, size_bytes = content.varint(), content.varint()
    node_id = ids.raw(16)
    keys = (keys_digest, ids.raw(16)) if is_split_leaf else None
    return Node(height, split, digest, node_id, keys, count, size_bytes)
