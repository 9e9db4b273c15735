"""Agents saved in the background, as long as they change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final, Protocol, Self

from dachi_fast.store._off_loop import run
from dachi_fast.store._queue import Queued, settle
from dachi_fast.store._records import Row, Version, version_of
from dachi_fast.store._upkeep import Upkeep

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

    from dachi_fast.module import BaseModule
    from dachi_fast.retention import Policies
    from dachi_fast.store._queue import BaseVersion, Done

# From one retention to the next, by the store's clock: ages are counted in days.
_DAY_NS: Final = 86_400 * 10**9


class Saver(Protocol):
    """Takes states and saves them later: a store, or what saves more with them."""

    def _queue(
        self,
        module: BaseModule,
        name: str,
        justification: str,
        base: BaseVersion,
        done: Done,
        *,
        skip_equal: bool = ...,
    ) -> None: ...


class Timer:
    """When the next save is due; tests give another one."""

    def now_s(self) -> float:
        """Gives seconds since any moment, never less than before."""
        return time.monotonic()

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Waits until `stop` is set (True) or the time is over (False)."""
        return stop.wait(seconds)

    async def await_(self, stop: asyncio.Event, seconds: float) -> bool:
        """Does what `wait` does, for a loop."""
        from asyncio import timeout

        try:
            async with timeout(seconds):
                return await stop.wait()
        except TimeoutError:
            return False


class Retention:
    """What an agent may remember, seen to once a day."""

    def __init__(self, store: Upkeep, policy: Policies, name: str) -> None:
        self._store = store
        self._policy = policy
        self._name = name
        self._last_ns: int | None = None

    def is_due(self) -> bool:
        """Whether a day has passed; also after the clock went backwards."""
        last_ns, now_ns = self._last_ns, self._store._core.now_ns()
        return last_ns is None or not last_ns <= now_ns < last_ns + _DAY_NS

    def retain(self) -> None:
        """Purges what is too old; what fails is tried again when it is due next."""
        self._last_ns = self._store._core.now_ns()
        self._store.retain(self._policy, name=self._name)


class Autosave:
    """Saves an agent now and then while a block runs; made by `Store.autosave`."""

    def __init__(
        self,
        store: Saver,
        module: BaseModule,
        name: str,
        *,
        every_s: float,
        justification: str,
        on_error: Callable[[Exception], object] | None,
        timer: Timer,
        retention: Retention | None = None,
    ) -> None:
        if not 0 < every_s <= threading.TIMEOUT_MAX:
            most = f"at most {threading.TIMEOUT_MAX:.0f}"
            raise ValueError(f"every_s is more than 0 seconds and {most}, not {every_s!r}")
        self._store = store
        self._module = module
        self._name = name
        self._every_s = every_s
        self._justification = justification
        self._on_error = on_error
        self._timer = timer
        self._retention = retention
        self._changing = threading.RLock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        # The task that saves, and what tells it to end.
        self._task: tuple[asyncio.Task[None], asyncio.Event] | None = None
        self._version: Version | None = None
        self._error: Exception | None = None
        self._callback_error: Exception | None = None

    @property
    def version(self) -> Version | None:
        """The version that the agent was last saved as, or found equal to."""
        return self._version

    @property
    def error(self) -> Exception | None:
        """What the last save in the background raised; None after one that succeeded."""
        return self._error

    def hold(self) -> AbstractContextManager[object]:
        """Gives a block during which no state is taken, for changes that belong together.

        Needed with `with` only, where another thread takes the state. In `async with` the state is
        taken by the loop's own thread between two awaits: what happens there is not interrupted.
        """
        return self._changing

    # --- with -------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._begin()
        self._save(self._justification)
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="dachi_fast autosave", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, _: object, raised: BaseException | None, __: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        try:
            self._save(self._last(raised))
        except Exception as error:  # noqa: BLE001 - whatever it is, the owner hears of it
            self._error = error
        self._end(raised)

    def _run(self) -> None:
        start_s = self._timer.now_s()
        while not self._timer.wait(self._stop, self._left_s(start_s)):
            try:
                self._save(self._justification)
                if self._retention is not None and self._retention.is_due():
                    self._retention.retain()
            except Exception as error:  # noqa: BLE001 - whatever it is, the owner hears of it
                self._failed(error)

    def _save(self, justification: str) -> None:
        from concurrent.futures import Future

        future: Future[Row] = Future()
        self._queue(justification, lambda row, error: settle(future, row, error))
        self._done(future.result())

    # --- async with -------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._begin()
        await self._asave(self._justification)
        import asyncio

        stop = asyncio.Event()
        task = asyncio.create_task(self._arun(stop), name="dachi_fast autosave")
        self._task = task, stop
        return self

    async def __aexit__(self, _: object, raised: BaseException | None, __: object) -> None:
        try:
            if self._task is not None:
                task, stop = self._task
                stop.set()
                await task
        finally:  # whoever is cancelled while a save ends still saves a last time
            self._task = None
            try:
                await self._asave(self._last(raised))
            except Exception as error:  # noqa: BLE001 - whatever it is, the owner hears of it
                self._error = error
            self._end(raised)

    async def _arun(self, stop: asyncio.Event) -> None:
        start_s = self._timer.now_s()
        while not await self._timer.await_(stop, self._left_s(start_s)):
            try:
                await self._asave(self._justification)
                if self._retention is not None and self._retention.is_due():
                    await run(self._retention.retain)
            except Exception as error:  # noqa: BLE001 - whatever it is, the owner hears of it
                self._failed(error)

    async def _asave(self, justification: str) -> None:
        from concurrent.futures import Future

        future: Future[Row] = Future()
        self._queue(justification, lambda row, error: settle(future, row, error))
        from asyncio import wrap_future

        self._done(await wrap_future(future))

    # --- both -------------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._thread is not None or self._task is not None:
            raise RuntimeError("this autosave runs already; make another one")

    def _left_s(self, start_s: float) -> float:
        """Gives how long until the next save: at whole multiples of the period after the start."""
        passed_s = self._timer.now_s() - start_s
        return self._every_s - passed_s % self._every_s

    def _queue(
        self, justification: str, done: Callable[[Row | None, Exception | None], object]
    ) -> None:
        with self._changing:
            self._store._queue(
                self._module, self._name, justification, "auto", done, skip_equal=True
            )

    def _last(self, raised: BaseException | None) -> str:
        if raised is None:
            return self._justification
        return f"{self._justification} (after {type(raised).__name__})"

    def _done(self, row: Row) -> None:
        self._version = version_of(row)
        self._error = None

    def _failed(self, error: Exception) -> None:
        self._error = error
        if self._on_error is None:
            return
        try:
            self._on_error(error)
        except Exception as raised:  # noqa: BLE001 - saves go on; who leaves the block hears of it
            self._callback_error = self._callback_error or raised

    def _end(self, raised: BaseException | None) -> None:
        """Raises what the last save and `on_error` raised, unless the block did so itself."""
        failed = {
            f"the last save of {self._name!r} failed, too": self._error,
            f"on_error of the autosave of {self._name!r} failed, too": self._callback_error,
        }
        self._callback_error = None
        errors = [error for error in failed.values() if error is not None]
        if raised is not None:
            for what, error in failed.items():
                if error is not None:
                    raised.add_note(f"{what}: {error!r}")
        elif len(errors) == 1:
            raise errors[0]
        elif errors:
            raise ExceptionGroup(f"the autosave of {self._name!r} failed", errors)


