"""Documents in the store that holds the agents, which LMDB carries."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal

from dachi_fast._core import state as _core_state
from dachi_fast.errors import Conflict, TransactionError
from dachi_fast.store import Store, default_store
from dachi_fast.store._handle import check_text
from dachi_fast.store._records import time_of, version_of
from dachi_fast.transaction._query import (
    Conditions,
    Indexes,
    Ordering,
    Scan,
    conditions,
    entries,
    field_key,
    matches,
    ordering,
    planned,
)
from dachi_fast.transaction._vectors import Vectors, key_of
from dachi_fast.types import Document

if TYPE_CHECKING:
    from dachi_fast._core import store as _core_store
    from dachi_fast._core.state import Capture
    from dachi_fast.module import BaseModule
    from dachi_fast.store import Version
    from dachi_fast.store._queue import BaseVersion
    from dachi_fast.store._records import Row

# Of documents that nobody declared indexes for: whose they are, and when.
DEFAULT_INDEXES: Final[Indexes] = [["agent_id", "timestamp"], ["timestamp"]]
# Documents that one crossing into the core reads at first, and at most.
_PAGE: Final = 64
_LARGEST_PAGE: Final = 4096
# How often indexes are declared anew because somebody was faster.
_ATTEMPTS: Final = 16

# created_ns, updated_ns, expires_ns (0 for never), content
DocumentRow = tuple[int, int, int, Any]
_Row = tuple[bytes, DocumentRow]


class LmdbMemoryProvider:
    """Documents of one namespace of a store; the default provider.

    They lie in the store that holds the agents: encrypted, proved on every read, and committed
    together with them. A namespace is what one name leads to, and has a key of its own:
    ``Store.forget(name)`` destroys its documents as it destroys an agent's versions. Forks of an
    agent share its namespace, and so its documents.

    Args:
        store: an open store. None: the default one, opened when first used.
        namespace: the name: that of an agent, or one of its own; 1 to 1,024 bytes of UTF-8.
        indexes: by memory type, fields that `find` is to look documents up by, beside
            ``("agent_id", "timestamp")`` and ``"timestamp"``, which every type has. Several fields
            together are one index: all but the last compared by ``==``. They are made, over what is
            there, when the provider is first used, and stay declared in the store.

    Raises:
        TypeError: an index is no field, nor several.

    Example:
        >>> from dachi_fast import KeyFile, LmdbMemoryProvider, Store, TransactionManager
        >>> store = Store.open("provider.store", keys=KeyFile("provider.key"))
        >>> results = LmdbMemoryProvider(store, indexes={"task_result": ["task_id"]})
        >>> with TransactionManager(results).sync as tx:
        ...     _ = tx.store("task_result", {"task_id": "a", "outcome": "success"})
        ...     [found] = tx.find("task_result", where={"task_id": "a"})
        >>> found.content["outcome"]
        'success'
        >>> store.close()
    """

    def __init__(
        self,
        store: Store | None = None,
        *,
        namespace: str = "default",
        indexes: Mapping[str, Sequence[str | Sequence[str]]] | None = None,
    ) -> None:
        check_text(namespace)
        self._given = store
        self.namespace: Final = namespace
        self._declared: Final = {
            kind: [_fields(index) for index in found] for kind, found in (indexes or {}).items()
        }
        self._lock: Final = threading.Lock()
        self._ready: object = None  # the handle whose store has the indexes

    @property
    def database(self) -> Store:
        """The store."""
        return default_store() if self._given is None else self._given

    def begin(self, others: Sequence[object] = ()) -> LmdbSession:
        """Begins a transaction over this namespace (place 0) and those of others.

        Args:
            others: further providers, over the same store.

        Raises:
            TransactionError: one is of another store.
            StoreClosed: the store was closed.
        """
        store, providers = self.database, [self]
        for other in others:
            if not isinstance(other, LmdbMemoryProvider) or other.database is not store:
                what = "a transaction spans namespaces of one store, opened once"
                raise TransactionError("nested", what)
            providers.append(other)
        for provider in providers:
            provider._declare(store)
        names = [provider.namespace for provider in providers]
        return LmdbSession(store, store._core.transaction(names))

    def _declare(self, store: Store) -> None:
        """Sees to it that the declared indexes are there."""
        if not self._declared or self._ready is store or store.read_only:
            return
        with self._lock:
            for kind, wanted in self._declared.items():
                self._declare_one(store, kind, wanted)
            self._ready = store

    def _declare_one(self, store: Store, kind: str, wanted: Indexes) -> None:
        for left in reversed(range(_ATTEMPTS)):
            core = store._core.transaction([self.namespace])
            session = LmdbSession(store, core)
            there = session._indexes(0, kind)
            missing = [fields for fields in wanted if fields not in there]
            if not missing:
                return
            indexes = there + missing
            core.declare((0, kind, self.namespace, ""), indexes)
            everything = Scan(None, ((b"", None),), in_order=True)
            for document_id, row in session._rows(0, kind, everything, descending=False):
                core.reindex(0, kind, document_id, entries(row[3], indexes))
            try:
                core.commit()
                return
            except Conflict:
                if not left:
                    raise

    def __repr__(self) -> str:
        where = "default store" if self._given is None else repr(self._given)
        return f"LmdbMemoryProvider({where}, namespace={self.namespace!r})"


def _fields(index: str | Sequence[str]) -> list[str]:
    fields = [index] if isinstance(index, str) else list(index)
    if not fields or not all(isinstance(field, str) for field in fields):
        raise TypeError(f"an index is a field, or a list of fields, not {index!r}")
    check_text(*fields)
    return fields


class LmdbSession(Vectors):
    """One transaction of an `LmdbMemoryProvider`."""

    def __init__(self, store: Store, core: _core_store.Transaction) -> None:
        super().__init__(store, core)
        self._known: dict[tuple[int, str], Indexes] = {}
        self._saved: list[str] = []
        self.versions: dict[str, Version] = {}

    @property
    def open(self) -> bool:
        """Whether it was neither committed nor rolled back."""
        return self._core.open

    def _indexes(self, place: int, kind: str) -> Indexes:
        known = self._known.get((place, kind))
        if known is None:
            found = self._core.indexes(place, kind)
            known = self._known[place, kind] = DEFAULT_INDEXES if found is None else found
        return known

    def _of(self, place: int, kind: str, content: Mapping[str, Any]) -> list[tuple[int, bytes]]:
        return entries(content, self._indexes(place, kind))

    def store(
        self,
        place: int,
        memory_type: str,
        content: dict[str, Any],
        *,
        agent_id: str,
        justification: str,
        ttl_ns: int | None,
    ) -> str:
        """Stores a document; gives its id."""
        self._check_writable()
        at = (place, memory_type, agent_id, justification)
        known = self._of(place, memory_type, content)
        return self._core.insert(at, content, known, ttl_ns).hex()

    def retrieve(self, place: int, memory_type: str, document_id: str) -> Document | None:
        """Gives a document; None if it is not there."""
        key = key_of(document_id)
        row = None if key is None else self._core.get(place, memory_type, key)
        self._core.note_read(place, memory_type)
        return None if key is None or row is None else _document(memory_type, key, row)

    def replace(
        self,
        place: int,
        memory_type: str,
        document_id: str,
        content: dict[str, Any],
        *,
        agent_id: str,
        justification: str,
        ttl_ns: int | None,
    ) -> bool:
        """Replaces a document; False if it is not there."""
        self._check_writable()
        key = key_of(document_id)
        if key is None:
            return False
        at = (place, memory_type, agent_id, justification)
        known = self._of(place, memory_type, content)
        return self._core.replace(at, key, content, known, ttl_ns)

    def delete(
        self,
        place: int,
        memory_type: str,
        document_id: str,
        *,
        agent_id: str,
        justification: str,
    ) -> bool:
        """Deletes a document; False if it is not there."""
        self._check_writable()
        key = key_of(document_id)
        at = (place, memory_type, agent_id, justification)
        return key is not None and self._core.remove(at, key)

    def find(
        self,
        place: int,
        memory_type: str,
        *,
        where: Mapping[str, Any] | None,
        order: str,
        limit: int | None,
    ) -> list[Document]:
        """Gives the documents that meet all conditions."""
        found = self.look(place, memory_type, where=where, order=order, limit=limit)
        self.note_read(place, memory_type)
        return found

    def look(
        self,
        place: int,
        memory_type: str,
        *,
        where: Mapping[str, Any] | None,
        order: str,
        limit: int | None,
    ) -> list[Document]:
        """Does what `find` does, without an entry in the ledger."""
        wanted, by = conditions(where), ordering(order)
        scan = planned(wanted, by, self._indexes(place, memory_type))
        found = self._found(place, memory_type, scan, wanted, by, limit)
        return [_document(memory_type, *row) for row in found]

    def look_up(
        self, place: int, memory_type: str, document_ids: Sequence[str]
    ) -> list[Document | None]:
        """Gives documents by their ids, without an entry in the ledger."""
        rows = zip(document_ids, self.rows(place, memory_type, document_ids), strict=True)
        return [
            None if row is None else _document(memory_type, bytes.fromhex(document_id), row)
            for document_id, row in rows
        ]

    def rows(
        self, place: int, memory_type: str, document_ids: Sequence[str]
    ) -> list[DocumentRow | None]:
        """Does what `look_up` does, and makes no documents of what it reads."""
        keys = [key_of(document_id) for document_id in document_ids]
        known = [key for key in keys if key is not None]
        found = dict(zip(known, self._core.get_all(place, memory_type, known), strict=True))
        return [None if key is None else found[key] for key in keys]

    def look_after(
        self, place: int, memory_type: str, document_id: str, limit: int
    ) -> list[Document]:
        """Gives documents behind an id, "" for the first ones, without an entry in the ledger."""
        start = bytes.fromhex(document_id) + b"\0" if document_id else b""
        scan = Scan(None, ((start, None),), in_order=True)
        rows = self._rows(place, memory_type, scan, descending=False, limit=limit)
        return [_document(memory_type, *row) for row in islice(rows, limit)]

    def note_read(
        self, place: int, memory_type: str, agent_id: str | None = None, justification: str = ""
    ) -> None:
        """Puts a read into the ledger."""
        self._core.note_read(place, memory_type, agent_id, justification)

    def now_ns(self) -> int:
        """Gives the time, never before the commit that is read."""
        return self._core.now_ns()

    def _found(
        self,
        place: int,
        kind: str,
        scan: Scan,
        where: Conditions,
        by: Ordering,
        limit: int | None,
    ) -> list[_Row]:
        found: list[_Row] = []
        if any(wanted.values == () for wanted in where.values()):
            return found
        descending = by.descending and scan.in_order
        stop = limit if scan.in_order else None
        for row in self._rows(place, kind, scan, descending=descending, limit=stop):
            if matches(row[1][3], where):
                found.append(row)
                if len(found) == stop:
                    return found
        if not scan.in_order:
            found.sort(key=lambda row: _place(row, by), reverse=by.descending)
        return found[:limit]

    def _rows(
        self, place: int, kind: str, scan: Scan, *, descending: bool, limit: int | None = None
    ) -> Iterator[_Row]:
        """Gives what the core finds, page after page."""
        for first, behind in scan.ranges:
            start, end = first, behind
            page = min(limit or _PAGE, _LARGEST_PAGE)
            last: bytes | None = b""
            while last is not None:
                rows, last = self._core.search(
                    place, kind, scan.index, start, end, descending, page
                )
                yield from rows
                if last is not None and descending:
                    end = last
                elif last is not None:
                    start = last + b"\0"
                page = min(page * 4, _LARGEST_PAGE)

    def save(self, module: BaseModule, name: str, *, base: BaseVersion, justification: str) -> None:
        """Takes an agent's state now, and saves it with the commit."""
        self._check_writable()
        mark, follows = self._store._wanted(module, name, justification, base)
        capture = _core_state.capture(module, copy_arrays=True)
        if follows is mark:
            follows = mark.number  # of the state that was taken, whatever the module does meanwhile
        self._core.save(name, capture, justification, follows, mark)
        self._saved.append(name)

    # --- for the package's own parts --------------------------------------------------------------

    def save_captured(
        self, name: str, capture: Capture, mark: _core_store.Mark, justification: str
    ) -> None:
        """Saves a state that was taken before; it follows what the mark says at the commit.

        If the commit fails, the capture can be saved again.
        """
        self._check_writable()
        self._core.save(name, capture, justification, mark, mark)
        self._saved.append(name)

    def each(
        self, place: int, memory_type: str, *, newest: bool = False, limit: int | None = None
    ) -> Iterator[Document]:
        """Gives documents of a memory type in the order of storing, read as they are asked for.

        That is no entry of the ledger; `note_read` makes one. With a limit no more are read at
        first than that.
        """
        everything = Scan(None, ((b"", None),), in_order=True)
        for key, row in self._rows(place, memory_type, everything, descending=newest, limit=limit):
            yield _document(memory_type, key, row)

    def count(self, place: int, memory_type: str) -> int:
        """Gives how many documents of a memory type there were when the transaction began.

        It does not depend on that number: others may store and delete some meanwhile.
        """
        return self._core.count(place, memory_type)

    def remove_all(
        self,
        place: int,
        memory_type: str,
        document_ids: Sequence[str],
        *,
        operation: Literal["delete", "unlearn"],
        agent_id: str,
        justification: str,
    ) -> int:
        """Deletes documents as one operation of the ledger; gives how many were there."""
        self._check_writable()
        keys = [bytes.fromhex(document_id) for document_id in document_ids]
        at = (place, memory_type, agent_id, justification)
        return self._core.remove_all(at, keys, operation)

    def commit(self) -> None:
        """Commits; returned means on disk."""
        self.commit_rows()

    def commit_rows(self) -> list[Row]:
        """Commits, and gives the versions that were saved as the core does."""
        rows = self._core.commit()
        self.versions = dict(zip(self._saved, map(version_of, rows), strict=True))
        return rows

    def rollback(self) -> bool:
        """Lets go of everything; False if it was finished before."""
        return self._core.rollback()


def _place(row: _Row, by: Ordering) -> tuple[bytes, bytes]:
    return (field_key(row[1][3], by.field) if by.field is not None else b""), row[0]


def _document(kind: str, key: bytes, row: DocumentRow) -> Document:
    created_ns, updated_ns, expires_ns, content = row
    expires = time_of(expires_ns) if expires_ns else None
    return Document(key.hex(), kind, content, time_of(created_ns), time_of(updated_ns), expires)
