"""An open store."""

import os
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dachi_fast._core.state import Capture
from dachi_fast.module import BaseModule
from dachi_fast.types import KeyProvider, Witness

_Row: TypeAlias = tuple[
    int, int, int, int, str, int, int, str, int, tuple[str, int] | None, list[str]
]
_Usage: TypeAlias = tuple[str, int, int, int, int, int, int, int, int, list[tuple[str, int]]]
_Detail: TypeAlias = tuple[str, str, str, str, int, int, int, str]

def probe(folder: str | os.PathLike[str]) -> tuple[bytes, bytes] | None:
    """Gives a store's id (16 bytes) and wrapped root key; None where a store can be made.

    Raises:
        NotAStore: a file, or a folder of other things.
        Missing: a data file without its keys.
        FormatTooNew: written by a newer version.
        StoreIO: no permission.
    """

def check(folder: str | os.PathLike[str]) -> tuple[int, bool]:
    """Reads every page of a closed store's data file that LMDB would trust; opening does so too.

    Returns:
        LMDB's number of the newest transaction, 0 where there is none yet, and whether the file may
        hold a newer one behind an edited meta page, which only the witness can tell.

    Raises:
        Malformed: LMDB must not see it.
        NotAStore: it is something else.
        StoreIO: no permission, or the disk failed.

    Complexity:
        O(pages that hold keys) reads of a page, and one of 16 bytes for each larger value.
    """

def keys_of(keys: bytes) -> tuple[bytes, bytes]:
    """Gives the store's id (16 bytes) and wrapped root key of an archive's copy of its keys.

    Raises:
        Malformed: the copy was edited.
        FormatTooNew: written by a newer version.
    """

# Ids of 16 bytes, and how long the objects are.
_Packs: TypeAlias = list[tuple[bytes, int]]

@final
class Backup:
    """A backup in the making; what is called in which order says `archive/_push.py`."""

    def keys(self) -> bytes:
        """Gives `keys.sealed` as it is now."""

    def check_keys(self, theirs: bytes) -> None:
        """Refuses an archive's copy of the keys that is another store's or a newer one."""

    def follow(self, manifests: list[tuple[bytes, bytes]], may_branch: bool) -> None:
        """Reads the archive's manifests: ids and objects."""

    def readable(self, packs: _Packs) -> _Packs:
        """Gives the packs whose tables are to be learned, in this order."""

    def learn(self, pack_id: bytes, size_bytes: int, table: bytes) -> bool:
        """Learns what lies in a pack; False if its table cannot be read."""

    def plan(self, progress: Callable[[int], object] | None = None) -> tuple[int, int]:
        """Takes the newest commit; gives how many records are missing, and their bytes.

        Calls `progress` with the number of records found so far.
        """

    def pack(self) -> tuple[bytes, bytes] | None:
        """Gives id and bytes of the next pack to put."""

    def finish(
        self, packs: _Packs, keep: int
    ) -> tuple[bytes, bytes, int, int, int, int, int, list[bytes], list[bytes]]:
        """Gives what is left to do when all packs are put and listed.

        Id and bytes of the manifest, commit, created_ns, records and their bytes, how many of them
        were put; manifests to delete, and packs to delete after them.
        """

@final
class Restoration:
    """The backups of an archive; what is called in which order says `archive/_pull.py`."""

    def __new__(cls, keys: bytes, root_key: bytes) -> Restoration: ...
    def read(
        self, manifest_id: bytes, manifest: bytes
    ) -> tuple[int, int, int, int, bytes, int, int, _Packs]:
        """Gives what a manifest says.

        When it was made, the commit, when that was made, ledger entries, hash of the last one,
        records, their bytes, and the packs that hold them.
        """

    def begin(self, folder: str | os.PathLike[str], manifest_id: bytes, manifest: bytes) -> int:
        """Begins to restore into a folder, or goes on; gives how many packs are in already."""

    def add(self, pack: bytes) -> None:
        """Adds the next pack; on disk when this returns."""

    def finish(self) -> None:
        """Makes a store of the folder."""

    def stop(self) -> None:
        """Lets go of the folder."""