class Autosaves(Queued, Upkeep):
    """Agents saved in the background."""

    def autosave(
        self,
        module: BaseModule,
        name: str,
        *,
        every_s: float = 60.0,
        justification: str = "autosave",
        on_error: Callable[[Exception], object] | None = None,
        retention: Policies | None = None,
        timer: Timer | None = None,
    ) -> Autosave:
        """Gives a block, for `with` or `async with`, that saves an agent while it runs.

        It saves at once when the block is entered, then every period, and a last time when the
        block ends, also if it ends by an exception, which the justification then names. A state
        equal to the latest version makes no new one. One save of the agent runs at a time.

        Args:
            module: the root of the agent.
            name: the name to save it under.
            every_s: seconds from one save to the next, more than 0 and finite; a save that is late
                moves no other.
            justification: why, for the ledger and the history.
            on_error: called with what a save in the background raised, in the thread (`with`) or
                the task (`async with`) that saved. Such a save is tried again when the next one is
                due; entering and leaving the block raise what their own saves raise. What it
                raises itself stops no save, and leaving the block raises the first such error.
            retention: what of the name is too old, and is purged behind a save in the background:
                the first one, and then once a day by the store's clock (`Store.retain`). What it
                raises goes to `on_error`, too, and it is tried again a day later.
            timer: says when a save is due; for tests.

        Returns:
            The block; see `Autosave.hold` for changes that belong together.

        Raises:
            ValueError: `every_s` is no such number.
            RuntimeError: on entering: it was entered before, and not left.
            Conflict: on entering or leaving: the latest version is not what the agent came from.
            DachiError: on entering or leaving: what else `save` raises. When the block itself
                raised, that goes on, with a note of what the last save raised.
            ExceptionGroup: on leaving: the last save and `on_error` both failed.

        Example:
            >>> from dachi_fast import Attr, BaseModule, KeyFile, Store
            >>> class Reader(BaseModule):
            ...     pages: int = Attr(default=0)
            >>> reader = Reader()
            >>> with Store.open("auto.store", keys=KeyFile("auto.key")) as store:
            ...     with store.autosave(reader, "reader", every_s=30):
            ...         reader.pages += 12
            ...     store.load("reader").pages, len(store.history("reader"))
            (12, 2)
        """
        return Autosave(
            self,
            module,
            name,
            every_s=every_s,
            justification=justification,
            on_error=on_error,
            timer=Timer() if timer is None else timer,
            retention=None if retention is None else Retention(self, retention, name),
        )
