"""Begins transactions, and ends them as their block ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

from dachi_fast.errors import Conflict, SnapshotExpired, TransactionError
from dachi_fast.store._off_loop import run
from dachi_fast.transaction._lmdb import LmdbMemoryProvider
from dachi_fast.transaction._transaction import SyncTransaction, Transaction

if TYPE_CHECKING:
    from dachi_fast.types import TransactionProvider, TransactionSession

T = TypeVar("T")

# How often a transaction is run before its conflict is told.
ATTEMPTS: Final = 16


class TransactionManager:
    """Runs a block in one transaction: all that it changes is there at its end, or nothing.

    ``async with`` gives a `Transaction`; at the end of the block it is committed, and returned
    means on disk. What the block raises rolls it back. What it reads is the store as it was when it
    began, with its own changes on top, and transactions are serializable: whoever changed what it
    has read or changes while it ran makes its commit a `Conflict`, and the block is to be run again
    (`run` does so).

    A manager has one transaction at a time, and may be used again after it. Make one for each task.

    Args:
        provider: keeps the documents. None: an `LmdbMemoryProvider` over the default store.
        also: further providers over the same store, for a transaction that spans their namespaces;
            ``tx.on(provider)`` is the same transaction there.
        justification: why, for the ledger; operations may say otherwise.

    Example:
        >>> import asyncio
        >>> from dachi_fast import KeyFile, LmdbMemoryProvider, Store, TransactionManager
        >>> async def main(provider: LmdbMemoryProvider) -> int:
        ...     async with TransactionManager(provider) as tx:
        ...         await tx.store("task_result", {"task_id": "a", "outcome": "success"})
        ...         await tx.store("task_result", {"task_id": "b", "outcome": "failure"})
        ...     async with TransactionManager(provider) as tx:
        ...         return len(await tx.find("task_result", where={"outcome": "success"}))
        >>> with Store.open("manager.store", keys=KeyFile("manager.key")) as store:
        ...     asyncio.run(main(LmdbMemoryProvider(store)))
        1
    """

    def __init__(
        self,
        provider: TransactionProvider | None = None,
        *also: TransactionProvider,
        justification: str = "",
    ) -> None:
        first = LmdbMemoryProvider() if provider is None else provider
        self._providers: Final = (first, *also)
        self._justification: Final = justification
        self._open: Transaction | SyncTransaction | None = None
        self._begins = False

    @property
    def sync(self) -> SyncTransactions:
        """The same for scripts and threads: ``with TransactionManager(...).sync as tx``."""
        return SyncTransactions(self)

    async def __aenter__(self) -> Transaction:
        self._check_alone()
        self._begins = True
        try:
            session = await run(self._begin)
        finally:
            self._begins = False
        self._open = held = Transaction(session, self._providers, self._justification)
        return held

    async def __aexit__(self, kind: object, raised: BaseException | None, trace: object) -> None:
        held, self._open = self._open, None
        if held is None or not held.open:
            return
        await run(held._session.commit) if raised is None else held._session.rollback()

    async def run(
        self, work: Callable[[Transaction], Awaitable[T]], *, attempts: int = ATTEMPTS
    ) -> T:
        """Runs a function in a transaction, again from its beginning after each `Conflict`.

        After `SnapshotExpired` likewise: something was purged or forgotten meanwhile.

        Args:
            work: gets the transaction. What it does elsewhere is done in each attempt.
            attempts: how many at most, from 1 on.

        Returns:
            What `work` gave in the transaction that was committed.

        Raises:
            Conflict: so did the last attempt; or `SnapshotExpired`.
            ValueError: no attempt is to be made.
        """
        for left in _countdown(attempts):
            try:
                async with self as held:
                    return await work(held)
            except (Conflict, SnapshotExpired):
                if not left:
                    raise
        raise AssertionError

    def _begin(self) -> TransactionSession:
        first, *others = self._providers
        return first.begin(others)

    def _check_alone(self) -> None:
        if self._begins or (self._open is not None and self._open.open):
            what = (
                "this TransactionManager has a transaction open already, and transactions do not "
                "nest: use that one, or make another manager for one that commits by itself"
            )
            raise TransactionError("nested", what)

    def __repr__(self) -> str:
        return f"TransactionManager({', '.join(map(repr, self._providers))})"


class SyncTransactions:
    """A `TransactionManager` for scripts and threads."""

    def __init__(self, manager: TransactionManager) -> None:
        self._manager = manager

    def __enter__(self) -> SyncTransaction:
        manager = self._manager
        manager._check_alone()
        held = SyncTransaction(manager._begin(), manager._providers, manager._justification)
        manager._open = held
        return held

    def __exit__(self, kind: object, raised: BaseException | None, trace: object) -> None:
        held, self._manager._open = self._manager._open, None
        if held is None or not held.open:
            return
        if raised is None:
            held._session.commit()
        else:
            held._session.rollback()

    def run(self, work: Callable[[SyncTransaction], T], *, attempts: int = ATTEMPTS) -> T:
        """Does what `TransactionManager.run` does, with a function that is not async."""
        for left in _countdown(attempts):
            try:
                with self as held:
                    return work(held)
            except (Conflict, SnapshotExpired):
                if not left:
                    raise
        raise AssertionError


def _countdown(attempts: int) -> range:
    if attempts < 1:
        raise ValueError(f"attempts is a number from 1 on, not {attempts!r}")
    return range(attempts - 1, -1, -1)
