"""Backups of a store in an archive."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from dachi_fast.store._handle import Handle, check_text

if TYPE_CHECKING:
    from dachi_fast.archive import Archive, BackupReport


class Backups(Handle):
    """Backups of a store in an archive."""

    def backup(
        self,
        archive: str | os.PathLike[str] | Archive,
        *,
        keep: int = 7,
        branch: Literal["refuse", "allow"] = "refuse",
        justification: str = "",
        progress: Callable[[int, int], object] | None = None,
    ) -> BackupReport:
        """Puts what is not there yet of the newest commit into an archive, sealed as it is here.

        Others save meanwhile. Only when all of it is there the backup is: one that ends before, by
        Ctrl-C, an error or a kill, is none, and the next goes on with what was put. The archive's
        copy of the keys is replaced by today's: so what was forgotten cannot be read from older
        backups either, and after a `forget` or `rewrap` no backup can be restored until the next
        one was made.

        Args:
            archive: its URL, or an `Archive` for one that needs options. One store, one archive.
            keep: how many backups are kept, this one among them. What only older ones needed is
                deleted by a backup a day later. By default a week of daily ones.
            branch: what happens when the newest backup is not of this store's past, because it
                was restored from an older one, or a copy of it goes its own way. ``"refuse"``: an
                error. ``"allow"``: this is what counts from now on.
            justification: why, for the ledger, which gets the entry before the first byte goes.
                None is written where the store is read only.
            progress: called with the bytes of records that were put and those that are to be put;
                from 0 again if the newest commit had to be taken anew. What it raises ends the
                backup.

        Returns:
            What was put.

        Raises:
            ArchiveUnavailable: the archive cannot be reached, or failed.
            ArchiveError: it refuses, or holds other things.
            WrongContext: it is another store's.
            RolledBack: it has a newer state of this store, or a branch of it.
            IntegrityError: what lies in the archive, or on this disk, is not what was put there.
            SnapshotExpired: records are deleted faster than they can be put.
            StoreLocked: something is being forgotten; again when it is.
            StoreFull: there is no room for the ledger's entry.
            StoreClosed: the store was closed.
            ValueError: `keep` is less than 1, or `branch` none of these words.

        Complexity:
            Reads all records of the commit but the pieces of large values, of which only the new
            ones; memory of some 150 bytes for each record here and in the archive, and four packs
            of 8 MiB. One request for each pack that the archive has, one for each that is put.

        Example:
            >>> from dachi_fast import Attr, BaseModule, KeyFile, Store
            >>> class Tally(BaseModule):
            ...     count: int = Attr(default=0)
            >>> with Store.open("backed.store", keys=KeyFile("backed.key")) as store:
            ...     _ = store.save(Tally(), "tally")
            ...     first = store.backup("backed.archive")
            ...     second = store.backup("backed.archive")
            >>> first.put_nodes == first.nodes, second.put_nodes
            (True, 1)
        """
        from dachi_fast.archive._archive import archive_of
        from dachi_fast.archive._push import Push

        if keep < 1:
            raise ValueError(f"at least one backup is kept, not {keep}")
        if branch not in {"refuse", "allow"}:
            raise ValueError(f"branch is 'refuse' or 'allow', not {branch!r}")
        check_text(justification)
        opened = archive_of(archive)
        if not self.read_only:
            self._core.note("backup", "", justification)
        push = Push(self._core.backup(), opened, progress)
        try:
            return push.run(keep=keep, may_branch=branch == "allow")
        finally:
            # CPython 3.12 may keep the frames of an error that was dealt with until the collector's
            # next round, and what they refer to; the store must not stay open as long.
            del push.core
