"""Running one tick from code that is not async: by hand, or on a loop kept for it.

Most ticks never suspend: one `send` runs them, and what that needs of asyncio (a running loop, a
current task) is there without a loop having run. Only a tick that suspends is taken over by the
thread's own loop, from where it stands.
"""

from __future__ import annotations

import functools
import os
import threading
import types
from collections.abc import Coroutine, Generator
from contextvars import Context, copy_context
from typing import Any, TypeVar

T = TypeVar("T")


class _Stand:
    """The current task of a tick, from its first line to its last.

    `asyncio.timeout` and the scopes of anyio ask which task they are in, and compare it with what
    they saw before. This one is there before the real task, and stands for it afterwards.
    """

    task: Any = None
    asked_to_cancel = False

    def cancel(self, msg: Any = None) -> bool:
        if self.task is None:
            self.asked_to_cancel = True
            return True
        return bool(self.task.cancel(msg))

    def cancelling(self) -> int:
        return int(self.asked_to_cancel) if self.task is None else self.task.cancelling()

    def uncancel(self) -> int:
        return 0 if self.task is None else self.task.uncancel()

    def done(self) -> bool:
        return self.task is not None and self.task.done()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)


class _Kept:
    """What a thread keeps for its ticks: an event loop, and a generator that runs them by hand."""

    def __init__(self) -> None:
        import asyncio

        self.loop = asyncio.new_event_loop()
        self.process_id = os.getpid()
        self.renew()

    def renew(self) -> None:
        """Makes the generator, anew after a tick that raised or suspended: it ended with it."""
        self.box: list[Any] = [None]
        self.pump = _pump(self.box)
        self.send = self.pump.send
        self.send(None)

    def wait(self, pending: Any, stand: _Stand, context: Context) -> Any:
        """Takes over the tick in the generator, which waits for `pending`, and gives its result."""
        from asyncio import gather

        rest = _rest(self.pump, self.box, pending, stand)
        self.renew()
        task = stand.task = self.loop.create_task(rest, context=context)
        if stand.asked_to_cancel:
            self.loop.call_soon(task.cancel)  # at once it would strike before the task took over
        try:
            return self.loop.run_until_complete(task)
        except BaseException:
            if not task.done():  # Ctrl-C struck the loop: else the tick would go on in the next one
                self.loop.call_soon(task.cancel)
                self.loop.run_until_complete(gather(task, return_exceptions=True))
            raise

    def __del__(self) -> None:
        # After a fork the loop's descriptors are still the parent's.
        if self.process_id == os.getpid() and not self.loop.is_running():
            self.loop.close()


class _Thread(threading.local):
    kept: _Kept | None = None


_thread = _Thread()
_of_parents: list[_Kept | None] = []  # never closed here


def _forget_loop() -> None:
    _of_parents.append(_thread.kept)
    _thread.kept = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_loop)


@types.coroutine
def _pump(box: list[Any]) -> Generator[Any, Any, None]:
    """Runs each coroutine that is sent to it and then gives `box`, which holds the result.

    A coroutine that ends by itself raises StopIteration, which takes longer than a whole short
    tick; inside a `yield from` that exception is never made.
    """
    while True:
        coroutine = yield box
        box[0] = yield from coroutine


async def _rest(
    pump: Generator[Any, Any, None], box: list[Any], pending: Any, stand: _Stand
) -> Any:
    return await _Rest(pump, box, pending, stand)


class _Rest:
    """What is left of the tick in a generator, as something that a task can await."""

    def __init__(
        self, pump: Generator[Any, Any, None], box: list[Any], pending: Any, stand: _Stand
    ) -> None:
        self.pump, self.box, self.pending, self.stand = pump, box, pending, stand

    def __await__(self) -> Generator[Any, Any, Any]:
        pump, pending = self.pump, self.pending
        while pending is not self.box:
            try:
                sent = yield pending
            except GeneratorExit:
                pump.close()
                raise
            except BaseException as error:  # noqa: BLE001 - cancelled
                pending = self._step(pump.throw, error)
            else:
                pending = self._step(pump.send, sent)
        return self.box[0]

    def _step(self, step: Any, value: Any) -> Any:
        """Goes on with the tick, in which the current task is still the one it began in."""
        _, _, enter, leave = _asyncio()
        stand, task = self.stand, self.stand.task
        loop = task.get_loop()
        leave(loop, task)
        enter(loop, stand)
        try:
            return step(value)
        finally:
            leave(loop, stand)
            enter(loop, task)


@functools.cache
def _asyncio() -> tuple[Any, ...]:
    """Gives what `drive` needs of asyncio, imported at the first tick: it is a heavy package."""
    import asyncio
    from asyncio import tasks

    running, enter, leave = asyncio._set_running_loop, tasks._enter_task, tasks._leave_task
    return asyncio._get_running_loop, running, enter, leave


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end from code that is not async, in a copy of the context.

    Raises:
        RuntimeError: a loop is running in this thread and the coroutine would have to wait for it.
    """
    get_running, set_running, enter, leave = _asyncio()
    if get_running() is not None:
        return _without_waiting(coroutine)
    kept = _thread.kept
    if kept is None:
        kept = _thread.kept = _Kept()
    loop, stand, context = kept.loop, _Stand(), copy_context()
    set_running(loop)
    enter(loop, stand)
    try:
        given = context.run(kept.send, coroutine)
    except BaseException:
        kept.renew()
        raise
    finally:
        leave(loop, stand)
        set_running(None)
    if given is kept.box:
        value: T = given[0]
        return value
    return kept.wait(given, stand, context)  # type: ignore[no-any-return]


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
