"""A transaction as users hold it, for scripts and for event loops."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from dachi_fast.errors import StateTypeError, TransactionError, UnknownName
from dachi_fast.store._handle import check_text
from dachi_fast.store._off_loop import run
from dachi_fast.transaction._lmdb import LmdbSession
from dachi_fast.transaction._query import check_limit

if TYPE_CHECKING:
    from dachi_fast.module import BaseModule
    from dachi_fast.store import Version
    from dachi_fast.store._queue import BaseVersion
    from dachi_fast.types import Document, TransactionProvider, TransactionSession

D = TypeVar("D")

_RAISE: Final = object()


class _Held:
    """A session, and which of its namespaces is meant."""

    def __init__(
        self,
        session: TransactionSession,
        providers: tuple[TransactionProvider, ...],
        justification: str,
        place: int = 0,
    ) -> None:
        self._session = session
        self._providers = providers
        self._justification = justification
        self._place = place

    def __repr__(self) -> str:
        state = "open" if self.open else "finished"
        names = ", ".join(repr(provider.namespace) for provider in self._providers)
        return f"<{type(self).__name__} on {names}, {state}>"

    @property
    def open(self) -> bool:
        """Whether it was neither committed nor rolled back."""
        return self._session.open

    @property
    def versions(self) -> dict[str, Version]:
        """The versions that `save` made, by name, once it is committed."""
        return dict(_lmdb(self._session).versions)

    def _at(self, provider: TransactionProvider) -> int:
        for place, held in enumerate(self._providers):
            if held is provider:
                return place
        what = f"{provider!r} is none of the providers that this transaction was begun with"
        raise TransactionError("nested", what)

    def _agent(self, content: Mapping[str, Any]) -> str:
        named = content.get("agent_id")
        return named if isinstance(named, str) else self._providers[self._place].namespace


class SyncTransaction(_Held):
    """A transaction for scripts and threads; `TransactionManager.sync` gives it.

    What it reads is the store as it was when it began, with its own changes on top. What it stores
    is nowhere until it is committed, and then all of it at once.
    """

    def on(self, provider: TransactionProvider) -> SyncTransaction:
        """Gives the same transaction over another of the providers that it was begun with.

        Raises:
            TransactionError: it is none of them.
        """
        place = self._at(provider)
        return SyncTransaction(self._session, self._providers, self._justification, place)

    def store(
        self,
        memory_type: str,
        document: dict[str, Any],
        *,
        ttl_s: float | None = None,
        justification: str | None = None,
    ) -> str:
        """Stores a document.

        Args:
            memory_type: what kind of memory it is, for instance ``"task_result"``: 1 to 255 bytes
                of UTF-8 without a zero character.
            document: a dict with str keys; its values are whatever state can hold. It is taken now.
            ttl_s: seconds from now on after which it is not there any more; None for ever.
            justification: why, for the ledger; None for that of the transaction.

        Returns:
            Its id, 32 hex digits. Ids ascend in the order of storing.

        Raises:
            StateError: a value cannot be held; ``context["path"]`` says where. The transaction is
                as it was.
            ValueError: `ttl_s` is no time.
            StoreError: the memory type is none (``name``), or the store is read only.
            Finished: the transaction was committed or rolled back.
        """
        content, ttl_ns = _content(document), _nanoseconds(ttl_s)
        check_text(memory_type)
        return self._session.store(
            self._place,
            memory_type,
            content,
            agent_id=self._agent(content),
            justification=self._why(justification),
            ttl_ns=ttl_ns,
        )

    @overload
    def retrieve(self, memory_type: str, document_id: str) -> Document: ...
    @overload
    def retrieve(self, memory_type: str, document_id: str, *, default: D) -> Document | D: ...
    def retrieve(
        self, memory_type: str, document_id: str, *, default: Any = _RAISE
    ) -> Document | Any:
        """Gives a document.

        Args:
            memory_type: its memory type.
            document_id: what `store` gave.
            default: what to give when it is not there.

        Raises:
            UnknownName: it is not there, or has expired, and no default.
            IntegrityError: what lies on disk is not what was stored.
            SnapshotExpired: the transaction lasted longer than ten minutes, or what it reads was
                forgotten.
            Finished: the transaction was committed or rolled back.
        """
        check_text(memory_type)
        found = self._session.retrieve(self._place, memory_type, document_id)
        if found is not None:
            return found
        if default is _RAISE:
            raise _unknown(memory_type, document_id)
        return default

    def find(
        self,
        memory_type: str,
        *,
        where: Mapping[str, Any] | None = None,
        order: str = "oldest",
        limit: int | None = None,
    ) -> list[Document]:
        """Gives the documents of a memory type that meet all conditions.

        Args:
            memory_type: which ones.
            where: fields and what they must be: a value that they equal, or operators,
                ``{"in": [...]}``, or one or two of ``<``, ``<=``, ``>``, ``>=`` as in
                ``{"timestamp": {">=": start, "<": end}}``. A field that is not there meets none.
                Values of different kinds (1 and True, 1 and "1") are never equal, nor before or
                behind another; 1 and 1.0 are.
            order: ``"oldest"`` or ``"newest"``, by when they were stored; ``"+field"`` or
                ``"-field"``, ascending or descending by a field, in which case documents without it
                count as the smallest.
            limit: how many at most, from 1 on; None for all.

        Raises:
            QueryError: an operator, order or limit that there is not, or a value that does not
                compare with others.
            IntegrityError: what lies on disk is not what was stored.
            SnapshotExpired: as for `retrieve`.
            Finished: the transaction was committed or rolled back.

        Complexity:
            Reads the part of an index that the conditions name, and its documents. Without a
            condition on the first field of an index it reads all documents of the type, or those
            up to the limit where they come in the order wanted.
        """
        check_text(memory_type)
        check_limit(limit)
        return self._session.find(self._place, memory_type, where=where, order=order, limit=limit)

    def update(
        self,
        memory_type: str,
        document_id: str,
        changes: dict[str, Any],
        *,
        ttl_s: float | None = None,
        justification: str | None = None,
    ) -> None:
        """Sets some fields of a document; the others stay.

        Args:
            memory_type: its memory type.
            document_id: what `store` gave.
            changes: the fields with their new values.
            ttl_s: seconds from now on after which it is not there any more; None: as it was.
            justification: why, for the ledger; None for that of the transaction.

        Raises:
            UnknownName: it is not there, or has expired.
            StateError: a value cannot be held; nothing was changed.
            Finished: the transaction was committed or rolled back.
        """
        fields = _content(changes)
        found = self.retrieve(memory_type, document_id)
        self.replace(
            memory_type,
            document_id,
            {**found.content, **fields},
            ttl_s=ttl_s,
            justification=justification,
        )

    def replace(
        self,
        memory_type: str,
        document_id: str,
        document: dict[str, Any],
        *,
        ttl_s: float | None = None,
        justification: str | None = None,
    ) -> None:
        """Replaces a document; arguments and errors are those of `update`."""
        content, ttl_ns = _content(document), _nanoseconds(ttl_s)
        check_text(memory_type)
        there = self._session.replace(
            self._place,
            memory_type,
            document_id,
            content,
            agent_id=self._agent(content),
            justification=self._why(justification),
            ttl_ns=ttl_ns,
        )
        if not there:
            raise _unknown(memory_type, document_id)

    def delete(
        self, memory_type: str, document_id: str, *, justification: str | None = None
    ) -> None:
        """Deletes a document.

        Raises:
            UnknownName: it is not there, or has expired.
            Finished: the transaction was committed or rolled back.
        """
        check_text(memory_type)
        there = self._session.delete(
            self._place,
            memory_type,
            document_id,
            agent_id=self._providers[self._place].namespace,
            justification=self._why(justification),
        )
        if not there:
            raise _unknown(memory_type, document_id)

    def save(
        self,
        module: BaseModule,
        name: str,
        *,
        base: BaseVersion = "auto",
        justification: str | None = None,
    ) -> None:
        """Saves an agent in the same commit; its state is taken now.

        Needs a provider over a `Store`. The version is in `versions` after the commit.

        Args:
            module: the root of the agent.
            name: as for `Store.save`.
            base: as for `Store.save`; a commit whose base is not the latest version any more is a
                `Conflict`, and nothing of it is there.
            justification: why; None for that of the transaction.

        Raises:
            StateError: a value cannot be held; the transaction is as it was.
            AlreadyExists: something was saved under the name in this transaction before.
            TransactionError: the provider keeps no agents.
            Finished: the transaction was committed or rolled back.
        """
        session = _lmdb(self._session)
        session.save(module, name, base=base, justification=self._why(justification))

    def commit(self) -> None:
        """Commits before the end of the ``with`` block; returned means on disk.

        Raises:
            Conflict: others changed what it has read or changes; nothing of it is there.
            StoreFull: no room; nothing of it is there.
            Finished: it was committed or rolled back before.
        """
        self._session.commit()

    def rollback(self) -> None:
        """Lets go of everything; harmless when it was finished before."""
        self._session.rollback()

    def _why(self, justification: str | None) -> str:
        why = self._justification if justification is None else justification
        check_text(why)
        return why


class Transaction(_Held):
    """A transaction for event loops; ``async with TransactionManager(...)`` gives it.

    Each method does what that of `SyncTransaction` does: arguments, results and errors alike. What
    is stored or saved is taken before the first await; what waits for the disk does so off the
    loop.
    """

    @property
    def _sync(self) -> SyncTransaction:
        return SyncTransaction(self._session, self._providers, self._justification, self._place)

    def on(self, provider: TransactionProvider) -> Transaction:
        """Gives the same transaction over another of its providers."""
        place = self._at(provider)
        return Transaction(self._session, self._providers, self._justification, place)

    async def store(
        self,
        memory_type: str,
        document: dict[str, Any],
        *,
        ttl_s: float | None = None,
        justification: str | None = None,
    ) -> str:
        """Stores a document; gives its id. Nothing is written before the commit."""
        return self._sync.store(memory_type, document, ttl_s=ttl_s, justification=justification)

    @overload
    async def retrieve(self, memory_type: str, document_id: str) -> Document: ...
    @overload
    async def retrieve(self, memory_type: str, document_id: str, *, default: D) -> Document | D: ...
    async def retrieve(
        self, memory_type: str, document_id: str, *, default: Any = _RAISE
    ) -> Document | Any:
        """Gives a document."""
        return await run(self._sync.retrieve, memory_type, document_id, default=default)

    async def find(
        self,
        memory_type: str,
        *,
        where: Mapping[str, Any] | None = None,
        order: str = "oldest",
        limit: int | None = None,
    ) -> list[Document]:
        """Gives the documents of a memory type that meet all conditions."""
        return await run(self._sync.find, memory_type, where=where, order=order, limit=limit)

    async def update(
        self,
        memory_type: str,
        document_id: str,
        changes: dict[str, Any],
        *,
        ttl_s: float | None = None,
        justification: str | None = None,
    ) -> None:
        """Sets some fields of a document; the others stay."""
        more = {"ttl_s": ttl_s, "justification": justification}
        await run(self._sync.update, memory_type, document_id, changes, **more)  # type: ignore[arg-type]

    async def replace(
        self,
        memory_type: str,
        document_id: str,
        document: dict[str, Any],
        *,
        ttl_s: float | None = None,
        justification: str | None = None,
    ) -> None:
        """Replaces a document."""
        more = {"ttl_s": ttl_s, "justification": justification}
        await run(self._sync.replace, memory_type, document_id, document, **more)  # type: ignore[arg-type]

    async def delete(
        self, memory_type: str, document_id: str, *, justification: str | None = None
    ) -> None:
        """Deletes a document."""
        await run(self._sync.delete, memory_type, document_id, justification=justification)

    async def save(
        self,
        module: BaseModule,
        name: str,
        *,
        base: BaseVersion = "auto",
        justification: str | None = None,
    ) -> None:
        """Saves an agent in the same commit; its state is taken now."""
        self._sync.save(module, name, base=base, justification=justification)

    async def commit(self) -> None:
        """Commits before the end of the ``async with`` block; returned means on disk.

        A task that is cancelled meanwhile does not take it back: all of it follows, or nothing.
        """
        await run(self._session.commit)

    async def rollback(self) -> None:
        """Lets go of everything; harmless when it was finished before."""
        self._session.rollback()


def _lmdb(session: TransactionSession) -> LmdbSession:
    if isinstance(session, LmdbSession):
        return session
    what = "agents are saved in a transaction of LmdbMemoryProvider only"
    raise TransactionError("nested", what)


def _unknown(memory_type: str, document_id: str) -> UnknownName:
    what = f"there is no {memory_type!r} with the id {document_id!r}"
    return UnknownName("unknown-document", what, memory_type=memory_type, id=document_id)


def _content(document: object) -> dict[str, Any]:
    if not isinstance(document, dict):
        what = f"a document is a dict, not {type(document).__name__}"
        raise StateTypeError("unsupported-type", what, path="")
    for key in document:
        if not isinstance(key, str):
            what = f"a document's fields are named by str, not {type(key).__name__}"
            raise StateTypeError("unsupported-type", what, path=f"<key {key!r}>")
    return document


def _nanoseconds(ttl_s: float | None) -> int | None:
    if ttl_s is None:
        return None
    if isinstance(ttl_s, bool) or not isinstance(ttl_s, int | float):
        raise TypeError(f"ttl_s is a number of seconds, not {type(ttl_s).__name__}")
    if not (math.isfinite(ttl_s) and ttl_s > 0):
        raise ValueError(f"ttl_s is a time from now on in seconds, not {ttl_s!r}")
    return min(max(round(ttl_s * 1e9), 1), 1 << 63)
