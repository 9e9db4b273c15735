"""Opening stores."""

from __future__ import annotations

import atexit
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

from dachi_fast._core import store as _core_store
from dachi_fast._dirs import data_folder
from dachi_fast.errors import KeyringError, NotAStore, StoreLocked
from dachi_fast.keys import KeyFile
from dachi_fast.store._async import Async
from dachi_fast.store._autosave import Autosaves
from dachi_fast.store._handle import check_text
from dachi_fast.store._limits import Limits, limits_row
from dachi_fast.store._off_loop import run
from dachi_fast.witness import core_witness

if TYPE_CHECKING:
    from dachi_fast.store._handle import Bases, Durability
    from dachi_fast.types import Clock, KeyProvider, Witness
    from dachi_fast.witness import FileWitness

# By store id and folder, without links: a store that is closed and opened again still knows what it
# loaded; a copy of it, which goes its own way, does not.
_bases: dict[tuple[bytes, Path], Bases] = {}

DEFAULT_LIMITS: Final = Limits()
AuditReads = Literal["batched", "strict", "off"]


class Store(Async, Autosaves):
    """An embedded store of agents: encrypted, versioned, ledgered, proved on every read.

    Open one with `Store.open`. Methods may be called from any thread, and any number of processes
    may have a store open: one commits at a time, and saves that meet share one commit. A handle
    does not survive a fork.

    Example:
        >>> from dachi_fast import Attr, BaseModule, KeyFile, Store
        >>> class Counter(BaseModule):
        ...     count: int = Attr(default=0)
        >>> with Store.open("agents.store", keys=KeyFile("agents.key")) as store:
        ...     counter = Counter()
        ...     counter.count += 1
        ...     version = store.save(counter, "counter", justification="first step")
        ...     same = store.load("counter")
        >>> version.number, same.count
        (1, 1)
    """

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        keys: KeyProvider,
        witness: FileWitness | Witness | Literal["default"] | None = "default",
        limits: Limits | None = DEFAULT_LIMITS,
        audit_reads: AuditReads = "batched",
        clock: Clock | None = None,
        read_only: bool = False,
        durability: Durability = "sync",
    ) -> Self:
        """Opens the store in a folder, or makes one.

        Args:
            path: a folder of its own; made if it does not exist.
            keys: wraps the store's root key, for instance `KeyFile("agents.key")`.
            witness: remembers the newest commit outside the store, so that an older copy put in
                the store's place is refused. ``"default"``: a `FileWitness` in the user's state
                folder. None: no witness, and an older copy is not noticed.
            limits: which versions saves keep while this handle is open, and how much memory the
                vectors of documents may take. Default: the last 100, then one a day for 90 days;
                and 512 MiB. None: all, and 512 MiB.
            audit_reads: how loads, histories and diffs come into the ledger. ``"batched"``: with
                the next commit, at close, or, when the next one is read, after 1,000 of them or
                60 s; equal ones in a row are one entry. What a process that dies had read since
                is not there. ``"strict"``: each is on disk before it returns. ``"off"``: not at
                all.
            clock: tells the time, nanoseconds since 1970; None for the system's. Where it is
                behind what was saved last, that time is kept, and the ledger says by how much.
            read_only: True: the store must exist, nothing but LMDB's table of readers is written,
                reads are not audited, and whatever would change the store raises `StoreReadOnly`.
            durability: ``"sync"``: a save returns when it is on disk. ``"async"``: when it is
                queued; the same synced commit follows, and `flush` waits for it.

        Returns:
            The open store.

        Raises:
            NotAStore: the path is a file, or a folder of other things.
            StoreLocked: this process has it open already: share that handle. Or somebody reads it
                where nothing can be written, so that nobody can be told of readers.
            FormatTooNew: a newer dachi_fast wrote it.
            KeyringError: the key is missing or another one; `KeyAccessError` if its protection is
                too weak.
            RolledBack: it is older than, or no continuation of, what was last seen here.
            WitnessMissing: the witness does not know it, and refuses such.
            IntegrityError: it was edited or damaged.
            StoreIO: no permission, or the disk or the witness failed.
            StoreFull: it is new, and there is no room.
            ValueError: `durability` or `audit_reads` is none of these words, or reads are to be
                ``"strict"`` where nothing is written.

        Example:
            >>> from dachi_fast import KeyFile, Store
            >>> store = Store.open("open.store", keys=KeyFile("open.key"))
            >>> store.names()
            []
            >>> store.close()
        """
        if read_only and audit_reads == "strict":
            raise ValueError("a store that is only read has no ledger to write reads to")
        watched = core_witness(witness)
        how = _How(
            keys, *watched, clock, limits, audit_reads, read_only=read_only, durability=durability
        )
        return cls._opened(Path(path).absolute(), how)

    @classmethod
    def adopt(
        cls,
        path: str | os.PathLike[str],
        *,
        keys: KeyProvider,
        witness: FileWitness | Witness | Literal["default"] | None = "default",
        limits: Limits | None = DEFAULT_LIMITS,
        audit_reads: AuditReads = "batched",
        clock: Clock | None = None,
        durability: Durability = "sync",
        justification: str = "",
    ) -> Self:
        """Opens a backup or copy that is to be the store in use from now on.

        The ledger says so, and the witness begins again with this store. Any other copy is
        refused by that witness from then on, and this one by the witness of the original.

        Args:
            path: the store's folder; nobody else may have it open.
            keys: as for `open`.
            witness: the one that is to follow this store. For a copy beside the original, one of
                its own.
            limits: as for `open`.
            audit_reads: as for `open`.
            clock: as for `open`.
            durability: as for `open`.
            justification: why, for the ledger; at most 16 KiB.

        Returns:
            The open store.

        Raises:
            NotAStore: there is no store.
            StoreLocked: somebody has it open.
            KeyringError: the key is missing or another one.
            FormatTooNew: a newer dachi_fast wrote it.
            IntegrityError: it, or the witness's record, was edited or damaged.
            StoreFull: there is no room.
            StoreIO: no permission, or the disk or the witness failed.
            ValueError: `durability` or `audit_reads` is none of these words.

        Example:
            >>> import shutil
            >>> from dachi_fast import KeyFile, Store
            >>> keys = KeyFile("adopt.key")
            >>> Store.open("adopt.store", keys=keys).close()
            >>> _ = shutil.copytree("adopt.store", "monday.backup")
            >>> with Store.adopt("monday.backup", keys=keys, justification="disk died") as store:
            ...     store.ledger()[0].operation
            'adopt'
        """
        check_text(justification)
        watched = core_witness(witness)
        how = _How(
            keys, *watched, clock, limits, audit_reads, adopt=justification, durability=durability
        )
        return cls._opened(Path(path).absolute(), how)

    @classmethod
    def _opened(cls, folder: Path, how: _How) -> Self:
        found = _core_store.probe(folder)
        while True:
            try:
                core, store_id = _core_opened(folder, found, how)
                break
            except (StoreLocked, KeyringError):
                # Did another process make the store, or replace its root key, in between?
                before, found = found, _core_store.probe(folder)
                if found is None or found == before:
                    raise
        where = store_id, folder.resolve()
        if how.adopt is not None:
            # What was loaded from this folder may have come from another history.
            _bases.pop(where, None)
        seen = how.watched_by if isinstance(how.watched_by, Path) else None
        bases = _bases.setdefault(where, {})
        store = cls(core, folder, bases, seen, durability=how.durability)
        store._purpose = purpose(store_id)
        return store

    @classmethod
    async def aadopt(
        cls,
        path: str | os.PathLike[str],
        *,
        keys: KeyProvider,
        witness: FileWitness | Witness | Literal["default"] | None = "default",
        limits: Limits | None = DEFAULT_LIMITS,
        audit_reads: AuditReads = "batched",
        clock: Clock | None = None,
        durability: Durability = "sync",
        justification: str = "",
    ) -> Self:
        """Does what `adopt` does, off the event loop: arguments, result and errors alike."""
        return await run(
            cls.adopt,
            path,
            keys=keys,
            witness=witness,
            limits=limits,
            audit_reads=audit_reads,
            clock=clock,
            durability=durability,
            justification=justification,
        )

    @classmethod
    async def aopen(
        cls,
        path: str | os.PathLike[str],
        *,
        keys: KeyProvider,
        witness: FileWitness | Witness | Literal["default"] | None = "default",
        limits: Limits | None = DEFAULT_LIMITS,
        audit_reads: AuditReads = "batched",
        clock: Clock | None = None,
        read_only: bool = False,
        durability: Durability = "sync",
    ) -> Self:
        """Does what `open` does, off the event loop: arguments, result and errors alike."""
        return await run(
            cls.open,
            path,
            keys=keys,
            witness=witness,
            limits=limits,
            audit_reads=audit_reads,
            clock=clock,
            read_only=read_only,
            durability=durability,
        )


