"""What keeps a store small."""

from __future__ import annotations

from collections.abc import Callable
from typing import overload

from dachi_fast.retention import Policies, Retained, RetentionReport, policy_rows
from dachi_fast.store._handle import Handle, check_text
from dachi_fast.store._records import Pruned
from dachi_fast.store._stats import NameStats, Stats, name_stats_of, stats_of


class Upkeep(Handle):
    """What keeps a store small."""

    def prune(self, name: str | None = None, *, dry_run: bool = False) -> list[Pruned]:
        """Drops the versions that the store's limits do not keep, without waiting for a save.

        What only they needed is deleted by a save or prune 10 minutes later, so that readers who
        began before can finish. The ledger gets an entry for each name that lost versions.

        Args:
            name: prune this name; None for all.
            dry_run: only say what would be dropped; a store that is only read does, too.

        Returns:
            For each name what was, or would be, dropped and freed.

        Raises:
            UnknownName: nothing was saved under the name.
            StoreReadOnly: the store was opened to be read only, and it is no dry run.
            StoreFull: there is no room; the names before are pruned.
            IntegrityError: what lies on disk is not what was saved.
            StoreClosed: the store was closed.

        Complexity:
            Reads the nodes of all versions of the namespace, those that versions share once.

        Example:
            >>> from dachi_fast import Attr, BaseModule, KeyFile, Limits, Store
            >>> class Tally(BaseModule):
            ...     count: int = Attr(default=0)
            >>> tally, keys = Tally(), KeyFile("prune.key")
            >>> with Store.open("prune.store", keys=keys, limits=None) as store:
            ...     for tally.count in range(5):
            ...         _ = store.save(tally, "tally")
            >>> limits = Limits(versions=2, days=0)
            >>> with Store.open("prune.store", keys=keys, limits=limits) as store:
            ...     [pruned] = store.prune()
            ...     [version.number for version in store.history("tally")]
            [5, 4]
            >>> pruned.versions
            (1, 2, 3)
        """
        if name is not None:
            check_text(name)
        rows = self._core.prune(name, dry_run=dry_run)
        return [Pruned(row[0], tuple(row[1]), *row[2:]) for row in rows]

    def retain(
        self,
        policy: Policies,
        *,
        name: str | None = None,
        dry_run: bool = False,
        justification: str = "retention",
        progress: Callable[[int, int], object] | None = None,
    ) -> RetentionReport:
        """Purges what is older than a policy allows, and says how much is how old.

        Versions and documents that are too old are destroyed as by `purge`, all in one go, with
        what was deleted before under the names that lose something. Others read and save
        meanwhile, and what `purge` says of them holds here. Retention that was cut short is ended
        by the next, which decides anew what is too old by then.

        Args:
            policy: one for everything, or a mapping from memory types to policies, where ``"*"``
                is for all others; a type without one is left alone. The versions of agents are
                the type ``"state"``, those of Shared values ``"shared"``.
            name: of this name only; None for all.
            dry_run: only say what would be purged; a store that is only read does, too.
            justification: why, for the ledger.
            progress: as for `purge`.

        Returns:
            What each name has of each memory type, by age, and what was purged.

        Raises:
            UnknownName: nothing was saved under the name.
            StoreReadOnly: the store was opened to be read only, and it is no dry run.
            StoreError: somebody tagged meanwhile what was to be purged (``version-kept``).
            KeyringError: the key provider fails; the next `retain` goes on.
            IntegrityError: what lies on disk is not what was saved.
            SnapshotExpired: it took longer than ten minutes, or something was purged meanwhile.
            StoreFull: there is no room; the next `retain` goes on.
            StoreClosed: the store was closed.

        Complexity:
            Reads all documents and records of versions; where something is purged, as `purge`.

        Example:
            >>> from datetime import timedelta
            >>> from dachi_fast import Attr, BaseModule, KeyFile, RetentionPolicy, Store
            >>> class Tally(BaseModule):
            ...     count: int = Attr(default=0)
            >>> tally = Tally()
            >>> day = [1_800_000_000 * 10**9]
            >>> store = Store.open(
            ...     "retain.store", keys=KeyFile("retain.key"), clock=lambda: day[0]
            ... )
            >>> for tally.count in range(3):
            ...     _ = store.save(tally, "tally")
            ...     day[0] += 40 * 86_400 * 10**9
            >>> policy = RetentionPolicy(purge=timedelta(days=100))
            >>> store.retain(policy, dry_run=True).purged
            1
            >>> store.retain(policy).rows[0].purged
            1
            >>> [version.number for version in store.history("tally")]
            [3, 2]
            >>> store.close()
        """
        check_text(justification, *([] if name is None else [name]))
        types, others = policy_rows(policy)
        check_text(*(kind for kind, _ in types))
        rows, nodes, size_bytes, replaced = self._core.retain(
            name, types, others, justification, dry_run, progress
        )
        found = tuple(Retained(*row) for row in rows)
        return RetentionReport(found, nodes, size_bytes, replaced)

    @overload
    def stats(self) -> Stats: ...
    @overload
    def stats(self, name: str) -> NameStats: ...
    def stats(self, name: str | None = None) -> Stats | NameStats:
        """Gives what takes the space: of the whole store, or of one name with its largest values.

        What leads to the records that are counted is proved as by any read. Of one name it is a
        read in the ledger, as `history` is.

        Args:
            name: tell only of this name; None for the store.

        Returns:
            The numbers, in bytes and counts.

        Raises:
            UnknownName: nothing was saved under the name.
            IntegrityError: what lies on disk is not what was saved.
            SnapshotExpired: it took longer than ten minutes, and what it needs was deleted.
            StoreClosed: the store was closed.

        Complexity:
            Opens the records of all versions but the pieces of large values; those that the
            versions of a name share once, those that forks share once for each of them. Of the
            whole store it lists all records, with some 50 bytes of memory for each.

        Example:
            >>> from dachi_fast import Attr, BaseModule, KeyFile, Store
            >>> class Tally(BaseModule):
            ...     count: int = Attr(default=0)
            ...     notes: str = Attr(default="")
            >>> tally = Tally()
            >>> tally.notes = "0123456789"
            >>> with Store.open("stats.store", keys=KeyFile("stats.key")) as store:
            ...     _ = store.save(tally, "tally")
            ...     [tally_stats] = store.stats().names
            ...     store.stats("tally").largest
            (('notes', 11), ('count', 1))
            >>> tally_stats.versions, tally_stats.own_bytes == tally_stats.size_bytes
            (1, True)
        """
        if name is None:
            return stats_of(self._core.stats())
        check_text(name)
        return name_stats_of(self._core.stats_of(name))

    def compact(self, *, progress: Callable[[int, int], object] | None = None) -> None:
        """Gives the room that nothing needs any more back to the file system.

        Writes the data file anew, without holes, and puts it in the old one's place; a crash leaves
        the old file or the new one. What was dropped less than 10 minutes ago stays.

        Other threads read meanwhile. They save, too, while the file is written; when one of them
        did, it is written once more, and their saves wait for that: at most for one writing of the
        file.

        Args:
            progress: called for each MB with the bytes that were written and those that there are;
                from 0 again when the file is written once more. It must not change the store.
                Ctrl-C ends the writing, and so does what it raises: the file is as it was.

        Raises:
            StoreLocked: another process has the store open; the file is as it was.
            StoreFull: no room for the second file; nothing was changed.
            IntegrityError: what lies on disk is not what was saved.
            StoreClosed: the store was closed.

        Complexity:
            Reads all records but the pieces of large values, and writes what is kept once.
        """
        self._core.compact(progress)
