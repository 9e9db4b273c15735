"""Stores: agents saved, proved, restored, compared and rolled back."""

from __future__ import annotations

import datetime
import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar, final, overload

from dachi_fast._core import state as _core_state
from dachi_fast._core import store as _core_store
from dachi_fast._dirs import data_folder
from dachi_fast.errors import Conflict, StoreError, UnknownName
from dachi_fast.keys import KeyFile
from dachi_fast.module import BaseModule
from dachi_fast.restore import check_kind, restored, restored_into
from dachi_fast.witness import FileWitness

if TYPE_CHECKING:
    from dachi_fast.types import KeyProvider

D = TypeVar("D")
M = TypeVar("M", bound=BaseModule)

_Row = tuple[int, int, int, int, str, int, int, str]


@final
class _Absent:
    """What a change shows where a path did not exist."""

    def __repr__(self) -> str:
        return "<absent>"

    def __reduce__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
_RAISE: Final = object()


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
    """

    number: int
    created: datetime.datetime
    justification: str
    base: int | None
    restores: int | None
    entries: int
    size_bytes: int
    root: str


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
        ledger_entries: entries of the ledger.
        nodes: encrypted records that these consist of.
        size_bytes: their bytes, decrypted.
        unused_nodes: records that nothing refers to any more.
    """

    names: int
    versions: int
    ledger_entries: int
    nodes: int
    size_bytes: int
    unused_nodes: int


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One entry of the ledger, proved by the hash chain.

    Attributes:
        seq: from 0.
        operation: ``create``, ``store``, ``rollback`` ...
        timestamp: RFC 3339, UTC, six digits.
        prev: hash of the entry before.
        detail_commitment: SHA-256 over salt and detail.
        hash: SHA-256 over the canonical JSON of the fields above.
        agent_id: the name it concerns; None when that was forgotten.
        memory_type: what kind of memory; None when that was forgotten.
        justification: why; None when that was forgotten.
        root: hash of the state's tree in hex; None when that was forgotten.
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
    salt: str | None


