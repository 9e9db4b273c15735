"""Composites that run their tasks one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from dachi_fast.act._status import TaskStatus
from dachi_fast.act._task import Task, bare
from dachi_fast.adapt import AdaptModule
from dachi_fast.containers import ModuleList
from dachi_fast.errors import SpecError
from dachi_fast.module import Attr, Param


class Composite(Task):
    """Base of tasks made of tasks.

    Args:
        tasks: a list, a ModuleList, or None for no tasks.

    Raises:
        ValueError: `tasks` is something else.
    """

    tasks: list[Task] | ModuleList | None = Param(default=None)

    def __post_init__(self) -> None:
        self.tasks = _listed(type(self).__name__, self.tasks)

    def subtasks(self) -> list[Any]:
        """Gives the tasks in order; of AdaptModules what they hold now."""
        return [bare(task) for task in self.tasks or ()]

    def reset(self) -> None:
        """Goes back to READY, with all tasks."""
        super().reset()
        for task in self.subtasks():
            task.reset()


def _listed(owner: str, tasks: Any) -> list[Task] | ModuleList:
    if tasks is None:
        return []
    if isinstance(tasks, ModuleList):
        return tasks
    if isinstance(tasks, list | tuple):
        for task in tasks:
            if not isinstance(task, Task | AdaptModule):
                raise SpecError("not-a-task", f"{owner} runs tasks, not {type(task).__name__}")
        return tasks if isinstance(tasks, list) else list(tasks)
    raise SpecError(
        "not-a-task", f"tasks of {owner} are a list, a ModuleList or None, not {tasks!r:.60}"
    )


class _Serial(Composite):
    """What Sequence and Selector share; `_goes_on` is the result that leads to the next task."""

    cascaded: bool = Param(default=False)
    _index: int = Attr(default=0)

    _goes_on: ClassVar[TaskStatus]

    async def tick(self) -> TaskStatus:
        """Ticks the task whose turn it is; if cascaded, goes on within the tick."""
        if self._status.is_done:
            return self._status
        tasks = self.subtasks()
        status = self._goes_on
        while self._index < len(tasks):
            status = await tasks[self._index].tick()
            if status is not self._goes_on:
                break
            self._index += 1
            if self._index < len(tasks):
                status = TaskStatus.RUNNING
            if not self.cascaded:
                break
        self._status = status
        return status

    def reset(self) -> None:
        """Goes back to READY and the first task, with all tasks."""
        super().reset()
        self._index = 0


class Sequence(_Serial):
    """Runs its tasks in order until one fails; succeeds when all did.

    Args:
        tasks: a list, a ModuleList, or None; without tasks it succeeds.
        cascaded: whether one tick goes on to further tasks until one is running.

    Raises:
        ValueError: `tasks` is something else.

    Example:
        >>> from dachi_fast.act import Action, Sequence, TaskStatus
        >>> class Step(Action):
        ...     async def act(self):
        ...         return TaskStatus.SUCCESS
        >>> both = Sequence(tasks=[Step(), Step()])
        >>> both.forward().name, both.forward().name
        ('RUNNING', 'SUCCESS')
    """

    _goes_on = TaskStatus.SUCCESS


class Selector(_Serial):
    """Runs its tasks in order until one succeeds; fails when all did. Also named Fallback.

    Args:
        tasks: a list, a ModuleList, or None; without tasks it fails.
        cascaded: whether one tick goes on to further tasks until one is running.

    Raises:
        ValueError: `tasks` is something else.

    Example:
        >>> from dachi_fast.act import Action, Selector, TaskStatus
        >>> class Try(Action):
        ...     result: TaskStatus
        ...     async def act(self):
        ...         return self.result
        >>> tries = [Try(result=TaskStatus.FAILURE), Try(result=TaskStatus.SUCCESS)]
        >>> Selector(tasks=tries, cascaded=True).forward().name
        'SUCCESS'
    """

    _goes_on = TaskStatus.FAILURE


Fallback = Selector

Tasks = Iterable[Task]
