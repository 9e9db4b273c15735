"""Ledgers for tests: many entries without waiting for the disk, and RFC 6962 word for word."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from dachi_fast import Store
from dachi_fast._core import store as core

KEY = bytes(range(32))


class Bare:
    """A provider that keeps the key as it is."""

    def wrap(self, key: bytes, _context: bytes) -> bytes:
        return key

    def unwrap(self, wrapped: bytes, _context: bytes) -> bytes:
        return wrapped


def unsynced(folder: Path) -> Store:
    """Gives a store, made if it is not there, that never waits for the disk."""
    found = core.probe(folder)
    store_id = os.urandom(16) if found is None else found[0]
    opened = core.Store(folder, store_id, KEY, KEY, (Bare(), b""), None, bench_only_no_sync=True)
    return Store(opened, folder)


def grow(store: Store, size: int) -> None:
    """Appends entries until the ledger has so many."""
    for number in range(store.checkpoint().size, size):
        store._core.note("grow", "test", f"entry {number}")


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\0" + leaf).digest()


def _split(size: int) -> int:
    """The largest power of two below a size."""
    return 1 << (size - 1).bit_length() - 1


def root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962 section 2.1, over hashes of leaves."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = _split(len(leaves))
    return hashlib.sha256(b"\1" + root(leaves[:k]) + root(leaves[k:])).digest()


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = _split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), root(leaves[k:])]
    return [*path(m - k, leaves[k:]), root(leaves[:k])]


def consistency(m: int, leaves: Sequence[bytes], *, known: bool = True) -> list[bytes]:
    """RFC 6962 section 2.1.2; of nothing, nothing."""
    if m == 0:
        return []
    if m == len(leaves):
        return [] if known else [root(leaves)]
    k = _split(len(leaves))
    if m <= k:
        return [*consistency(m, leaves[:k], known=known), root(leaves[k:])]
    return [*consistency(m - k, leaves[k:], known=False), root(leaves[:k])]