def _version(row: _Row) -> Version:
    number, created_ns, base, restores, justification, entries, size_bytes, root = row
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    created = epoch + datetime.timedelta(microseconds=created_ns // 1000)
    return Version(
        number, created, justification, base or None, restores or None, entries, size_bytes, root
    )


# id of a live module -> weak reference to it, and the versions it came from by name
_Bases = dict[int, tuple[weakref.ref[BaseModule], dict[str, int]]]
# By store id and folder: a store that is closed and opened again still knows what it loaded; a copy
# of it, which goes its own way, does not.
_bases: dict[tuple[bytes, Path], _Bases] = {}


class Store:
    """An embedded store of agents: encrypted, versioned, ledgered, proved on every read.

    Open one with `Store.open`. Methods may be called from any thread; a handle does not survive a
    fork. One process at a time has a store open.

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

    def __init__(self, core: _core_store.Store, path: Path, bases: _Bases | None = None) -> None:
        self._core = core
        self._path = path
        self._bases: _Bases = {} if bases is None else bases

    # --- opening and closing ----------------------------------------------------------------------

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        keys: KeyProvider,
        witness: FileWitness | Literal["default"] | None = "default",
    ) -> Self:
        """Opens the store in a folder, or makes one.

        Args:
            path: a folder of its own; made if it does not exist.
            keys: wraps the store's root key, for instance `KeyFile("agents.key")`.
            witness: remembers the newest commit outside the store, so that an older copy put in
                the store's place is refused. ``"default"``: a `FileWitness` in the user's state
                folder. None: no witness, and an older copy is not noticed.

        Returns:
            The open store.

        Raises:
            NotAStore: the path is a file, or a folder of other things.
            StoreLocked: it is open elsewhere.
            FormatTooNew: a newer dachi_fast wrote it.
            KeyringError: the key is missing or another one; `KeyAccessError` if its protection is
                too weak.
            RolledBack: it is older than, or no continuation of, what was last seen here.
            IntegrityError: it was edited or damaged.
            StoreIO: no permission, or the disk failed.

        Example:
            >>> from dachi_fast import KeyFile, Store
            >>> store = Store.open("open.store", keys=KeyFile("open.key"))
            >>> store.names()
            []
            >>> store.close()
        """
        folder = Path(path).absolute()
        found = _core_store.probe(folder)
        if found is None:
            store_id, root = os.urandom(16), os.urandom(32)
            wrapped = keys.wrap(root, _purpose(store_id))
        else:
            store_id, wrapped = found
            root = keys.unwrap(wrapped, _purpose(store_id))
        seen = FileWitness() if witness == "default" else witness
        witness_folder = None if seen is None else seen.folder.absolute()
        core = _core_store.Store(folder, store_id, root, wrapped, witness_folder)
        return cls(core, folder, _bases.setdefault((store_id, folder), {}))

    def close(self) -> None:
        """Closes the store; closing twice is harmless."""
        self._core.close()

    @property
    def closed(self) -> bool:
        """Whether the store was closed."""
        return self._core.closed

    @property
    def path(self) -> Path:
        """The store's folder."""
        return self._path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({str(self._path)!r}{', closed' if self.closed else ''})"

    # --- saving and loading -----------------------------------------------------------------------

    def save(
        self,
        module: BaseModule,
        name: str,
        *,
        justification: str = "",
        base: int | Literal["auto", "latest"] = "auto",
    ) -> Version:
        """Saves an agent as the next version of a name; returned means on disk.

        State, version record and ledger entry are one transaction. Records that have not changed
        since the version before are neither encrypted nor written again.

        Args:
            module: the root of the agent.
            name: 1 to 1,024 bytes of UTF-8.
            justification: why, for the ledger and the history; at most 16 KiB.
            base: the version that this state came from, which must still be the latest.
                ``"auto"``: the one that this very object was last saved to or loaded from in this
                process; an object that was not must have a new name. ``"latest"``: overrule
                whatever is there.

        Returns:
            The new version.

        Raises:
            StateError: a value cannot be held; its path is in ``context["path"]`` and nothing was
                written.
            Conflict: the latest version is not the base.
            StoreFull: no room; nothing acknowledged was lost.
            StoreClosed: the store was closed.

        Complexity:
            Reads and hashes the whole state once; encrypts and writes what changed.
        """
        if not isinstance(module, BaseModule):
            raise TypeError(
                f"save() takes a module (an instance of BaseModule), not {type(module).__name__}"
            )
        _check_text(name, justification)
        expected = self._base(module, name) if base == "auto" else _base_number(base)
        capture = _core_state.capture(module)
        try:
            row = self._core.save(name, capture, justification, expected)
        except Conflict as error:
            error.context["base"] = base
            raise
        self._track(module, name, row[0])
        return _version(row)

    @overload
    def load(self, name: str, *, version: int | None = None) -> Any: ...
    @overload
    def load(self, name: str, *, version: int | None = None, default: D) -> Any | D: ...
    def load(self, name: str, *, version: int | None = None, default: Any = _RAISE) -> Any:
        """Gives an agent as it was saved.

        Args:
            name: the name it was saved under.
            version: a version's number; None for the latest.
            default: what to give when nothing was saved under the name (or number).

        Returns:
            A new module, equal in structure, ids and values.

        Raises:
            UnknownName: no such name or version, and no default.
            SpecError: its classes are not imported in this process.
            IntegrityError: what lies on disk is not what was saved (`Tampered`, `Missing`,
                `WrongContext`, `RolledBack`, `Malformed`).
            StoreClosed: the store was closed.

        Complexity:
            Linear in the size of that version; other versions are not read.
        """
        try:
            row, blueprint, state = self._core.load(name, _known(version, name))
        except UnknownName:
            if default is _RAISE:
                raise
            return default
        module = restored(blueprint, state)
        self._track(module, name, row[0])
        return module

    def load_into(self, module: M, name: str, *, version: int | None = None) -> M:
        """Loads a version into an existing module, in place.

        Fields whose structure differs (other modules than the saved ones) are rebuilt.

        Args:
            module: of the saved class.
            name: the name it was saved under.
            version: a version's number; None for the latest.

        Returns:
            The module.

        Raises:
            UnknownName: no such name or version.
            SpecError: the module is not of the saved class; nothing was changed.
            StateError: a value does not fit; nothing was changed.
            IntegrityError: what lies on disk is not what was saved.
            StoreClosed: the store was closed.
        """
        row, blueprint, state = self._core.load(name, _known(version, name))
        restored_into(module, blueprint, state)
        self._track(module, name, row[0])
        return module

    # --- versions ---------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Gives the names that something was saved under, ascending.

        Raises:
            IntegrityError: what lies on disk is not what was saved.
            StoreClosed: the store was closed.
        """
        return self._core.names()

    def history(self, name: str, *, limit: int | None = None) -> list[Version]:
        """Gives the versions of a name, newest first.

        Args:
            name: the name.
            limit: how many at most; None for all.

        Returns:
            The versions.

        Raises:
            UnknownName: nothing was saved under the name.
            IntegrityError: what lies on disk is not what was saved.
            StoreClosed: the store was closed.
        """
        _check_text(name)
        versions = [_version(row) for row in reversed(self._core.history(name))]
        return versions if limit is None else versions[: max(limit, 0)]

    def diff(self, name: str, a: int, b: int) -> list[Change]:
        """Gives what changed from version `a` to version `b`, by path.

        Args:
            name: the name.
            a: number of the version before.
            b: number of the version after.

        Returns:
            The changes, ascending by path.

        Raises:
            UnknownName: no such name or version.
            IntegrityError: what lies on disk is not what was saved.
            StoreClosed: the store was closed.

        Complexity:
            Opens only the parts of the two trees that differ.

        Example:
            >>> from dachi_fast import Attr, BaseModule, KeyFile, Store
            >>> class Tally(BaseModule):
            ...     count: int = Attr(default=0)
            >>> tally = Tally()
            >>> with Store.open("diff.store", keys=KeyFile("diff.key")) as store:
            ...     _ = store.save(tally, "tally")
            ...     tally.count = 7
            ...     _ = store.save(tally, "tally")
            ...     store.diff("tally", 1, 2)
            [Change(path='count', before=0, after=7)]
        """
        rows = self._core.diff(name, _known(a, name), _known(b, name))
        return [
            Change(
                path,
                ABSENT if before is None else before[0],
                ABSENT if after is None else after[0],
            )
            for path, before, after in rows
        ]

    def rollback(
        self, name: str, *, to: int, into: BaseModule | None = None, justification: str = ""
    ) -> Version:
        """Makes an old version the latest again, as a new version; history is kept.

        Args:
            name: the name.
            to: number of the old version.
            into: a module to load the old version into.
            justification: why, for the ledger and the history.

        Returns:
            The new version, equal to the old one.

        Raises:
            UnknownName: no such name or version.
            SpecError: `into` is not of the saved class; nothing was changed.
            IntegrityError: what lies on disk is not what was saved.
            StoreClosed: the store was closed.

        Complexity:
            Independent of the size of the state, but for `into`.
        """
        _check_text(justification)
        if into is None:
            return _version(self._core.rollback(name, _known(to, name), justification))
        _, blueprint, state = self._core.load(name, _known(to, name))
        check_kind(into, blueprint)
        row = self._core.rollback(name, to, justification)
        restored_into(into, blueprint, state)
        self._track(into, name, row[0])
        return _version(row)

    # --- evidence ---------------------------------------------------------------------------------

    def ledger(self, *, limit: int = 100) -> list[LedgerEntry]:
        """Gives the newest entries of the ledger, newest first, each proved by the hash chain.

        Args:
            limit: how many at most.

        Raises:
            IntegrityError: an entry was edited, removed or put elsewhere.
            StoreClosed: the store was closed.
        """
        nothing = (None, None, None, None, None)
        rows = self._core.ledger(min(max(limit, 0), _MOST))
        return [LedgerEntry(*row[:6], *(row[6] or nothing)) for row in rows]

    def verify(self, *, progress: Callable[[int], object] | None = None) -> Report:
        """Proves every record, version and ledger entry.

        Args:
            progress: called now and then with the number of records proved so far. Ctrl-C ends the
                run.

        Returns:
            What was proved.

        Raises:
            IntegrityError: something is not what was written there; says what and where.
            StoreClosed: the store was closed.

        Complexity:
            Linear in the size of the store; what versions share is proved once.
        """
        return Report(*self._core.verify(progress))

    # --- which version a live module came from -------------------------------------------------

    def _base(self, module: BaseModule, name: str) -> int:
        held = self._bases.get(id(module))
        return 0 if held is None or held[0]() is not module else held[1].get(name, 0)

    def _track(self, module: BaseModule, name: str, number: int) -> None:
        key = id(module)
        held = self._bases.get(key)
        if held is None or held[0]() is not module:
            bases = self._bases
            gone = weakref.ref(module, lambda _: bases.pop(key, None))
            held = self._bases[key] = (gone, {})
        held[1][name] = number


# The core counts versions in 64 bits.
_MOST: Final = 2**64 - 1


def _check_text(*texts: str) -> None:
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as cause:
            raise StoreError(
                "name", f"{text[:80]!r} holds half of a surrogate pair, which UTF-8 cannot write"
            ) from cause


@overload
def _known(number: int, name: str) -> int: ...
@overload
def _known(number: int | None, name: str) -> int | None: ...
def _known(number: int | None, name: str) -> int | None:
    """Gives a number that a version of the name may have."""
    _check_text(name)
    if number is None or 0 <= number <= _MOST:
        return number
    what = f"{name!r} has no version {number}"
    raise UnknownName("unknown-version", what, name=name, version=number)


def _base_number(base: object) -> int | None:
    """Gives the number that a version must follow, None for whatever is the latest."""
    if base == "latest":
        return None
    if isinstance(base, int) and 0 <= base <= _MOST:
        return base
    raise ValueError(f"base is a version's number, 'auto' or 'latest', not {base!r}")


def _purpose(store_id: bytes) -> bytes:
    return b"dachi_fast root key of store " + store_id.hex().encode()


_default: dict[int, Store] = {}
_default_lock = threading.Lock()


def default_store() -> Store:
    """Gives this process's default store, opened on first use.

    It lies at ``$DACHI_FAST_STORE``, else in the user's data folder
    (``$XDG_DATA_HOME/dachi_fast/default.store``); its key is the default `KeyFile`.

    Raises:
        StoreLocked: another process has it open.
        StoreError: it cannot be opened.
        KeyringError: its key is missing or another one.
    """
    with _default_lock:
        store = _default.get(os.getpid())
        if store is None or store.closed:
            path = os.environ.get("DACHI_FAST_STORE") or data_folder() / "default.store"
            _default[os.getpid()] = store = Store.open(path, keys=KeyFile())
        return store
