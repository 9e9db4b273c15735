"""Parallel: tasks that run at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dachi_fast.act._serial import Composite
from dachi_fast.act._status import TaskStatus
from dachi_fast.errors import SpecError
from dachi_fast.module import Param


class Parallel(Composite):
    """Runs all unfinished tasks in each tick, and counts. Also named Multi.

    Args:
        tasks: a list, a ModuleList, or None.
        fails_on: how many failures are one; negative counts from the end (-1 is all).
        succeeds_on: how many successes are one; negative counts from the end.
        success_priority: whether success wins when both counts are reached.
        preempt: whether a result does not wait for tasks that still run: they are cancelled, and
            keep the status they had.

    Raises:
        ValueError: the two counts can never be met together, or one is 0 or less.

    Example:
        >>> from dachi_fast.act import Action, Parallel, TaskStatus
        >>> class Step(Action):
        ...     async def act(self):
        ...         return TaskStatus.SUCCESS
        >>> Parallel(tasks=[Step(), Step()]).forward().name
        'SUCCESS'
    """

    fails_on: int = Param(default=1)
    succeeds_on: int = Param(default=-1)
    success_priority: bool = Param(default=True)
    preempt: bool = Param(default=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._counts(len(self.subtasks()))

    def _counts(self, total: int) -> tuple[int, int]:
        """Gives how many failures and successes decide, for a number of tasks."""
        fails = self.fails_on if self.fails_on >= 0 else total + 1 + self.fails_on
        succeeds = self.succeeds_on if self.succeeds_on >= 0 else total + 1 + self.succeeds_on
        if total == 0 and succeeds <= 0:
            return 1, 0
        if fails <= 0 or succeeds <= 0:
            raise SpecError(
                "parallel-counts",
                f"fails_on={self.fails_on} and succeeds_on={self.succeeds_on} of {total} tasks "
                f"must come to 1 or more",
            )
        if fails + succeeds - 1 > total:
            raise SpecError(
                "parallel-counts",
                f"fails_on={fails} and succeeds_on={succeeds} leave {total} tasks undecided; "
                f"fails_on + succeeds_on - 1 must not exceed the number of tasks",
            )
        return fails, succeeds

    async def tick(self) -> TaskStatus:
        """Ticks all unfinished tasks at the same time and gives how the whole stands."""
        if self._status.is_done:
            return self._status
        tasks = self.subtasks()
        unfinished = [task for task in tasks if not task.status.is_done]
        if len(unfinished) == 1:
            await unfinished[0].tick()
        elif unfinished:
            await self._tick_all(tasks, unfinished)
        self._status = self._verdict(tasks)
        return self._status

    def _verdict(self, tasks: Sequence[Any]) -> TaskStatus:
        fails_on, succeeds_on = self._counts(len(tasks))
        failures = sum(task.status.failure for task in tasks)
        successes = sum(task.status.success for task in tasks)
        all_done = failures + successes == len(tasks)
        success = successes >= succeeds_on
        failure = (failures >= fails_on and (self.preempt or all_done)) or (
            all_done and not success
        )
        if success and (self.success_priority or not failure):
            return TaskStatus.SUCCESS
        return TaskStatus.FAILURE if failure else TaskStatus.RUNNING

    async def _tick_all(self, tasks: Sequence[Any], unfinished: Sequence[Any]) -> None:
        import asyncio

        ticks = [asyncio.ensure_future(task.tick()) for task in unfinished]
        pending = set(ticks)
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                raised = any(tick.cancelled() or tick.exception() for tick in done)
                if raised or (self.preempt and self._verdict(tasks).is_done):
                    break
        finally:
            for tick in pending:
                tick.cancel()
            if pending:
                await asyncio.wait(pending)
        _raise_first(ticks, pending)


def _raise_first(ticks: Sequence[Any], preempted: set[Any]) -> None:
    """Raises the first error in the order of the tasks; it tells of the others."""
    ended = [tick for tick in ticks if not tick.cancelled()]
    errors = [error for error in (tick.exception() for tick in ended) if error is not None]
    if errors:
        for other in errors[1:]:
            errors[0].add_note(f"another task of this tick raised, too: {other!r:.200}")
        raise errors[0]
    for tick in ticks:
        if tick.cancelled() and tick not in preempted:
            tick.result()  # a task that cancelled itself


Multi = Parallel
