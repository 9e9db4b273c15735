"""Backups read back from an archive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dachi_fast._core import store as _core_store
from dachi_fast.archive._layout import KEYS, MANIFESTS, PACKS, ids
from dachi_fast.archive._push import THREADS, Progress, workers
from dachi_fast.archive._records import Backup, moment
from dachi_fast.errors import IntegrityError, Missing, NoBackup, NotAStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future, ThreadPoolExecutor

    from dachi_fast.archive._archive import Archive


class Pull:
    """The backups of an archive, opened with its keys.

    Args:
        archive: where they are.
        unwrap: gives the root key for a store's id and the wrapped one.

    Raises:
        NoBackup: there is none.
        KeyringError: the key is another one.
        IntegrityError: the archive's keys were edited.
        ArchiveError: the archive cannot be reached, or refuses.
    """

    def __init__(self, archive: Archive, unwrap: Callable[[bytes, bytes], bytes]) -> None:
        self._archive = archive
        try:
            keys = archive.get(KEYS)
        except Missing as cause:
            raise NoBackup("no-backup", f"{archive!r} holds no backups") from cause
        store_id, wrapped = _core_store.keys_of(keys)
        self._core = _core_store.Restoration(keys, unwrap(store_id, wrapped))

    def backups(self) -> list[Backup]:
        """Gives all backups, newest first."""
        with workers() as pool:
            found = ids(pool.submit(self._archive.list, MANIFESTS).result(), MANIFESTS)
            backups = [self._read(name, data) for name, data in self._manifests(pool, found)]
        return sorted(backups, key=lambda backup: (backup.created, backup.commit), reverse=True)

    def backup(self, name: str | None) -> Backup:
        """Gives a backup by its id, or the newest."""
        backups = self.backups()
        found = [backup for backup in backups if name is None or backup.id == name]
        if found:
            return found[0]
        what = "it holds none" if name is None else f"it has none with the id {name!r}"
        raise NoBackup("no-backup", f"{self._archive!r}: {what}")

    def fetch(self, backup: Backup, folder: Path, progress: Progress | None) -> None:
        """Makes the store of a backup in a folder, or goes on where another one died.

        Args:
            backup: which.
            folder: of its own; what else lies there is deleted.
            progress: called with the bytes that were fetched and those that are to be.
        """
        try:
            with workers() as pool:
                self._fetch(pool, backup, folder, progress)
            self._core.finish()
        finally:
            self._core.stop()

    def _fetch(
        self, pool: ThreadPoolExecutor, backup: Backup, folder: Path, progress: Progress | None
    ) -> None:
        name = bytes.fromhex(backup.id)
        manifest = pool.submit(self._archive.get, MANIFESTS + backup.id).result()
        packs = self._core.read(name, manifest)[-1]
        begun = self._begin(folder, name, manifest)
        everything = sum(size_bytes for _, size_bytes in packs)
        done = sum(size_bytes for _, size_bytes in packs[:begun])
        if progress is not None:
            progress(done, everything)
        for data in self._fetched(pool, [pack.hex() for pack, _ in packs[begun:]]):
            self._core.add(data)
            done += len(data)
            if progress is not None:
                progress(done, everything)

    def _begin(self, folder: Path, name: bytes, manifest: bytes) -> int:
        try:
            return self._core.begin(folder, name, manifest)
        except (IntegrityError, NotAStore):
            # Of another backup, or damaged when somebody died: nothing of it is needed.
            for path in folder.iterdir():
                if path.name != "store.lock":
                    path.unlink()
            return self._core.begin(folder, name, manifest)

    def _fetched(self, pool: ThreadPoolExecutor, packs: list[str]) -> Iterator[bytes]:
        """Gives the packs in their order; a few are fetched ahead."""
        coming: list[Future[bytes]] = []
        for at, _ in enumerate(packs):
            ahead = packs[at + len(coming) : at + THREADS]
            coming += [pool.submit(self._archive.get, PACKS + pack) for pack in ahead]
            yield coming.pop(0).result()

    def _manifests(
        self, pool: ThreadPoolExecutor, found: list[bytes]
    ) -> Iterator[tuple[bytes, bytes]]:
        for name, got in [
            (name, pool.submit(self._archive.get, MANIFESTS + name.hex())) for name in found
        ]:
            try:
                yield name, got.result()
            except Missing:  # dropped by a backup meanwhile
                continue

    def _read(self, name: bytes, manifest: bytes) -> Backup:
        try:
            row = self._core.read(name, manifest)
        except IntegrityError as error:
            error.context["manifest"] = name.hex()
            raise
        created_ns, commit, committed_ns, entries, chain, nodes, size_bytes, packs = row
        return Backup(
            name.hex(),
            moment(created_ns),
            commit,
            moment(committed_ns),
            entries,
            chain.hex(),
            nodes,
            size_bytes,
            len(packs),
        )
