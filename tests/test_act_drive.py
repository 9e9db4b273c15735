"""Behaviour trees from code that is not async: `forward` without a loop, on a kept one, in one."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable

import pytest

from dachi_fast import Action, Parallel, Sequence, Task, TaskStatus
from dachi_fast.act import _drive
from tests.tasks import READY, Blocked, Play, R, Raising, S, SlowPlay, plays


class Doing(Action):
    """Does what the test says, and notes it for the test only."""

    def __post_init__(self) -> None:
        self.noted: list[object] = []
        self.work: Callable[[list[object]], Awaitable[object]] = _nothing

    async def act(self) -> TaskStatus:
        await self.work(self.noted)
        return S


async def _nothing(noted: list[object]) -> None:
    noted.append(None)


def doing(work: Callable[[list[object]], Awaitable[object]]) -> Doing:
    task = Doing()
    task.work = work
    return task


def test_forward_runs_no_loop_where_nothing_suspends(monkeypatch: pytest.MonkeyPatch) -> None:
    Play(script=[S]).forward()
    assert _drive._thread.kept is not None
    monkeypatch.setattr(type(_drive._thread.kept.loop), "run_forever", None)
    assert Sequence(tasks=plays([S], [S]), cascaded=True).forward() is S


def test_forward_waits_where_a_tick_suspends() -> None:
    assert SlowPlay(script=[S]).forward() is S


@pytest.mark.parametrize("tree", [lambda t: t, lambda t: Sequence(tasks=[t])])
def test_a_timeout_strikes_under_forward(tree: Callable[[Task], Task]) -> None:
    async def wait(noted: list[object]) -> None:
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            noted.append("timeout")

    task = doing(wait)
    assert tree(task).forward() is S
    assert task.noted == ["timeout"]


def test_a_task_group_works_under_forward() -> None:
    async def group(noted: list[object]) -> None:
        async def part(number: int) -> None:
            await asyncio.sleep(0)
            noted.append(number)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(part(1))
            tasks.create_task(part(2))

    task = doing(group)
    task.forward()
    assert task.noted == [1, 2]


def test_the_current_task_is_one_from_the_first_line_to_the_last() -> None:
    async def look(noted: list[object]) -> None:
        noted.append(asyncio.current_task())
        await asyncio.sleep(0)
        noted.append(asyncio.current_task())

    task = doing(look)
    task.forward()
    first, second = task.noted
    assert first is second
    assert first is not None


def test_a_tick_can_cancel_itself_before_it_suspends() -> None:
    async def cancel(noted: list[object]) -> None:
        current = asyncio.current_task()
        assert current is not None
        current.cancel()
        noted.append(current.cancelling())
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            noted.append("cancelled")
            raise

    task = doing(cancel)
    with pytest.raises(asyncio.CancelledError):
        task.forward()
    assert (task.noted, task.status) == ([1, "cancelled"], READY)
    assert Play(script=[S]).forward() is S


def test_what_a_tick_sets_in_its_context_it_can_take_back_after_it_suspended() -> None:
    variable = contextvars.ContextVar("variable", default="outside")

    async def use(noted: list[object]) -> None:
        token = variable.set("inside")
        await asyncio.sleep(0)
        noted.append(variable.get())
        variable.reset(token)

    variable.set("before")
    task = doing(use)
    task.forward()
    assert task.noted == ["inside"]
    assert variable.get() == "before"


async def test_forward_inside_a_running_loop_works_unless_it_has_to_wait() -> None:
    assert Play(script=[S]).forward() is S
    slow = SlowPlay(script=[S])
    with pytest.raises(RuntimeError, match="await"):
        slow.forward()
    assert slow.status is READY
    assert await slow() is S


def test_forward_inside_a_tick_works_unless_it_has_to_wait() -> None:
    inner = Play(script=[S])

    async def nest(noted: list[object]) -> None:
        noted.append(inner.forward())
        await asyncio.sleep(0)
        inner.reset()
        noted.append(inner.forward())

    task = doing(nest)
    assert task.forward() is S
    assert task.noted == [S, S]


def test_no_loop_runs_after_forward() -> None:
    for task in (Play(script=[S]), SlowPlay(script=[S]), Raising()):
        with contextlib.suppress(LookupError):
            task.forward()
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
    assert asyncio.run(SlowPlay(script=[S]).tick()) is S


@pytest.mark.parametrize("slow", [False, True])
def test_an_error_of_a_tick_reaches_the_caller_and_the_next_tick_tries_again(slow: bool) -> None:
    task = Raising(slow=slow)
    for _ in range(2):
        with pytest.raises(LookupError, match="broken") as caught:
            task.forward()
        assert "act" in [frame.name for frame in traceback.extract_tb(caught.tb)]
        assert task.status is READY
    task.mended = True
    assert task.forward() is S


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_ends_a_tick_that_never_ends() -> None:
    async def wait(noted: list[object]) -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            noted.append("cleaned up")

    task = doing(wait)
    with pytest.raises(KeyboardInterrupt):
        task.forward()
    assert (task.noted, task.status) == (["cleaned up"], READY)
    assert SlowPlay(script=[S]).forward() is S


def test_cancelling_a_tick_leaves_the_tree_as_it_stood() -> None:
    blocked = Blocked()
    tree = Sequence(tasks=[*plays([S]), blocked, *plays([S])], cascaded=True)

    async def give_up() -> None:
        ticking = asyncio.create_task(tree.tick())
        await asyncio.sleep(0)
        ticking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ticking

    asyncio.run(give_up())
    assert blocked.cancelled
    assert (tree.status, [t.status for t in tree.subtasks()]) == (READY, [S, READY, READY])


def test_each_thread_has_a_loop_of_its_own_and_closes_it() -> None:
    loops = []

    def tick() -> None:
        assert SlowPlay(script=[S]).forward() is S
        assert _drive._thread.kept is not None
        loops.append(_drive._thread.kept.loop)

    threads = [threading.Thread(target=tick) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    assert len(set(loops)) == 3
    assert all(loop.is_closed() for loop in loops)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_ticks_on_a_loop_of_its_own() -> None:
    SlowPlay(script=[S]).forward()
    before = _drive._thread.kept
    child = os.fork()
    if child == 0:
        good = _drive._thread.kept is None and SlowPlay(script=[S]).forward() is S
        os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert _drive._thread.kept is before
    assert SlowPlay(script=[R]).forward() is R


def test_parallel_tasks_meet_under_forward() -> None:
    meeting = asyncio.Event()

    async def come(noted: list[object]) -> None:
        noted.append(await meeting.wait())

    async def call(noted: list[object]) -> None:
        meeting.set()
        noted.append("called")

    tree = Parallel(tasks=[doing(come), doing(call)])
    assert tree.forward() is S
