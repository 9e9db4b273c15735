"""SIGTERM ends what runs by cancelling it, so that agents can save a last time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any, Final

Task = asyncio.Task[Any]


class _Ending:
    """The tasks in which agents live, and whether the process was told to end."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.loop: asyncio.AbstractEventLoop | None = None
        self.told = False

    def enter(self, task: Task) -> None:
        self.tasks.append(task)
        if self.loop is not None or threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            return
        loop = asyncio.get_running_loop()
        with contextlib.suppress(NotImplementedError):  # Windows has no such signal
            loop.add_signal_handler(signal.SIGTERM, self.end)
            self.loop = loop

    def leave(self, task: Task) -> None:
        self.tasks.remove(task)
        if self.tasks or self.loop is None:
            return
        self.loop.remove_signal_handler(signal.SIGTERM)
        self.loop = None
        if self.told:
            os.kill(os.getpid(), signal.SIGTERM)

    def end(self) -> None:
        self.told = True
        for task in set(self.tasks):
            task.cancel("SIGTERM")


_ending: Final = _Ending()


@contextlib.contextmanager
def cancels(task: Task | None) -> Iterator[None]:
    """Lets SIGTERM cancel a task while the block runs, unless somebody listens to it already.

    When the last such block has ended, the process ends as SIGTERM does.
    """
    if task is None:  # no task runs: nobody to cancel
        yield
        return
    _ending.enter(task)
    try:
        yield
    finally:
        _ending.leave(task)
