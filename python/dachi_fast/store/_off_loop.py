"""Twins of the store's methods for event loops: the same, in a thread of the package's own.

The loop's default executor has a few threads that everybody shares; these wait for the disk.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")

# Reads in flight; each waits for the disk or computes without the GIL.
_THREADS: Final = 16

# By process: a fork inherits the pool but none of its threads. At exit the interpreter waits for
# what was begun.
_pools: Final[dict[int, ThreadPoolExecutor]] = {}


def _pool() -> ThreadPoolExecutor:
    process = os.getpid()
    pool = _pools.get(process)
    if pool is None:
        from concurrent.futures import ThreadPoolExecutor

        made = ThreadPoolExecutor(_THREADS, thread_name_prefix="dachi_fast")
        pool = _pools.setdefault(process, made)
    return pool


async def run(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Gives what a function gives, run in a thread; the loop goes on meanwhile."""
    call = functools.partial(work, *args, **kwargs)
    # Where used: asyncio takes longer to import than the rest of the package.
    from asyncio import get_running_loop

    return await get_running_loop().run_in_executor(_pool(), call)


def submit(work: Callable[[], object]) -> None:
    """Runs a function in a thread; it raises nothing."""
    _pool().submit(work)


def off_loop(
    method: Callable[Concatenate[S, P], R],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """Gives the async twin of a method: the same arguments, result and errors, in a thread.

    Cancelling whoever awaits it does not stop the thread: what it changes is done or not done,
    never half done.
    """

    async def twin(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await run(method, self, *args, **kwargs)

    name = getattr(method, "__name__", "")
    twin.__name__ = f"a{name}"
    twin.__qualname__ = f"Store.a{name}"
    twin.__doc__ = f"Does what `{name}` does, off the event loop: arguments, result, errors alike."
    return twin
