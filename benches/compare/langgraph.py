"""LangGraph's checkpointers, called as its graphs call them: one `put` of the whole state a step.

SqliteSaver without and with its EncryptedSerializer (AES-256-EAX), and the LMDB saver of
langgraph-checkpoint-lmdb. All wait for the disk: SQLite in the saver's own WAL mode with
synchronous=FULL, LMDB as it comes. A graph also puts the step's writes, in a commit of their own;
they are left out. No saver compresses, shares between steps, or proves what it reads.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.base.id import uuid6
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph_checkpoint_lmdb import LMDBSaver

_MAP_BYTES = 1 << 40
_CHANNEL = "history"


class Thread:
    """One thread of a saver, in a folder."""

    def __init__(self, folder: Path, saver: Any, close: Callable[[], None]) -> None:
        self._folder, self._saver, self._close = folder, saver, close
        self._config: Any = {"configurable": {"thread_id": "talk", "checkpoint_ns": ""}}
        self._step = 0

    def save(self, history: list[str]) -> None:
        """Puts the checkpoint that a graph makes after a step."""
        self._step += 1
        versions: dict[str, str | int | float] = {_CHANNEL: self._step}
        checkpoint = empty_checkpoint() | {
            "id": str(uuid6(clock_seq=self._step)),
            "channel_values": {_CHANNEL: history},
            "channel_versions": versions,
        }
        metadata = {"source": "loop", "step": self._step, "parents": {}}
        self._config = self._saver.put(self._config, checkpoint, metadata, versions)

    def load(self) -> list[str]:
        """Gives what the newest checkpoint holds."""
        newest = self._saver.get_tuple({"configurable": {"thread_id": "talk", "checkpoint_ns": ""}})
        history: list[str] = newest.checkpoint["channel_values"][_CHANNEL]
        return history

    def close(self) -> int:
        """Closes the saver; gives the bytes on disk."""
        self._close()
        return sum(file.stat().st_size for file in self._folder.iterdir())


def _sqlite(folder: Path, serde: Any = None) -> Thread:
    folder.mkdir()
    connection = sqlite3.connect(folder / "checkpoints.sqlite", check_same_thread=False)
    connection.execute("PRAGMA synchronous=FULL")
    return Thread(folder, SqliteSaver(connection, serde=serde), connection.close)


def plain_sqlite(folder: Path) -> Thread:
    """Nothing is encrypted."""
    return _sqlite(folder)


def encrypted_sqlite(folder: Path) -> Thread:
    """Checkpoints are encrypted."""
    return _sqlite(folder, EncryptedSerializer.from_pycryptodome_aes(key=os.urandom(32)))


def plain_lmdb(folder: Path) -> Thread:
    """Nothing is encrypted."""
    folder.mkdir()
    environment = lmdb.open(str(folder), map_size=_MAP_BYTES, max_dbs=4)
    return Thread(folder, LMDBSaver(environment), environment.close)


SAVERS: dict[str, Callable[[Path], Thread]] = {
    "LangGraph SqliteSaver": plain_sqlite,
    "LangGraph SqliteSaver, encrypted": encrypted_sqlite,
    "LangGraph LMDBSaver": plain_lmdb,
}
