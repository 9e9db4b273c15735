"""Running one tick without an event loop, or on one kept for it.

Most ticks never suspend. Such a coroutine is run by one `send`, which costs a fraction of a
microsecond. Only if it suspends does the thread's own loop take it over, from where it stands.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Coroutine, Generator
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


class _Rest:
    """A coroutine that already yielded once, as something that a loop can await."""

    __slots__ = ("coroutine", "first")

    def __init__(self, coroutine: Coroutine[Any, Any, T], first: Any) -> None:
        self.coroutine: Coroutine[Any, Any, Any] = coroutine
        self.first = first

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine, pending = self.coroutine, self.first
        while True:
            try:
                sent = yield pending
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as error:  # noqa: BLE001 - cancelled
                try:
                    pending = coroutine.throw(error)
                except StopIteration as done:
                    return done.value
            else:
                try:
                    pending = coroutine.send(sent)
                except StopIteration as done:
                    return done.value


class _Loop(threading.local):
    """One event loop a thread, made at the first tick that needs one."""

    def __init__(self) -> None:
        self.held: asyncio.AbstractEventLoop | None = None

    def get(self) -> asyncio.AbstractEventLoop:
        import asyncio

        if self.held is None or self.held.is_closed():
            self.held = asyncio.new_event_loop()
            self.guard = _Guard(self.held)
        return self.held


class _Guard:
    """Closes the loop of a thread when the thread or the process ends."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    def __del__(self) -> None:
        if not self.loop.is_running():
            self.loop.close()


class _Stand:
    """Stands for the current task until there is one: `asyncio.timeout` asks for it."""

    __slots__ = ("task",)

    def __init__(self) -> None:
        self.task: Any = None

    def cancel(self, msg: Any = None) -> bool:
        return bool(self.task is not None and self.task.cancel(msg))

    def cancelling(self) -> int:
        return 0 if self.task is None else self.task.cancelling()

    def uncancel(self) -> int:
        return 0 if self.task is None else self.task.uncancel()

    def done(self) -> bool:
        return self.task is not None and self.task.done()


_loop = _Loop()


@functools.cache
def _asyncio() -> tuple[Any, ...]:
    """Gives what `drive` needs of asyncio, imported at the first tick: it is a heavy package."""
    import asyncio
    from asyncio import tasks

    running, enter, leave = asyncio._set_running_loop, tasks._enter_task, tasks._leave_task
    return asyncio._get_running_loop, running, enter, leave


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end from code that is not async.

    Raises:
        RuntimeError: a loop is running in this thread and the coroutine would have to wait for it.
    """
    get_running, set_running, enter, leave = _asyncio()
    if get_running() is not None:
        return _without_waiting(coroutine)
    loop = _loop.get()
    stand = _Stand()
    set_running(loop)
    enter(loop, stand)
    try:
        first = coroutine.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    finally:
        leave(loop, stand)
        set_running(None)
    return _finish(loop, coroutine, first, stand)


def _finish(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T], first: Any, stand: Any
) -> T:
    async def rest() -> T:
        import asyncio

        stand.task = asyncio.current_task()
        value: T = await _Rest(coroutine, first)
        return value

    return loop.run_until_complete(rest())


def _without_waiting(coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        coroutine.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    coroutine.close()
    raise RuntimeError(
        "forward() cannot wait inside a running event loop: use `await task.tick()` there"
    )
