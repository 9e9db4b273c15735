"""Tasks for tests of behaviour trees, and the ways to hold, wrap and tick them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from dachi_fast import (
    Action,
    AdaptModule,
    Attr,
    Condition,
    ModuleList,
    Param,
    Task,
    TaskStatus,
    WaitCondition,
)

S, F, R, W = TaskStatus.SUCCESS, TaskStatus.FAILURE, TaskStatus.RUNNING, TaskStatus.WAITING
READY = TaskStatus.READY


class Play(Action):
    """Gives the statuses of its script, one a tick, and begins anew after the last."""

    script: list[TaskStatus] = Param()
    ticks: int = Attr(default=0)

    async def act(self) -> TaskStatus:
        self.ticks += 1
        return self.script[(self.ticks - 1) % len(self.script)]


class SlowPlay(Play):
    """A Play that suspends before it acts."""

    async def act(self) -> TaskStatus:
        await asyncio.sleep(0)
        return await super().act()


class Flag(Condition):
    value: bool = Param()
    asked: int = Attr(default=0)

    async def condition(self) -> bool:
        self.asked += 1
        return self.value


class WaitFlag(WaitCondition):
    value: bool = Param()

    async def condition(self) -> bool:
        await asyncio.sleep(0)
        return self.value


class Blocked(Action):
    """Waits until it is cancelled, and notes it after a while."""

    cancelled: bool = Attr(default=False)

    async def act(self) -> TaskStatus:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.cancelled = True
        return S


class Raising(Action):
    """Raises until it is mended."""

    message: str = Param(default="broken")
    slow: bool = Param(default=False)
    mended: bool = Attr(default=False)

    async def act(self) -> TaskStatus:
        if self.slow:
            await asyncio.sleep(0)
        if not self.mended:
            raise LookupError(self.message)
        return S


def plays(*scripts: list[TaskStatus]) -> list[Task]:
    return [Play(script=script) for script in scripts]


# How a composite may hold its tasks.
HOLDERS: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "ModuleList": lambda tasks: ModuleList(items=tasks),
    "list of AdaptModule": lambda tasks: [AdaptModule(task) for task in tasks],
    "ModuleList of AdaptModule": lambda tasks: ModuleList(items=map(AdaptModule, tasks)),
}


async def _called(task: Task) -> TaskStatus:
    return await task()


async def _in_a_task(task: Task) -> TaskStatus:
    return await asyncio.create_task(task.tick())


# How a task may be ticked, from code that is not async.
Tick = Callable[[Any], TaskStatus]
TICKS: dict[str, Callable[[Task], TaskStatus]] = {
    "forward()": Task.forward,
    "await tick()": lambda task: asyncio.run(task.tick()),
    "await task()": lambda task: asyncio.run(_called(task)),
    "create_task": lambda task: asyncio.run(_in_a_task(task)),
}