@final
class Loaded:
    """A version, read and proved."""

    @property
    def kind(self) -> str:
        """The full kind of the root, `module:qualname`."""

    @property
    def schema(self) -> bytes:
        """The encoded table of its classes; empty where it has none."""

    def build(self) -> tuple[BaseModule, bool]:
        """Makes the modules.

        Returns:
            The root, and whether every leaf has its place in the tree and every field its leaf.
            Otherwise the state is still to be loaded.

        Raises:
            SpecError: a kind is not registered, or its fields are others.
            StateTypeError: a value does not fit its annotation.
            IntegrityError: what lies on disk is not what was saved.
        """

    def state(self) -> dict[str, Any]:
        """Gives the state, dot path -> value, made anew by each call.

        Raises:
            IntegrityError: what lies on disk is not what was saved.
        """

    def blueprint(self) -> dict[str, Any]:
        """Gives the blueprint as it was saved, made anew by each call.

        A module is a dict of kind (`module:qualname`), id, plain fields and the modules inside; one
        that is met again is ``{"same": id}``, a dict that could be taken for either ``{"$data":
        dict}``.
        """

    def fits(self, module: BaseModule) -> bool:
        """Gives whether a tree has as many values and the same kinds in the same places."""

def drain() -> None:
    """Waits until no thread of this process saves; Ctrl-C ends the waiting."""

@final
class Mark:
    """Which version of a name a live module came from; 0 for none."""

    def __new__(cls) -> Mark: ...
    @property
    def number(self) -> int: ...
    def set(self, number: int, created_ns: int = 0) -> None: ...

_Place: TypeAlias = tuple[int, str, str, str]
_Document: TypeAlias = tuple[int, int, int, Any]

@final
class Transaction:
    """A transaction over documents, until it is committed or rolled back.

    A place is a number of the names it was begun with, a memory type, of whom the ledger speaks,
    and why. Ids have 16 bytes. Entries are numbers of indexes, and bytes that order a document
    there. A document is created_ns, updated_ns, expires_ns (0 for never), and its value.
    """

    @property
    def open(self) -> bool: ...
    def indexes(self, name: int, memory_type: str) -> list[list[str]] | None:
        """Gives the fields of each index; None where nobody declared any."""

    def declare(self, place: _Place, indexes: list[list[str]]) -> None: ...
    def reindex(
        self, name: int, memory_type: str, document_id: bytes, entries: list[tuple[int, bytes]]
    ) -> None: ...
    def insert(
        self,
        place: _Place,
        value: dict[str, Any],
        entries: list[tuple[int, bytes]],
        ttl_ns: int | None,
    ) -> bytes:
        """Stores a document; gives its id."""

    def replace(
        self,
        place: _Place,
        document_id: bytes,
        value: dict[str, Any],
        entries: list[tuple[int, bytes]],
        ttl_ns: int | None,
    ) -> bool:
        """Replaces a document; without a time to live it keeps the one that it has."""

    def remove(self, place: _Place, document_id: bytes) -> bool: ...
    def remove_all(
        self, place: _Place, document_ids: list[bytes], operation: Literal["delete", "unlearn"]
    ) -> int:
        """Removes documents; the ledger has one entry of the operation, also if none was there.

        Gives how many were.
        """

    def count(self, name: int, memory_type: str) -> int:
        """Gives how many documents of a type there were when the transaction began."""

    def get(self, name: int, memory_type: str, document_id: bytes) -> _Document | None: ...
    def search(
        self,
        name: int,
        memory_type: str,
        index: int | None,
        start: bytes,
        end: bytes | None,
        descending: bool,
        limit: int,
    ) -> tuple[list[tuple[bytes, _Document]], bytes | None]:
        """Gives what lies in a part of an index, or of the documents by id.

        Also gives the last bytes that were looked at, when there may be more.
        """

    def get_all(
        self, name: int, memory_type: str, document_ids: list[bytes]
    ) -> list[_Document | None]:
        """Gives documents in the order of their ids; a node that holds several is opened once."""

    def note_read(
        self, name: int, memory_type: str, agent_id: str | None = None, justification: str = ""
    ) -> None:
        """Puts a read into the ledger: by the namespace's agent, or by whoever it is said to be."""

    def now_ns(self) -> int:
        """Gives the time: the clock's, but never before the commit that is read."""

    def spaces(self, name: int) -> list[tuple[str, str, int]]:
        """Gives name, model and dimension of each space of vectors."""

    def declare_space(self, name: int, space: str, model: str, dimension: int) -> None: ...
    def drop_space(self, name: int, space: str) -> None: ...
    def reclass(self, name: int, document_id: bytes, visibility: int) -> None:
        """Gives the vectors of a document another class, in all spaces."""

    def embed(
        self,
        name: int,
        space: str,
        document_id: bytes,
        visibility: int,
        vector: NDArray[np.float32],
    ) -> None:
        """Gives a document its vector in a space, or another one; it is normalised."""

    def similar(
        self,
        name: int,
        space: str,
        query: NDArray[np.float32],
        k: int,
        recall: float,
        visible: bytes,
        within: list[str] | None,
    ) -> list[tuple[str, float]]:
        """Gives ids of 32 hex digits with cosines, nearest first; equally near ones by id."""

    def save(
        self, name: str, capture: Capture, justification: str, base: Mark | int | None, mark: Mark
    ) -> None:
        """Saves a capture in the same commit; if that fails, the capture can be saved again."""

    def commit(self) -> list[_Row]: ...
    def rollback(self) -> bool: ...

