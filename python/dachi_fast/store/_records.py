"""What the store's methods give."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Final, final

Source = tuple[str, int]
Row = tuple[int, int, int, int, str, int, int, str, int, Source | None, list[str]]
"""A version as the core gives it."""


@final
class _Absent:
    """What a change shows where a path did not exist."""

    def __repr__(self) -> str:
        return "<absent>"

    def __reduce__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True)
class Version:
    """One saved version of an agent.

    Attributes:
        number: from 1, in the order of saves.
        created: when it was saved, UTC.
        justification: why, in the words of who saved it.
        base: the number of the version it follows, None for the first.
        restores: the number of the version it is equal to, if it came from a rollback.
        entries: how many values its state has.
        size_bytes: how many bytes they take, encoded.
        root: hash of the state's tree in hex: equal states of one agent have equal roots.
        written_bytes: how many bytes its save added to the store, encrypted.
        source: name and number of the version it was forked or copied from.
        tags: the tags it goes by.
    """

    number: int
    created: datetime.datetime
    justification: str
    base: int | None
    restores: int | None
    entries: int
    size_bytes: int
    root: str
    written_bytes: int
    source: tuple[str, int] | None
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pruned:
    """What `Store.prune` did to one name.

    Attributes:
        name: the name.
        versions: numbers of the dropped versions, ascending.
        size_bytes: bytes that only these needed; deleted by a save or prune 10 minutes later.
        freed_bytes: bytes deleted now, of versions that were dropped earlier.
        expired: how many documents had expired, and are gone now.
    """

    name: str
    versions: tuple[int, ...]
    size_bytes: int
    freed_bytes: int
    expired: int


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs between two versions.

    Attributes:
        path: its dot path.
        before: the value before, `ABSENT` if the path was not there.
        after: the value after, `ABSENT` if the path is gone.
    """

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Report:
    """What `Store.verify` proved.

    Attributes:
        names: agents.
        versions: versions of all of them.
        documents: documents, those that have expired and are not pruned yet included.
        ledger_entries: entries of the ledger.
        nodes: encrypted records that these consist of.
        size_bytes: their bytes, decrypted.
        unused_nodes: records that nothing refers to any more.
    """

    names: int
    versions: int
    documents: int
    ledger_entries: int
    nodes: int
    size_bytes: int
    unused_nodes: int


@dataclass(frozen=True, slots=True)
class Purged:
    """What `Store.purge` destroyed.

    Attributes:
        name: the name.
        versions: numbers of the versions that were there, ascending.
        documents: how many of the documents were there, by memory type.
        resealed: how many records were sealed anew, because they live on.
        resealed_bytes: their size, encrypted.
        key_replaced: whether the provider destroyed its old key, too. If not, who has that key, and
            copies of ``data.mdb`` and ``keys.sealed`` from before, can read what was purged.
    """

    name: str
    versions: tuple[int, ...]
    documents: dict[str, int]
    resealed: int
    resealed_bytes: int
    key_replaced: bool


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What `Store.forget` destroyed.

    Attributes:
        names: the names, ascending.
        key_replaced: whether the key provider destroyed its old key too, so that nothing opens an
            old copy of ``keys.sealed`` any more.
    """

    names: tuple[str, ...]
    key_replaced: bool


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One entry of the ledger, proved by the hash chain.

    Attributes:
        seq: from 0.
        operation: ``create``, ``store``, ``retrieve``, ``rollback``, ``rotate``, ``rewrap``,
            ``forget``, ``destroy``, ``export`` ...
        timestamp: RFC 3339, UTC, six digits; never before the entry before.
        prev: hash of the entry before.
        detail_commitment: SHA-256 over salt and detail.
        hash: SHA-256 over the canonical JSON of the fields above.
        agent_id: the name it concerns; None when that was forgotten.
        memory_type: what kind of memory; None when that was forgotten.
        justification: why; None when that was forgotten.
        root: hash of the state's tree in hex; None when that was forgotten.
        version: number of the version it concerns; None where it says nothing.
        count: how many reads in a row, or entries; None where it says nothing.
        clock_behind_us: microseconds by which the clock was behind the entry before, whose
            timestamp was then taken; None where it was not.
        salt: hex; opens the commitment. None when that was forgotten.
    """

    seq: int
    operation: str
    timestamp: str
    prev: str
    detail_commitment: str
    hash: str
    agent_id: str | None
    memory_type: str | None
    justification: str | None
    root: str | None
    version: int | None
    count: int | None
    clock_behind_us: int | None
    salt: str | None


_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

Detail = tuple[str, str, str, str, int, int, int, str]
"""What an entry of the ledger says of itself, as the core gives it."""


def entry_of(row: tuple[int, str, str, str, str, str, Detail | None]) -> LedgerEntry:
    """Gives an entry of the ledger from the core's row."""
    if row[6] is None:
        return LedgerEntry(*row[:6], None, None, None, None, None, None, None, None)
    version, count, behind_us = (number or None for number in row[6][4:7])
    return LedgerEntry(*row[:6], *row[6][:4], version, count, behind_us, row[6][7])


def time_of(since_ns: int) -> datetime.datetime:
    """Gives a time in UTC from nanoseconds since 1970."""
    return _EPOCH + datetime.timedelta(microseconds=since_ns // 1000)


def version_of(row: Row) -> Version:
    """Gives a version from the core's row."""
    number, created_ns, base, restores, justification, entries, size_bytes, root = row[:8]
    written_bytes, source, tags = row[8:]
    return Version(
        number,
        time_of(created_ns),
        justification,
        base or None,
        restores or None,
        entries,
        size_bytes,
        root,
        written_bytes,
        source,
        tuple(tags),
    )