@dataclass(frozen=True)
class _How:
    """How a store is opened."""

    keys: KeyProvider
    watched_by: Path | Witness | None
    refuse_unseen: bool
    clock: Clock | None
    limits: Limits | None
    audit_reads: AuditReads
    adopt: str | None = None
    read_only: bool = False
    durability: Durability = "sync"

    def __post_init__(self) -> None:
        if self.durability not in {"sync", "async"}:
            raise ValueError(f"durability is 'sync' or 'async', not {self.durability!r}")
        if self.audit_reads not in {"batched", "strict", "off"}:
            what = f"audit_reads is 'batched', 'strict' or 'off', not {self.audit_reads!r}"
            raise ValueError(what)


def _core_opened(
    folder: Path, found: tuple[bytes, bytes] | None, how: _How
) -> tuple[_core_store.Store, bytes]:
    """Gives the open store and its id; `found` is its id and wrapped root, None if it is new."""
    if found is None and (how.adopt is not None or how.read_only):
        raise NotAStore("not-a-store", f"there is no store in {folder}", path=str(folder))
    if found is None:
        store_id = os.urandom(16)
        root, wrapped = _first_root(how.keys, store_id)
    else:
        store_id, wrapped = found
        root = how.keys.unwrap(wrapped, purpose(store_id))
    core = _core_store.Store(
        folder,
        store_id,
        root,
        wrapped,
        (how.keys, purpose(store_id)),
        how.watched_by,
        refuse_unseen=how.refuse_unseen,
        adopt=how.adopt,
        read_only=how.read_only,
        limits=limits_row(how.limits),
        vectors_bytes=(how.limits or DEFAULT_LIMITS).vectors_bytes,
        audit_reads=how.audit_reads,
        clock=how.clock,
    )
    return core, store_id


