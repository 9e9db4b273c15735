"""What the tests of stores share: a module to save, and stores that are opened alike everywhere."""

from __future__ import annotations

from pathlib import Path

from dachi_fast import Attr, BaseModule, FileWitness, KeyFile, Store


class Counter(BaseModule):
    count: int = Attr(default=0)


def open_store(folder: Path, beside: Path | None = None) -> Store:
    """Opens or makes the store of a folder, which keeps all versions and logs no reads.

    Key and witness lie beside it, or in another folder.
    """
    beside = beside or folder
    keys, witness = KeyFile(beside / "key"), FileWitness(beside / "witness")
    return Store.open(folder / "store", keys=keys, witness=witness, limits=None, audit_reads="off")


def files(*folders: Path) -> dict[Path, tuple[bytes, int]]:
    """Gives content and time of every file but LMDB's table of readers."""
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock.mdb"
    }
