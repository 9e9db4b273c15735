"""What takes the space in a store."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from dachi_fast.module._shared import PREFIX
from dachi_fast.store._records import time_of

UsageRow = tuple[str, int, int, int, int, int, int, int, int, list[tuple[str, int]]]
StatsRow = tuple[
    tuple[int, int, int, int],
    tuple[int, int, int, int, int],
    int,
    tuple[int, int, int, int],
    list[UsageRow],
]


@dataclass(frozen=True, slots=True, repr=False)
class NameStats:
    """What one name takes.

    Sizes are what records take in the data file, compressed and encrypted; large ones take whole
    pages.

    Attributes:
        name: the name; `shared_name` of a class for its Shared values.
        versions: how many versions it has.
        latest: number of the newest one.
        created: when that was saved, UTC.
        state_bytes: bytes of its values, encoded, before compression.
        size_bytes: bytes of the records that its versions need; what they share counts once.
        own_bytes: bytes of those that no fork of it needs, nor what it was forked from. The records
            that list the versions are its own when nothing shares its key.
        dropped: versions that were pruned and whose records are not deleted yet.
        documents: documents in its namespace, which forks share; those that have expired and are
            not pruned yet are counted.
        largest: dot paths and encoded bytes of the ten largest values of the newest version,
            largest first; only from ``stats(name)``, else empty.
    """

    name: str
    versions: int
    latest: int
    created: datetime.datetime
    state_bytes: int
    size_bytes: int
    own_bytes: int
    dropped: int
    documents: int
    largest: tuple[tuple[str, int], ...]

    def __repr__(self) -> str:
        versions = "version" if self.versions == 1 else "versions"
        shared = "" if self.own_bytes == self.size_bytes else f", {_size(self.own_bytes)} its own"
        return (
            f"<{self.name!r}: {self.versions} {versions} up to {self.latest}, "
            f"{_size(self.size_bytes)}{shared}>"
        )


@dataclass(frozen=True, slots=True, repr=False)
class Stats:
    """What takes the space in a store.

    The data file consists of pages, and those in use hold records. All records together take
    ``names_bytes + directory_bytes + ledger_bytes + garbage_bytes``; what the used pages have
    beyond that is left in them for more, or leads to the others.

    Attributes:
        file_bytes: the data file.
        keys_bytes: the key file, ``keys.sealed``.
        page_bytes: a page.
        used_pages: pages that hold something.
        free_pages: the others: new records go there first, and `Store.compact` gives them back.
        names_bytes: records that some name needs.
        directory_bytes: records that lead to the names, and lists of records to be deleted.
        ledger_bytes: records of the ledger.
        garbage_bytes: records that nothing needs any more.
        waiting_bytes: those of the garbage that stay until ten minutes have passed since they were
            last needed, for readers who began before.
        reclaimable_bytes: about what `Store.compact` would give back now: free pages, and the
            garbage that does not wait.
        ledger_entries: how many the ledger has.
        rotated: when the newest keys began to be used, UTC.
        rotation_due: when the next ones will be, UTC, with the first save after it.
        seals: records that were encrypted under the newest keys.
        seals_left: records after which the next ones will be used, if that comes first.
        names: what each name takes, ascending.
        shared: what the Shared values of each class take, ascending by `shared_name`.
    """

    file_bytes: int
    keys_bytes: int
    page_bytes: int
    used_pages: int
    free_pages: int
    names_bytes: int
    directory_bytes: int
    ledger_bytes: int
    garbage_bytes: int
    waiting_bytes: int
    reclaimable_bytes: int
    ledger_entries: int
    rotated: datetime.datetime
    rotation_due: datetime.datetime
    seals: int
    seals_left: int
    names: tuple[NameStats, ...]
    shared: tuple[NameStats, ...]

    @property
    def versions(self) -> int:
        """How many versions all names have, those of Shared values not counted."""
        return sum(name.versions for name in self.names)

    def __repr__(self) -> str:
        parts = (
            f"{_size(self.file_bytes)} file",
            f"{_size(self.names_bytes)} in {len(self.names)} names with {self.versions} versions",
            f"{_size(self.ledger_bytes)} in {self.ledger_entries} ledger entries",
            f"{_size(self.garbage_bytes)} garbage",
            f"{_size(self.reclaimable_bytes)} for compact to give back",
            f"keys rotate {self.rotation_due:%Y-%m-%d %H:%M}",
        )
        return f"<Stats: {', '.join(parts)}>"


def _size(size_bytes: int) -> str:
    """Gives a size for people: three digits, in units of 1,000."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.4g} TB"


def name_stats_of(row: UsageRow) -> NameStats:
    """Gives what a name takes from the core's row."""
    name, versions, latest, created_ns, *_ = row
    return NameStats(name, versions, latest, time_of(created_ns), *row[4:9], tuple(row[9]))


def stats_of(row: StatsRow) -> Stats:
    """Gives what a store takes from the core's row."""
    (file_bytes, page_bytes, used_pages, keys_bytes), shares, entries, keys, usages = row
    names = tuple(name_stats_of(usage) for usage in usages)
    names_bytes, directory_bytes, ledger_bytes, garbage_bytes, waiting_bytes = shares
    rotated_ns, rotation_due_ns, seals, seals_left = keys
    free_pages = max(file_bytes // page_bytes - used_pages, 0)
    return Stats(
        file_bytes=file_bytes,
        keys_bytes=keys_bytes,
        page_bytes=page_bytes,
        used_pages=used_pages,
        free_pages=free_pages,
        names_bytes=names_bytes,
        directory_bytes=directory_bytes,
        ledger_bytes=ledger_bytes,
        garbage_bytes=garbage_bytes,
        waiting_bytes=waiting_bytes,
        reclaimable_bytes=free_pages * page_bytes + garbage_bytes - waiting_bytes,
        ledger_entries=entries,
        rotated=time_of(rotated_ns),
        rotation_due=time_of(rotation_due_ns),
        seals=seals,
        seals_left=seals_left,
        names=tuple(found for found in names if not found.name.startswith(PREFIX)),
        shared=tuple(found for found in names if found.name.startswith(PREFIX)),
    )
