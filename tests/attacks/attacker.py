"""Somebody who can read and write all files of a store, knows the format, and has no key.

Everything about the format that the attacks use stands here: where records lie, and what of them is
readable without a key.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

lmdb: Any = pytest.importorskip("lmdb", reason="the attacker edits the file with the lmdb package")

# The kinds of node, by the second byte of an envelope.
KINDS: Final = {
    "leaf": 3,
    "branch": 4,
    "keys": 5,
    "values": 6,
    "chunk": 7,
    "index": 8,
    "ledger": 9,
}
HEAD: Final = b"head"
# Clear fields of an envelope: where they begin and how long they are.
ENVELOPE: Final = {"version": (0, 1), "kind": (1, 1), "epoch": (2, 4), "salt": (6, 24)}
ENVELOPE_BYTES: Final = 30
TAG_BYTES: Final = 16
# Clear fields of the head and of keys.sealed; the rest of each is an envelope.
RECORD: Final = {"magic": (0, 16), "format": (16, 4), "store id": (20, 16)}
KEYS: Final = {**RECORD, "generation": (36, 8)}
# A ledger entry's node id: eight bytes of ones, then its number.
LEDGER_PREFIX: Final = b"\xff" * 8

# Nodes lie in three databases, by the first byte of their ids.
DATABASES: Final = {b"nodes": 0x00, b"maps": 0x80, b"log": 0xF0}

Nodes = dict[bytes, bytes]


@contextmanager
def _opened(store: Path) -> Iterator[Any]:
    # Without locks: who edits behind the store's back does not ask for them.
    env = lmdb.open(str(store), max_dbs=8, map_size=1 << 30, lock=False)
    try:
        yield env
    finally:
        env.close()


def database_of(node: bytes) -> bytes:
    """Gives the database that a node lies in."""
    return [db for db, first in DATABASES.items() if node[0] >= first][-1]


def read(store: Path) -> Nodes:
    """Gives all nodes by id."""
    nodes: Nodes = {}
    with _opened(store) as env:
        databases = [env.open_db(db) for db in DATABASES]
        with env.begin() as txn:
            for db in databases:
                nodes.update(txn.cursor(db))
    return nodes


def write(store: Path, changes: dict[bytes, bytes | None]) -> None:
    """Puts nodes, deletes those that are None."""
    with _opened(store) as env:
        databases = {db: env.open_db(db) for db in DATABASES}
        with env.begin(write=True) as txn:
            for node, value in changes.items():
                db = databases[database_of(node)]
                txn.delete(node, db=db) if value is None else txn.put(node, value, db=db)


def head(store: Path) -> bytes:
    """Gives the head's record."""
    with _opened(store) as env, env.begin(db=env.open_db(b"meta")) as txn:
        return bytes(txn.get(HEAD))


def put_head(store: Path, record: bytes | None) -> None:
    """Replaces the head's record, or deletes it."""
    with _opened(store) as env, env.begin(db=env.open_db(b"meta"), write=True) as txn:
        txn.delete(HEAD) if record is None else txn.put(HEAD, record)


def of_kind(nodes: Nodes, kind: str) -> list[bytes]:
    """Gives the ids of all nodes of a kind, ascending, which is the order they were written in."""
    return sorted(key for key, value in nodes.items() if value[1] == KINDS[kind])


def ledger_id(seq: int) -> bytes:
    """Gives the id of a ledger entry's node."""
    return LEDGER_PREFIX + seq.to_bytes(8, "big")


def flipped(record: bytes, at: int) -> bytes:
    """Gives a record with one bit of one byte changed; counts from the end if `at` is negative."""
    at %= len(record)
    return record[:at] + bytes([record[at] ^ 0x10]) + record[at + 1 :]


def with_field(record: bytes, field: tuple[int, int], value: bytes) -> bytes:
    """Gives a record with another value in a clear field."""
    at, length = field
    assert len(value) == length
    assert value != record[at : at + length]
    return record[:at] + value + record[at + length :]


def forged(record: bytes) -> bytes:
    """Gives a record as somebody with keys of his own would seal it: to all others it is random."""
    body = len(record) - ENVELOPE_BYTES
    return record[:6] + os.urandom(24) + os.urandom(body)
