"""Saves that are queued: the state is taken now, the disk comes later."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from dachi_fast._core import state as _core_state
from dachi_fast.errors import Conflict
from dachi_fast.module import BaseModule
from dachi_fast.store._handle import MOST, Handle, check_text
from dachi_fast.store._pending import Pending

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

    from dachi_fast._core.store import Mark
    from dachi_fast.store._records import Row

BaseVersion: TypeAlias = int | Literal["auto", "latest"]
Done: TypeAlias = "Callable[[Row | None, Exception | None], object]"

# Encoded bytes that wait for the disk before `save` waits too, at durability="async".
MOST_QUEUED_BYTES: Final = 256 << 20


class Queued(Handle):
    """Saves that are queued."""

    def flush(self) -> None:
        """Waits until every save that was queued before is on disk.

        With ``durability="sync"`` there is nothing to wait for but the `asave`s of others.

        Raises:
            DachiError: what a queued save raised since the last flush, for instance a `Conflict`.
            ExceptionGroup: several did.
            StoreClosed: the store was closed.
        """
        self._wait_for_underway()
        self._core.flush()
        self._failures.tell()

    def _queue(
        self,
        module: BaseModule,
        name: str,
        justification: str,
        base: BaseVersion,
        done: Done,
        *,
        skip_equal: bool = False,
        most_bytes: int | None = None,
    ) -> None:
        """Takes the state now and queues its save; `done` hears of the end in another thread.

        The state is taken under the GIL in one crossing: no other Python code runs meanwhile but
        what the state itself calls (converters, properties). Where threads run without a GIL, who
        changes the module must not do so during the call.
        """
        mark, follows = self._wanted(module, name, justification, base)
        capture = _core_state.capture(module, copy_arrays=True)

        def told(row: Row | None, error: Exception | None) -> None:
            if isinstance(error, Conflict):
                error.context["base"] = base
            done(row, error)

        self._core.save_later(
            name,
            capture,
            justification,
            follows,
            mark,
            told,
            skip_equal=skip_equal,
            most_bytes=most_bytes,
        )

    def _acknowledged(
        self, module: BaseModule, name: str, justification: str, base: BaseVersion
    ) -> Pending:
        """Queues a save whose errors `flush` raises."""
        from concurrent.futures import Future

        future: Future[Row] = Future()
        failures = self._failures

        def done(row: Row | None, error: Exception | None) -> None:
            if error is not None:
                failures.note(error)
            settle(future, row, error)

        self._queue(module, name, justification, base, done, most_bytes=MOST_QUEUED_BYTES)
        return Pending(future)

    def _wanted(
        self, module: BaseModule, name: str, justification: str, base: BaseVersion
    ) -> tuple[Mark, Mark | int | None]:
        """Gives the mark of a module, and what its save must follow; checks what it was given."""
        if not isinstance(module, BaseModule):
            raise TypeError(
                f"save() takes a module (an instance of BaseModule), not {type(module).__name__}"
            )
        check_text(name, justification)
        mark = self._mark(module, name)
        return mark, mark if base == "auto" else _base_number(base)


def settle(
    future: Future[Row] | asyncio.Future[Row], row: Row | None, error: Exception | None
) -> None:
    """Gives a future what a queued save gave."""
    if error is not None:
        future.set_exception(error)
    elif row is not None:
        future.set_result(row)


def _base_number(base: object) -> int | None:
    """Gives the number that a version must follow, None for whatever is the latest."""
    if base == "latest":
        return None
    if isinstance(base, int) and 0 <= base <= MOST:
        return base
    raise ValueError(f"base is a version's number, 'auto' or 'latest', not {base!r}")