@final
class Store:
    """An open store; methods may be called from any thread and work detached from the GIL."""

    def __new__(
        cls,
        folder: str | os.PathLike[str],
        store_id: bytes,
        root_key: bytes,
        wrapped_root: bytes,
        provider: tuple[KeyProvider, bytes],
        watched_by: str | os.PathLike[str] | Witness | None,
        *,
        refuse_unseen: bool = False,
        adopt: str | None = None,
        read_only: bool = False,
        limits: tuple[int | None, int, int | None, int | None] = ...,
        vectors_bytes: int = 0,
        audit_reads: Literal["batched", "strict", "off"] = "batched",
        clock: Callable[[], int] | None = None,
        bench_only_no_sync: bool = False,
        bench_only_sync_ms: int = 0,
    ) -> Store:
        """Opens the store in `folder`, or makes it.

        `provider` comes with what it binds the root key to; `root_key` is what it unwrapped.
        """

    @property
    def closed(self) -> bool: ...
    @property
    def read_only(self) -> bool: ...
    def rest(self) -> None:
        """Waits until no thread works for the store, at most a second."""

    def close(self, *, wait: bool = True) -> None:
        """Lets go of the store when nothing is queued, or at once; what is queued is saved anyway.

        Ctrl-C ends the waiting.
        """

    def save(
        self, name: str, capture: Capture, justification: str, base: Mark | int | None, mark: Mark
    ) -> _Row:
        """Commits a capture after what is queued under the name, and sets the mark.

        A row is number, created_ns, base, restores, justification, entries, size_bytes, root,
        written_bytes, source, tags.
        """

    def save_together(
        self, parts: list[tuple[str, Capture, Mark | int | None, Mark]], justification: str
    ) -> list[_Row]:
        """Commits captures under different names in one commit, all or none of them.

        A part is a name, a capture, what it must follow, and the mark that is set.
        """

    def save_later(
        self,
        name: str,
        capture: Capture,
        justification: str,
        base: Mark | int | None,
        mark: Mark,
        done: Callable[[_Row | None, Exception | None], object],
        *,
        skip_equal: bool,
        most_bytes: int | None,
    ) -> None:
        """Queues a capture; `done` hears of its end in a thread of the core's.

        Args:
            name: the name.
            capture: made with `copy_arrays`.
            justification: why.
            base: what it must follow when its turn comes; None for whatever is there.
            mark: set when it is on disk, before `done` is called.
            done: gets the row or the error.
            skip_equal: whether a state equal to the latest version is no new one.
            most_bytes: waits while more are queued.
        """

    def flush(self) -> None:
        """Waits until everything that was queued before is settled; Ctrl-C ends the waiting."""

    def transaction(self, names: list[str]) -> Transaction:
        """Begins a transaction over the namespaces of names."""

    def migrate(self, name: str, capture: Capture, justification: str, base: int) -> _Row:
        """Commits a capture of what version `base` is to today's classes."""

    def note_migration(self, name: str, version: int, what: str) -> None:
        """Puts into the ledger, as reads are put there, that a version was migrated when read."""

    def load(self, name: str, version: int | str | None = None) -> tuple[_Row, Loaded]:
        """Reads and proves a version, its large values excepted: those when they are used."""

    def load_together(
        self, names: list[list[str]], version: int | str | None = None
    ) -> list[tuple[str, _Row, Loaded]]:
        """Reads a version of each, all as of one commit.

        Each comes with the names that it goes by: the first one that something was saved under is
        read, and given.
        """

    def version(self, name: str, version: int | str | None = None) -> _Row: ...
    def fingerprint(self, name: str, version: int | str | None = None) -> str: ...
    def fork(self, name: str, to: str, version: int | str | None, justification: str) -> _Row: ...
    def copy(self, name: str, to: str, version: int | str | None, justification: str) -> _Row: ...
    def tag(self, name: str, version: int | str | None, tag: str) -> _Row: ...
    def untag(self, name: str, tag: str) -> _Row: ...
    def names(self) -> list[str]: ...
    def history(self, name: str, limit: int) -> list[_Row]:
        """Newest first."""

    def rollback(self, name: str, to: int | str, justification: str) -> _Row: ...
    def state(
        self, name: str, version: int | str | None = None, under: str | None = None
    ) -> dict[str, Any]:
        """Gives path -> value; what this process does not know is an `Opaque`."""

    def blueprint(self, name: str, version: int | str | None = None) -> dict[str, Any]: ...
    def diff(
        self, name: str, a: int | str, b: int | str
    ) -> list[tuple[str, tuple[Any] | None, tuple[Any] | None]]: ...
    def prune(
        self, name: str | None = None, *, dry_run: bool = False
    ) -> list[tuple[str, list[int], int, int, int]]:
        """Rows of name, dropped versions, bytes only they need, bytes freed now, documents."""

    def retain(
        self,
        name: str | None,
        types: Sequence[tuple[str, tuple[int, int, int | None]]],
        others: tuple[int, int, int | None] | None,
        justification: str,
        dry_run: bool,
        progress: Callable[[int, int], object] | None = None,
    ) -> tuple[list[tuple[str, str, int, int, int, int, int]], int, int, bool]:
        """Purges what is too old, by memory type: hot, warm and purge in ns.

        Gives name, memory type, hot, warm, cold, purged, kept of each; then as `purge` does.
        """

    def now_ns(self) -> int:
        """Gives the time by the store's clock."""

    def compact(self, progress: Callable[[int, int], object] | None = None) -> None:
        """Calls `progress` with the bytes that were copied and those that there are."""

    def stats(
        self,
    ) -> tuple[
        tuple[int, int, int, int],
        tuple[int, int, int, int, int],
        int,
        tuple[int, int, int, int],
        list[_Usage],
    ]:
        """Gives what takes the space.

        Rows of file bytes, bytes of a page, pages in use, bytes of the keys; bytes of names,
        directory, ledger, garbage, what of it waits; ledger entries; when the keys were rotated,
        when they are due, records sealed since, records until they are due; the names.
        """

    def stats_of(self, name: str) -> _Usage:
        """Gives what one name takes.

        A row is name, versions, number, time and encoded bytes of the latest, bytes, own bytes,
        dropped versions, documents, and paths and bytes of the largest values.
        """

    def verify(
        self, progress: Callable[[int], object] | None = None
    ) -> tuple[int, int, int, int, int, int, int]: ...
    def backup(self) -> Backup:
        """Begins a backup, when what is queued is saved."""

    def restored(self, manifest: str, justification: str) -> int:
        """Takes out what has no key any more, notes the restoration; gives how many went."""

    def rotate(self, justification: str) -> None: ...
    def rewrap(self, provider: KeyProvider, purpose: bytes, justification: str) -> None: ...
    def purge(
        self,
        removals: Sequence[tuple[str, Sequence[int], Sequence[tuple[str, bytes, int | None]]]],
        justification: str,
        progress: Callable[[int, int], object] | None = None,
    ) -> tuple[list[tuple[str, list[int], dict[str, int]]], int, int, bool]:
        """Destroys versions and documents: (memory type, id, when written last or None for any).

        Gives names, versions and counts of documents by memory type; then how many records were
        sealed anew, their bytes, and whether the provider replaced its key.
        """

    def forget(self, name: str, with_forks: bool, justification: str) -> tuple[list[str], bool]:
        """Gives the names that were forgotten, and whether the provider replaced its key."""

    @property
    def store_id(self) -> bytes: ...
    def ledger(self, limit: int) -> list[tuple[int, str, str, str, str, str, _Detail | None]]:
        """Gives the newest entries, newest first.

        A row is seq, operation, timestamp, prev, commitment, hash and the detail: agent_id,
        memory_type, justification, root, version, count, clock_behind_us, salt.
        """

    def ledger_lines(
        self, start: int, chain: bytes, limit: int, disclose: bool
    ) -> tuple[str, bytes]:
        """Gives the lines of an export from entry `start` on, and the hash of the last one.

        `chain` is the hash of the entry before, 32 bytes.
        """

    def tree_head(self, size: int | None = None) -> tuple[int, bytes, bytes]:
        """Gives size and root of the ledger's tree, and the hash of its last entry."""

    def prove(self, seq: int) -> tuple[str, list[bytes], int, bytes]:
        """Gives an entry's JSON, its path, and the tree's size and root."""

    def prove_consistency(self, old: int, new: int) -> list[bytes]: ...
    def note(self, operation: str, memory_type: str, justification: str) -> None:
        """Commits an entry that concerns the store itself."""

    def public_key(self) -> bytes: ...
    def sign(self, message: bytes) -> bytes: ...
    def finish(self) -> None:
        """Waits for what is queued, and commits the reads that are not in the ledger yet.

        Ctrl-C ends the waiting. Does nothing in a fork.
        """
