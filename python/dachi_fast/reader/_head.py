"""The head, from which everything else is proved (docs/format.md, section 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dachi_fast.errors import KeyringError, RolledBack, Tampered, WrongContext
from dachi_fast.reader._envelope import HEAD
from dachi_fast.reader._keyring import Keyring, check_format
from dachi_fast.reader._maps import Node, root_of
from dachi_fast.reader._wire import Take, malformed

_MAGIC: Final = b"dachi_fast head\n"


@dataclass(frozen=True)
class Head:
    """The newest state of a store.

    Attributes:
        commit: rises by one with each commit.
        lineage: changes when the store is copied or restored on purpose.
        created_ns: when the commit was made, in nanoseconds since 1970.
        key_generation: of ``keys.sealed``.
        key_digest: BLAKE3 of that file.
        chain: hash of the last ledger entry.
        entries: how many ledger entries.
        frontier: roots of the full subtrees of the ledger's tree, largest first.
        doomed: namespaces whose keys are to be destroyed.
        top: root of the top map; None if it is empty.
    """

    commit: int
    lineage: bytes
    created_ns: int
    key_generation: int
    key_digest: bytes
    chain: bytes
    entries: int
    frontier: list[bytes]
    doomed: list[bytes]
    top: Node | None


def opened(record: bytes, keyring: Keyring) -> Head:
    """Gives the head of a record, which must belong to these keys."""
    head = _parsed(_content(record, keyring))
    same = (keyring.generation, keyring.digest) == (head.key_generation, head.key_digest)
    if not same and keyring.generation <= head.key_generation:
        what = "keys.sealed is older than the store, or not the one it names"
        raise RolledBack("rolled-back", what, generation=keyring.generation)
    return head


def _content(record: bytes, keyring: Keyring) -> bytes:
    take = Take(record)
    if take.raw(16) != _MAGIC:
        raise malformed("the head of the store does not begin as one")
    check_format(take.u32())
    if take.raw(16) != keyring.store:
        what = "the data file and keys.sealed belong to different stores"
        raise WrongContext("wrong-context", what)
    try:
        return keyring.store_opener().open(HEAD, bytes(16), take.rest)
    except KeyringError as cause:
        # The key is right: keys.sealed, which holds it, opened.
        raise Tampered("tampered", "the head of the store was edited") from cause


def _parsed(content: bytes) -> Head:
    take = Take(content)
    commit, lineage, created_ns = take.u64(), take.raw(16), take.u64()
    take.u64()  # time part of the last node id
    key_generation, key_digest = take.u64(), take.raw(32)
    for _ in range(3):  # when keys were rotated, when they are to be, how many nodes were sealed
        take.u64()
    chain, entries = take.raw(32), take.varint()
    frontier = [take.raw(32) for _ in range(entries.bit_count())]
    doomed = [take.raw(16) for _ in range(take.count())]
    take.u64()  # the last commit whose garbage was deleted
    top = root_of(take)
    take.done()
    return Head(
        commit,
        lineage,
        created_ns,
        key_generation,
        key_digest,
        chain,
        entries,
        frontier,
        doomed,
        top,
    )
