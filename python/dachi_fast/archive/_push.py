"""A backup on its way into an archive.

The order is the core's (`rust/src/store/archive/backup.rs`): keys, packs, manifest; then what is
not needed any more goes. Whoever dies in between leaves packs that the next backup goes on with.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from dachi_fast.archive._layout import KEYS, MANIFESTS, PACKS, ids, sizes, table_of
from dachi_fast.archive._records import BackupReport, moment
from dachi_fast.errors import ArchiveError, Missing, SnapshotExpired

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dachi_fast._core import store as _core_store
    from dachi_fast.archive._archive import Archive

# Requests at once; so many packs wait in memory, too.
THREADS: Final = 4
# How often the newest commit is taken anew when records go faster than they are put.
_MOST_PLANS: Final = 10
# How often others may replace the keys while this looks at them.
_MOST_TRIES: Final = 5

Progress = Callable[[int, int], object]


@dataclass
class Push:
    """A backup on its way.

    Attributes:
        core: the backup as the core sees it.
        archive: where it goes.
        progress: called with the bytes of records that were put and those that are to be.
    """

    core: _core_store.Backup
    archive: Archive
    progress: Progress | None
    put_bytes: int = 0
    put_objects: int = 0
    _keys: bytes = field(default=b"", repr=False)

    def run(self, *, keep: int, may_branch: bool) -> BackupReport:
        """Makes the backup."""
        with workers() as pool:
            names = pool.submit(self.archive.list).result()
            pool.submit(self._look, names, may_branch).result()
            pool.submit(self._put_keys).result()
            self._learn(pool, names)
            self._put_packs(pool)
            pool.submit(self._put_keys).result()
            return pool.submit(self._finish, keep).result()

    def _look(self, names: dict[str, int], may_branch: bool) -> None:  # noqa: FBT001 - from run
        strangers = [name for name in names if not _is_ours(name)]
        if strangers and KEYS not in names:
            what = f"{self.archive!r} holds other things, {min(strangers)!r} among them"
            raise ArchiveError("archive", f"{what}: give the backups a place of their own")
        if KEYS in names:
            self.core.check_keys(self.archive.get(KEYS))
        manifests = []
        for found in ids(names, MANIFESTS):
            # One that is gone by now was dropped by another backup.
            try:
                manifests.append((found, self.archive.get(MANIFESTS + found.hex())))
            except Missing:
                continue
        self.core.follow(manifests, may_branch)

    def _put_keys(self) -> None:
        """Brings the archive's copy of the keys to today's, unless another backup did."""
        ours = self.core.keys()
        if ours == self._keys:
            return
        for left in reversed(range(_MOST_TRIES)):
            try:
                theirs, version = self.archive.get_version(KEYS)
            except Missing:
                version = None
            else:
                self.core.check_keys(theirs)
                if theirs == ours:
                    break
            try:
                self.archive.put_over(KEYS, ours, version)
            except ArchiveError as error:
                if error.code != "archive-overtaken" or not left:
                    raise
            else:
                self._count(ours)
                break
        self._keys = ours

    def _learn(self, pool: ThreadPoolExecutor, names: dict[str, int]) -> None:
        """Finds what lies in the packs that are there."""
        packs = self.core.readable(sizes(names, PACKS))
        read = pool.map(lambda pack: table_of(self.archive, PACKS + pack[0].hex(), pack[1]), packs)
        for (pack, size_bytes), table in zip(packs, read, strict=True):
            if table is not None:
                self.core.learn(pack, size_bytes, table)

    def _put_packs(self, pool: ThreadPoolExecutor) -> None:
        for left in reversed(range(_MOST_PLANS)):
            keys = self.core.keys()
            try:
                self._put_planned(pool, self.core.plan(None)[1])
            except SnapshotExpired:
                # What was put is there: from the newest commit less is missing.
                if not left:
                    raise
            else:
                # A key that was destroyed meanwhile may be that of something planned.
                if self.core.keys() == keys:
                    return
        what = "the store's keys are replaced faster than a backup can be made"
        raise SnapshotExpired("snapshot-expired", what)

    def _put_planned(self, pool: ThreadPoolExecutor, all_bytes: int) -> None:
        waiting: deque[tuple[Future[None], int]] = deque()
        try:
            self._put_each(pool, waiting, all_bytes)
        except SnapshotExpired:
            # What is under way counts as put.
            for put, _ in waiting:
                put.result()
            raise

    def _put_each(
        self,
        pool: ThreadPoolExecutor,
        waiting: deque[tuple[Future[None], int]],
        all_bytes: int,
    ) -> None:
        done = 0
        self._tell(done, all_bytes)
        while True:
            pack = self.core.pack()
            while waiting and (pack is None or len(waiting) >= THREADS):
                put, size_bytes = waiting.popleft()
                put.result()
                done = min(done + size_bytes, all_bytes)
                self._tell(done, all_bytes)
            if pack is None:
                return
            name, data = PACKS + pack[0].hex(), pack[1]
            waiting.append((pool.submit(self.archive.put, name, data), len(data)))
            self._count(data)

    def _finish(self, keep: int) -> BackupReport:
        there = sizes(self.archive.list(PACKS), PACKS)
        found, manifest, commit, created_ns, nodes, size_bytes, put_nodes, dropped, dead = (
            self.core.finish(there, keep)
        )
        self.archive.put(MANIFESTS + found.hex(), manifest)
        self._count(manifest)
        for old in dropped:
            self.archive.delete(MANIFESTS + old.hex())
        for pack in dead:
            self.archive.delete(PACKS + pack.hex())
        self.archive.tidy()
        return BackupReport(
            found.hex(),
            moment(created_ns),
            commit,
            nodes,
            size_bytes,
            put_nodes,
            self.put_bytes,
            self.put_objects,
            tuple(old.hex() for old in dropped),
            len(dropped) + len(dead),
        )

    def _count(self, data: bytes) -> None:
        self.put_bytes += len(data)
        self.put_objects += 1

    def _tell(self, done: int, all_bytes: int) -> None:
        if self.progress is not None:
            self.progress(done, all_bytes)


@contextmanager
def workers() -> Iterator[ThreadPoolExecutor]:
    """Gives threads that talk to an archive: this one hears Ctrl-C meanwhile.

    What was not begun when the block ends by an error is not done; what was, ends by itself.
    """
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="dachi_fast-archive")
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _is_ours(name: str) -> bool:
    return name == KEYS or name.startswith((PACKS, MANIFESTS))
