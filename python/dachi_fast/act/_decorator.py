"""Decorators: tasks around one task."""

from __future__ import annotations

from typing import Any

from dachi_fast.act._serial import listed
from dachi_fast.act._status import TaskStatus
from dachi_fast.act._task import Task, _Around, _Compound, bare
from dachi_fast.containers import ModuleList  # noqa: TC001 - annotations are read at run time
from dachi_fast.errors import SpecError
from dachi_fast.module import Param


class Decorator(_Around, _Compound):
    """Base of tasks around one task.

    Args:
        task: the task.

    Raises:
        ValueError: `task` is none.
    """


class Not(Decorator):
    """Turns the result of its task around; asks a condition anew at each tick, as it does itself.

    Example:
        >>> from dachi_fast.act import Condition, Not
        >>> class Busy(Condition):
        ...     async def condition(self):
        ...         return False
        >>> Not(task=Busy()).forward().name
        'SUCCESS'
    """

    async def tick(self) -> TaskStatus:
        """Ticks the task and gives the opposite of a result."""
        status: TaskStatus = await bare(self.task).tick()
        self._status = status.invert()
        return self._status


class _Loop(Decorator):
    """Base of tasks that run their task in rounds; between rounds it is reset.

    Args:
        task: the task.
        target_status: SUCCESS or FAILURE.

    Raises:
        ValueError: `task` is no task, or `target_status` no result.
    """

    target_status: TaskStatus = Param(default=TaskStatus.SUCCESS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.target_status.is_done:
            raise SpecError(
                "target-status",
                f"{type(self).__name__}: target_status is SUCCESS or FAILURE, "
                f"not {self.target_status.name}",
            )

    def _ends(self, result: TaskStatus) -> bool:
        raise NotImplementedError

    async def tick(self) -> TaskStatus:
        """Ticks the task; a result that does not end the rounds is RUNNING, and resets the task."""
        if self._status.is_done:
            return self._status
        task = bare(self.task)
        status: TaskStatus = await task.tick()
        if status.is_done and not self._ends(status):
            task.reset()
            status = TaskStatus.RUNNING
        self._status = status
        return status


class Until(_Loop):
    """Runs its task again and again until its result is `target_status`, and gives that.

    Example:
        >>> from dachi_fast import Action, Attr, TaskStatus, Until
        >>> class Dice(Action):
        ...     throws: list[int] = Attr(default_factory=lambda: [6, 2])
        ...     async def act(self):
        ...         return TaskStatus.from_bool(self.throws.pop() == 6)
        >>> lucky = Until(task=Dice())
        >>> lucky.forward().name, lucky.forward().name
        ('RUNNING', 'SUCCESS')
    """

    def _ends(self, result: TaskStatus) -> bool:
        return result is self.target_status


class AsLongAs(_Loop):
    """Runs its task again and again as long as its result is `target_status`; gives the other.

    Example:
        >>> from dachi_fast import Action, AsLongAs, Attr, TaskStatus
        >>> class Supply(Action):
        ...     left: int = Attr(default=1)
        ...     async def act(self):
        ...         self.left -= 1
        ...         return TaskStatus.from_bool(self.left >= 0)
        >>> using_up = AsLongAs(task=Supply())
        >>> using_up.forward().name, using_up.forward().name
        ('RUNNING', 'FAILURE')
    """

    def _ends(self, result: TaskStatus) -> bool:
        return result is not self.target_status


class PreemptCond(Decorator):
    """A task under conditions: each tick asks them anew, in order, before it ticks the task.

    If one fails the whole is a FAILURE, if one is waited for it is WAITING; then the task is left
    untouched as it stands, and goes on in a tick in which they hold again. When the task is done
    its result stands until `reset`.

    Args:
        cond: a list or a ModuleList of conditions (any tasks), or a single one.
        task: the task.

    Raises:
        ValueError: `cond` or `task` is something else.

    Example:
        >>> from dachi_fast.act import Action, Condition, PreemptCond, TaskStatus
        >>> class Charged(Condition):
        ...     percent: int
        ...     async def condition(self):
        ...         return self.percent > 10
        >>> class Drive(Action):
        ...     async def act(self):
        ...         return TaskStatus.RUNNING
        >>> driving = PreemptCond(cond=[Charged(percent=50)], task=Drive())
        >>> driving.forward().name
        'RUNNING'
        >>> driving.cond[0].percent = 5
        >>> driving.forward().name
        'FAILURE'
    """

    cond: list[Task] | ModuleList = Param()

    def __post_init__(self) -> None:
        super().__post_init__()
        cond = [self.cond] if isinstance(bare(self.cond), Task) else self.cond
        self.cond = listed(self, "cond", cond)

    def subtasks(self) -> list[Any]:
        """Gives the conditions, then the task; of AdaptModules what they hold now."""
        return [*map(bare, self.cond), bare(self.task)]

    async def tick(self) -> TaskStatus:
        """Asks, and ticks the task if all conditions hold."""
        *conditions, task = self.subtasks()
        if self._status.is_done and task.status.is_done:
            return self._status
        asked = TaskStatus.SUCCESS
        for condition in conditions:
            if condition.status.is_done:  # one made of several tasks would not ask again
                condition.reset()
            asked &= await condition.tick()
            if asked.failure:
                break
        if asked.success:
            self._status = await task.tick()
        else:
            self._status = TaskStatus.FAILURE if asked.failure else TaskStatus.WAITING
        return self._status
