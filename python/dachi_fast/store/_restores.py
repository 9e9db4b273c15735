"""Stores made from backups: restored, or only tried."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from dachi_fast._files import sync_folder
from dachi_fast.errors import (
    AlreadyExists,
    DachiError,
    KeyringError,
    StoreIO,
    StoreLocked,
    Tampered,
)
from dachi_fast.keys._purpose import purpose
from dachi_fast.store._handle import Handle, check_text
from dachi_fast.store._off_loop import run
from dachi_fast.store._records import Report

if TYPE_CHECKING:
    from dachi_fast.archive import Archive, Backup, DrillReport
    from dachi_fast.archive._pull import Pull
    from dachi_fast.types import KeyProvider, Witness
    from dachi_fast.witness import FileWitness

_LOCK = "store.lock"


class Restores(Handle):
    """Stores made from backups."""

    if TYPE_CHECKING:  # what the whole class has

        @classmethod
        def open(cls, *args: Any, **kwargs: Any) -> Self: ...
        @classmethod
        def adopt(cls, *args: Any, **kwargs: Any) -> Self: ...

    @classmethod
    def backups(
        cls, archive: str | os.PathLike[str] | Archive, *, keys: KeyProvider
    ) -> list[Backup]:
        """Gives the backups in an archive, newest first.

        Args:
            archive: its URL, or an `Archive`.
            keys: the provider that the store was opened with when the newest was made.

        Raises:
            NoBackup: there is no archive, or nothing in it.
            ArchiveUnavailable: the archive cannot be reached, or failed.
            ArchiveError: it refuses.
            KeyringError: the key is missing or another one.
            IntegrityError: a manifest, or the archive's keys, were edited.
        """
        return _pull(archive, keys).backups()

    @classmethod
    def restore(
        cls,
        archive: str | os.PathLike[str] | Archive,
        path: str | os.PathLike[str],
        *,
        keys: KeyProvider,
        witness: FileWitness | Witness | Literal["default"] | None = "default",
        backup: str | None = None,
        existing: Literal["refuse", "aside"] = "refuse",
        justification: str = "",
        progress: Callable[[int, int], object] | None = None,
    ) -> Self:
        """Makes a store from a backup, proves all of it, and only then puts it in its place.

        What was forgotten since the backup stays forgotten: it is left out. The store is adopted:
        a new lineage, which the witness follows from now on, so that the one it was made from, and
        the one it replaces, are refused there. The ledger goes on from the backup, with an entry
        ``restore`` and one ``adopt``.

        A restore that is killed is begun again: it goes on with what was fetched. If it died after
        the store was put in its place, `Store.adopt` is all that is left to do.

        Args:
            archive: its URL, or an `Archive`.
            path: the store's folder; what is not there yet lies in ``PATH.restoring``.
            keys: the provider that the store was opened with when the newest backup was made.
            witness: as for `Store.open`.
            backup: the id of one that `Store.backups` gave; None for the newest.
            existing: what becomes of a store, or of anything else, in the folder. ``"refuse"``: an
                error. ``"aside"``: the folder gets the ending ``.replaced-`` and the time; it is
                yours to delete.
            justification: why, for the ledger; at most 16 KiB.
            progress: called with the bytes that were fetched and those that are to be. What it
                raises ends the restore.

        Returns:
            The open store.

        Raises:
            NoBackup: there is none, or not this one.
            AlreadyExists: something is in the folder (``path-taken``).
            StoreLocked: somebody has the store there open, or restores to the same folder.
            ArchiveUnavailable: the archive cannot be reached, or failed.
            ArchiveError: it refuses.
            KeyringError: the key is missing or another one.
            IntegrityError: an object of the archive is missing or was edited; the folder is as it
                was.
            StoreFull: there is no room.
            StoreIO: no permission, or the disk or the witness failed.
            ValueError: `existing` is none of these words.

        Complexity:
            Fetches and writes every pack that the backup needs, and reads every record.

        Example:
            >>> from dachi_fast import Attr, BaseModule, KeyFile, Store
            >>> class Tally(BaseModule):
            ...     count: int = Attr(default=3)
            >>> keys = KeyFile("restored.key")
            >>> with Store.open("restored.store", keys=keys) as store:
            ...     _ = store.save(Tally(), "tally")
            ...     _ = store.backup("restored.archive")
            >>> with Store.restore("restored.archive", "anew.store", keys=keys) as store:
            ...     store.load("tally").count
            3
        """
        check_text(justification)
        if existing not in {"refuse", "aside"}:
            raise ValueError(f"existing is 'refuse' or 'aside', not {existing!r}")
        path = Path(path).absolute()
        _check_free(path, existing)
        pull = _pull(archive, keys)
        beside = path.with_name(f"{path.name}.restoring")
        cls._proved(pull, pull.backup(backup), beside, keys, justification, progress)
        with _telling(path), _emptied(path, existing):
            beside.rename(path)
            sync_folder(path.parent)
        return cls.adopt(path, keys=keys, witness=witness, justification=justification)

    @classmethod
    def drill(
        cls,
        archive: str | os.PathLike[str] | Archive,
        *,
        keys: KeyProvider,
        backup: str | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> DrillReport:
        """Restores a backup into a temporary folder, proves all of it, and removes it again.

        No store, witness or key is touched, and nothing is written to the archive. A kill leaves
        the folder behind, sealed as everything.

        Args:
            archive: its URL, or an `Archive`.
            keys: the provider that the store was opened with when the newest backup was made.
            backup: the id of one that `Store.backups` gave; None for the newest.
            progress: as for `restore`.

        Returns:
            What was proved.

        Raises:
            NoBackup: there is none, or not this one.
            ArchiveUnavailable: the archive cannot be reached, or failed.
            ArchiveError: it refuses.
            KeyringError: the key is missing or another one.
            IntegrityError: an object of the archive is missing or was edited: this backup cannot
                be restored.
            StoreFull: there is no room.

        Complexity:
            That of `restore`.
        """
        from dachi_fast.archive import DrillReport

        begun = time.perf_counter()
        pull = _pull(archive, keys)
        found = pull.backup(backup)
        folder = Path(tempfile.mkdtemp(prefix="dachi-drill-"))
        try:
            report, forgotten = cls._proved(pull, found, folder / "store", keys, "", progress)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return DrillReport(
            found,
            report.names,
            report.versions,
            report.documents,
            found.ledger_entries,
            report.nodes,
            report.size_bytes,
            forgotten,
            time.perf_counter() - begun,
        )

    @classmethod
    def _proved(
        cls,
        pull: Pull,
        backup: Backup,
        folder: Path,
        keys: KeyProvider,
        justification: str,
        progress: Callable[[int, int], object] | None,
    ) -> tuple[Report, int]:
        """Makes the store of a backup in a folder of its own, closed; gives what was proved."""
        with _telling(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(folder):
            pull.fetch(backup, folder, progress)
        with cls.open(
            folder, keys=_OnlyOpens(keys), witness=None, limits=None, audit_reads="off"
        ) as store:
            size, _, chain = store._core.tree_head()
            if size > backup.ledger_entries:  # it was here before, and died then
                _, _, chain = store._core.tree_head(backup.ledger_entries)
            if chain.hex() != backup.ledger_hash:
                what = f"the store in {folder} is not the one that was backed up; delete it"
                raise Tampered("tampered", what, path=str(folder))
            forgotten = store._core.restored(backup.id, justification)
            return Report(*store._core.verify(None)), forgotten

    @classmethod
    async def abackups(
        cls, archive: str | os.PathLike[str] | Archive, *, keys: KeyProvider
    ) -> list[Backup]:
        """Does what `backups` does, off the event loop: arguments, result and errors alike."""
        return await run(cls.backups, archive, keys=keys)

    @classmethod
    async def arestore(
        cls,
        archive: str | os.PathLike[str] | Archive,
        path: str | os.PathLike[str],
        *,
        keys: KeyProvider,
        witness: FileWitness | Witness | Literal["default"] | None = "default",
        backup: str | None = None,
        existing: Literal["refuse", "aside"] = "refuse",
        justification: str = "",
        progress: Callable[[int, int], object] | None = None,
    ) -> Self:
        """Does what `restore` does, off the event loop: arguments, result and errors alike."""
        return await run(
            cls.restore,
            archive,
            path,
            keys=keys,
            witness=witness,
            backup=backup,
            existing=existing,
            justification=justification,
            progress=progress,
        )

    @classmethod
    async def adrill(
        cls,
        archive: str | os.PathLike[str] | Archive,
        *,
        keys: KeyProvider,
        backup: str | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> DrillReport:
        """Does what `drill` does, off the event loop: arguments, result and errors alike."""
        return await run(cls.drill, archive, keys=keys, backup=backup, progress=progress)


class _OnlyOpens:
    """A provider that opens, and changes nothing: the store in use may need what it has."""

    def __init__(self, keys: KeyProvider) -> None:
        self._keys = keys

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        return self._keys.unwrap(wrapped, context)

    def wrap(self, key: bytes, context: bytes) -> bytes:
        del key, context
        raise KeyringError("keyring", "a backup that is proved gets no new root key")


def _pull(archive: str | os.PathLike[str] | Archive, keys: KeyProvider) -> Pull:
    from dachi_fast.archive._archive import archive_of
    from dachi_fast.archive._pull import Pull

    def unwrap(store_id: bytes, wrapped: bytes) -> bytes:
        return keys.unwrap(wrapped, purpose(store_id))

    return Pull(archive_of(archive), unwrap)


def _check_free(path: Path, existing: Literal["refuse", "aside"]) -> None:
    if existing == "aside" or not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    what = f"something is in {path}: choose another folder, or have it set aside"
    raise AlreadyExists("path-taken", what, path=str(path))


@contextmanager
def _emptied(path: Path, existing: Literal["refuse", "aside"]) -> Iterator[None]:
    """Sees to it that nothing is at a path; a store that is set aside is kept from being used."""
    _check_free(path, existing)
    if existing == "refuse" or not path.exists():
        yield
        return
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    with _locked(path) if (path / _LOCK).exists() else nullcontext():
        path.rename(path.with_name(f"{path.name}.replaced-{now}"))
        yield


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        if isinstance(cause, DachiError):
            raise
        what = f"cannot put a store in {path}: {cause}"
        raise StoreIO("io", what, path=str(path)) from cause


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds a folder as who opens a store there alone does."""
    held = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            what = f"somebody has the store in {folder} open; close it there"
            raise StoreLocked("locked", what, path=str(folder)) from cause
        yield
    finally:
        os.close(held)