def _first_root(keys: KeyProvider, store_id: bytes) -> tuple[bytes, bytes]:
    """Gives a new store's root key, and the same wrapped, which was proved to open."""
    root = os.urandom(32)
    wrapped = keys.wrap(root, purpose(store_id))
    if keys.unwrap(wrapped, purpose(store_id)) != root:
        what = f"{keys!r} does not give back what it sealed; nothing was made"
        raise KeyringError("keyring", what)
    return root, wrapped


def purpose(store_id: bytes) -> bytes:
    """Gives what a provider binds a store's root key to."""
    return b"dachi_fast root key of store " + store_id.hex().encode()


_default: dict[int, Store] = {}
# By process, too: one that another thread held at a fork would be held in the child for ever.
_default_locks: dict[int, threading.Lock] = {}


@atexit.register
def _close_default() -> None:
    # Nobody else closes it, and what was read belongs into its ledger.
    store = _default.pop(os.getpid(), None)
    if store is not None:
        store.close()


def default_store() -> Store:
    """Gives this process's default store, opened on first use.

    It lies at ``$DACHI_FAST_STORE``, else in the user's data folder
    (``$XDG_DATA_HOME/dachi_fast/default.store``); its key is the default `KeyFile`.

    Raises:
        StoreLocked: this process has opened it by itself; share that handle.
        StoreError: it cannot be opened, for one of the other reasons that `Store.open` gives.
        KeyringError: its key is missing or another one.
        IntegrityError: it was edited or damaged, or an older copy lies in its place.
    """
    process = os.getpid()
    with _default_locks.setdefault(process, threading.Lock()):
        store = _default.get(process)
        if store is None or store.closed:
            path = os.environ.get("DACHI_FAST_STORE") or data_folder() / "default.store"
            _default[process] = store = Store.open(path, keys=KeyFile())
        return store
