"""The ledger: a hash chain, and a tree over it (docs/format.md, section 11)."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dachi_fast.errors import KeyringError, Tampered
from dachi_fast.reader._envelope import DETAIL, LEDGER, TILE, Opener
from dachi_fast.reader._wire import Take, malformed

if TYPE_CHECKING:
    from dachi_fast.reader._head import Head
    from dachi_fast.reader._nodes import Nodes

GENESIS: Final = bytes(32)
_WIDTH: Final = 256

OpenerOf = Callable[[bytes], Opener]
"""Gives what opens the records of a namespace; a `KeyringError` if its key is gone."""


@dataclass(frozen=True)
class Entry:
    """One entry of the ledger, proved by the hash chain.

    Attributes:
        seq: from 0.
        json: what is hashed (RFC 8785).
        digest: its SHA-256.
        detail: canonical JSON of the detail; None where it was erased.
        salt: with which the entry commits to the detail; empty where it was erased.
    """

    seq: int
    json: str
    digest: bytes
    detail: str | None
    salt: bytes

    @property
    def line(self) -> str:
        """The line of an export that discloses details, without the line's end."""
        tail = f'"entry":{self.json},"hash":"{_tagged(self.digest)}"'
        if self.detail is None:
            return f'{{"detail":"erased",{tail}}}'
        return f'{{"detail":{self.detail},{tail},"salt":"{self.salt.hex()}"}}'


def read(nodes: Nodes, head: Head, opener_of: OpenerOf) -> Iterator[Entry]:
    """Gives all entries, oldest first, and proves that they are the ones that the head names."""
    tree, chain = _Tree(nodes), GENESIS
    for seq in range(head.entries):
        entry = _entry(nodes, seq, chain, opener_of)
        chain = entry.digest
        tree.push(hashlib.sha256(b"\0" + entry.json.encode()).digest())
        yield entry
    if chain != head.chain or tree.frontier != head.frontier:
        raise Tampered("tampered", "the ledger is not the one that the head names")


def entry_id(seq: int) -> bytes:
    """Gives the id of an entry's node."""
    return b"\xff" * 8 + seq.to_bytes(8, "big")


def _entry(nodes: Nodes, seq: int, chain: bytes, opener_of: OpenerOf) -> Entry:
    take = Take(nodes.content(LEDGER, entry_id(seq)))
    number, operation, created_ns = take.u64(), take.text(), take.u64()
    prev, commitment, namespace = take.raw(32), take.raw(32), take.raw(16)
    if number != seq or prev != chain:
        raise Tampered("tampered", "the ledger's chain is broken", seq=seq)
    text = _canonical(
        {
            "detail_commitment": _tagged(commitment),
            "operation": operation,
            "prev": _tagged(prev),
            "seq": seq,
            "timestamp": _timestamp(created_ns),
        }
    )
    digest = hashlib.sha256(text.encode()).digest()
    try:
        opener = opener_of(namespace)
    except KeyringError:
        return Entry(seq, text, digest, None, b"")
    detail, salt = _detail(opener.open(DETAIL, entry_id(seq), take.rest))
    if hashlib.sha256(salt + detail.encode()).digest() != commitment:
        what = "a ledger entry's detail is not the one it names"
        raise Tampered("tampered", what, seq=seq)
    return Entry(seq, text, digest, detail, salt)


def _detail(content: bytes) -> tuple[str, bytes]:
    """Gives the canonical JSON of a detail, and its salt."""
    take = Take(content)
    salt = take.raw(16)
    members: dict[str, object] = {
        name: take.text() for name in ("agent_id", "memory_type", "justification", "root")
    }
    for name in ("version", "count", "clock_behind_us"):
        if number := take.varint():  # 0 says nothing, and is left out
            members[name] = number
    take.done()
    return _canonical(members), salt


class _Tree:
    """The tree of RFC 6962, grown leaf by leaf, and its tiles, compared with those on disk."""

    def __init__(self, nodes: Nodes) -> None:
        self.frontier: list[bytes] = []
        self._nodes = nodes
        self._size = 0
        self._rows: defaultdict[int, list[bytes]] = defaultdict(list)

    def push(self, leaf: bytes) -> None:
        """Appends a leaf."""
        self.frontier.append(leaf)
        self._size += 1
        size = self._size
        while size % 2 == 0:
            right, left = self.frontier.pop(), self.frontier.pop()
            self.frontier.append(_above(left, right))
            size //= 2
        self._fill(0, leaf)

    def _fill(self, level: int, digest: bytes) -> None:
        """Adds a hash to the newest tile of a level, which level 0 writes only when it is full."""
        row = self._rows[level]
        row.append(digest)
        if level > 0 or len(row) == _WIDTH:
            self._compare(level, row)
        if len(row) == _WIDTH:
            self._rows[level] = []
            self._fill(level + 1, _folded(row))

    def _compare(self, level: int, row: list[bytes]) -> None:
        index = (self._size // _WIDTH**level - 1) // _WIDTH
        width = len(row).to_bytes(2, "big")
        tile_id = b"\xff" * 4 + bytes([0xFE, level]) + width + index.to_bytes(8, "big")
        if self._nodes.content(TILE, tile_id) != b"".join(row):
            what = "a tile of the ledger's tree is not the one that was written"
            raise Tampered("tampered", what, node=tile_id.hex())


def _above(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def _folded(row: list[bytes]) -> bytes:
    while len(row) > 1:
        row = [_above(*pair) for pair in zip(row[::2], row[1::2], strict=True)]
    return row[0]


def _tagged(digest: bytes) -> str:
    return f"sha256:{digest.hex()}"


def _canonical(members: dict[str, object]) -> str:
    """Gives RFC 8785: for texts and integers, Python's own JSON with sorted keys."""
    return json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _timestamp(created_ns: int) -> str:
    seconds, rest_ns = divmod(created_ns, 1_000_000_000)
    try:
        moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (ValueError, OverflowError) as cause:
        raise malformed("a time of a ledger entry is beyond all calendars") from cause
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest_ns // 1000:06}Z"
