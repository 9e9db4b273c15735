"""What backups and drills tell."""

from __future__ import annotations

import datetime
from dataclasses import dataclass


@dataclass(frozen=True)
class Backup:
    """A backup in an archive.

    Attributes:
        id: names it, in hex.
        created: when it was made.
        commit: the store's commit that it holds.
        committed: when that was made.
        ledger_entries: how many the ledger had.
        ledger_hash: hash of the last of them, in hex.
        nodes: how many records it consists of.
        size_bytes: how many bytes they have.
        packs: how many objects they lie in.
    """

    id: str
    created: datetime.datetime
    commit: int
    committed: datetime.datetime
    ledger_entries: int
    ledger_hash: str
    nodes: int
    size_bytes: int
    packs: int


@dataclass(frozen=True)
class BackupReport:
    """What `Store.backup` did.

    Attributes:
        id: names the backup, in hex.
        created: when it was made.
        commit: the store's commit that it holds.
        nodes: how many records it consists of.
        size_bytes: how many bytes they have.
        put_nodes: how many of them were put for it: the others were there.
        put_bytes: bytes of all objects that were put.
        put_objects: how many were put.
        dropped: older backups that were deleted, their ids in hex.
        deleted_objects: how many objects were deleted, manifests of these among them.
    """

    id: str
    created: datetime.datetime
    commit: int
    nodes: int
    size_bytes: int
    put_nodes: int
    put_bytes: int
    put_objects: int
    dropped: tuple[str, ...]
    deleted_objects: int


@dataclass(frozen=True)
class DrillReport:
    """What `Store.drill` restored and proved.

    Attributes:
        backup: what was restored.
        names: how many names it has.
        versions: how many versions.
        documents: how many documents.
        ledger_entries: how many entries, the one of the drill's own restoration left out.
        nodes: how many records were proved.
        size_bytes: bytes of their contents.
        forgotten: how many agents were left out because they were forgotten since.
        seconds: how long it took.
    """

    backup: Backup
    names: int
    versions: int
    documents: int
    ledger_entries: int
    nodes: int
    size_bytes: int
    forgotten: int
    seconds: float


def moment(ns: int) -> datetime.datetime:
    """Gives a time in UTC."""
    return datetime.datetime.fromtimestamp(ns / 1_000_000_000, datetime.UTC)
