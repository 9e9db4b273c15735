"""A store's folder, held and read (docs/format.md, section 2)."""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import lmdb

from dachi_fast.errors import DachiError, Malformed, Missing, NotAStore, StoreLocked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYS_FILE: Final = "keys.sealed"
_DATA_FILE: Final = "data.mdb"
_LOCK_FILE: Final = "store.lock"
# Name of a database -> first byte of the least id in it.
_NODES: Final = {b"log": 0xF0, b"maps": 0x80, b"nodes": 0}


class Folder:
    """The records of a store, which nobody else has open; nothing in the folder is changed.

    The structure of the data file is LMDB's to trust: a damaged one can end this process.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not (path / KEYS_FILE).is_file():
            raise _nothing(path)
        with ExitStack() as opened:
            self._hold(opened)
            self._open(opened)
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Lets go of the folder."""
        self._opened.close()

    def head(self) -> bytes | None:
        """Gives the record of the head; None before the first commit."""
        record: bytes | None = self._txn.get(b"head", db=self._meta)
        return record

    def node(self, node_id: bytes) -> bytes | None:
        """Gives the envelope of a node; None if it is not there."""
        database = next(name for name, first in _NODES.items() if node_id[0] >= first)
        sealed: bytes | None = self._txn.get(node_id, db=self._nodes[database])
        return sealed

    def node_ids(self) -> Iterator[bytes]:
        """Gives the ids of all nodes."""
        for database in self._nodes.values():
            yield from self._txn.cursor(db=database).iternext(values=False)

    def _hold(self, opened: ExitStack) -> None:
        """Keeps writers out: a reader that is not in LMDB's table would not be safe from them."""
        data = self.path / _DATA_FILE
        try:
            file = os.open(data, os.O_RDONLY)
        except FileNotFoundError as cause:
            what = f"{self.path} has keys but no {_DATA_FILE}"
            raise Missing("missing", what, path=str(data)) from cause
        opened.callback(os.close, file)
        locked = StoreLocked("locked", "somebody has the store open; close it there first")
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if (self.path / _LOCK_FILE).exists():
                lock = os.open(self.path / _LOCK_FILE, os.O_RDONLY)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                finally:
                    os.close(lock)
        except BlockingIOError as cause:
            raise locked from cause

    def _open(self, opened: ExitStack) -> None:
        size_bytes = (self.path / _DATA_FILE).stat().st_size
        try:
            env = lmdb.open(
                str(self.path), map_size=size_bytes, readonly=True, lock=False, max_dbs=4
            )
            opened.callback(env.close)
            self._nodes: Any = {name: env.open_db(name, create=False) for name in _NODES}
            self._meta: Any = env.open_db(b"meta", create=False)
            self._txn: Any = env.begin()
            opened.callback(self._txn.abort)
        except lmdb.NotFoundError as cause:
            raise Missing("missing", f"{_DATA_FILE} holds no store") from cause
        except lmdb.Error as cause:
            raise Malformed("malformed", f"{_DATA_FILE} cannot be opened: {cause}") from cause


def _nothing(path: Path) -> DachiError:
    """Gives the error for a folder without keys."""
    if (path / _DATA_FILE).exists():
        what = f"{path} has no {KEYS_FILE}: without its keys nothing in it can be read"
        return Missing("missing", what, path=str(path))
    return NotAStore("not-a-store", f"there is no store in {path}", path=str(path))
