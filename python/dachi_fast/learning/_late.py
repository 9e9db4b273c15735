"""What waits for a store, imported when somebody waits: who only learns imports no store."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

    from dachi_fast.store import Version
    from dachi_fast.store._records import Row

P = ParamSpec("P")
R = TypeVar("R")


async def run(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Gives what a function gives, run in a thread; the loop goes on meanwhile."""
    from dachi_fast.store._off_loop import run as run_in_thread

    return await run_in_thread(work, *args, **kwargs)


async def written(saving: Future[Row]) -> Version:
    """Gives the version that a save made, when it is on disk; cancelling does not stop the save."""
    from asyncio import shield, wrap_future

    from dachi_fast.store._records import version_of

    return version_of(await shield(wrap_future(saving)))
