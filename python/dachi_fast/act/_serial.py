"""Composites, and those that run their tasks one after the other."""

from __future__ import annotations

from typing import Any, ClassVar

from dachi_fast.act._status import TaskStatus
from dachi_fast.act._task import Task, _Compound, bare, checked
from dachi_fast.containers import ModuleList
from dachi_fast.errors import SpecError
from dachi_fast.module import Attr, Param


class Composite(_Compound):
    """Base of tasks made of tasks.

    Args:
        tasks: a list, a ModuleList, or None for no tasks.

    Raises:
        ValueError: `tasks` is something else.
    """

    tasks: list[Task] | ModuleList | None = Param(default=None)

    def __post_init__(self) -> None:
        self.tasks = listed(self, "tasks", self.tasks)

    def subtasks(self) -> list[Any]:
        """Gives the tasks in order; of AdaptModules what they hold now."""
        return [bare(task) for task in self.tasks or ()]


def listed(owner: Task, field: str, tasks: Any) -> list[Task] | ModuleList:
    """Gives tasks as the list or ModuleList that they are in.

    Raises:
        SpecError: they are in something else, or are no tasks.
    """
    if tasks is None:
        return []
    if isinstance(tasks, list | tuple | ModuleList):
        for task in tasks:
            checked(owner, task)
        return list(tasks) if isinstance(tasks, tuple) else tasks
    raise SpecError(
        "not-a-task",
        f"{type(owner).__name__}: {field} holds tasks in a list or ModuleList, not {tasks!r:.60}",
    )


class _Serial(Composite):
    """Base of composites that run their tasks in order, until one's result is the whole's.

    Args:
        tasks: a list, a ModuleList, or None for no tasks.
        cascaded: whether one tick goes on to further tasks until one is running.

    Raises:
        ValueError: `tasks` is something else.
    """

    cascaded: bool = Param(default=False)
    _index: int = Attr(default=0)

    _goes_on: ClassVar[TaskStatus]  # the result that leads to the next task

    async def tick(self) -> TaskStatus:
        """Ticks the task whose turn it is; if cascaded, goes on within the tick."""
        status = self._status
        if status.is_done:
            return status
        tasks, status = self.tasks or (), self._goes_on
        while self._index < len(tasks):
            status = await bare(tasks[self._index]).tick()
            if status is not self._goes_on:
                break
            self._index += 1
            if not self.cascaded:
                if self._index < len(tasks):
                    status = TaskStatus.RUNNING
                break
        self._status = status
        return status

    def reset(self) -> None:
        """Goes back to READY and the first task, with all tasks."""
        super().reset()
        self._index = 0


class Sequence(_Serial):
    """Runs its tasks in order until one fails; succeeds when all did, and without tasks.

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
    """Runs its tasks in order until one succeeds; fails when all did, and without tasks.

    Also named Fallback.

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
