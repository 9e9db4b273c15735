"""Task: something that is done tick by tick."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from dachi_fast.act._drive import drive
from dachi_fast.act._status import TaskStatus
from dachi_fast.adapt import AdaptModule
from dachi_fast.errors import SpecError
from dachi_fast.module import Attr, BaseModule, Param


class Task(BaseModule):
    """Base of everything in a behaviour tree.

    A subclass writes `tick` and sets its status through `self._status`, which is part of the state.

    Example:
        >>> from dachi_fast.act import Task, TaskStatus
        >>> class Once(Task):
        ...     async def tick(self):
        ...         self._status = TaskStatus.SUCCESS
        ...         return self._status
        >>> task = Once()
        >>> task.status, task.forward()
        (<TaskStatus.READY: 'ready'>, <TaskStatus.SUCCESS: 'success'>)
    """

    _status: TaskStatus = Attr(default=TaskStatus.READY)

    @property
    def status(self) -> TaskStatus:
        """How the task stands; READY before the first tick."""
        return self._status

    async def tick(self) -> TaskStatus:
        """Does the next piece of work and gives how the task stands.

        Raises:
            NotImplementedError: a subclass did not write it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no tick()")

    def __call__(self) -> Task:
        return self

    def __await__(self) -> Generator[Any, Any, TaskStatus]:
        return self.tick().__await__()

    def forward(self) -> TaskStatus:
        """Drives one tick from code that is not async.

        Raises:
            RuntimeError: the tick has to wait and an event loop is already running here.
        """
        return drive(self.tick())

    def reset(self) -> None:
        """Goes back to READY."""
        self._status = TaskStatus.READY


def bare(task: Any) -> Any:
    """Gives the task itself, for an AdaptModule the one that it holds."""
    return task.adapted if isinstance(task, AdaptModule) else task


class _Compound(Task):
    """Base of tasks made of tasks."""

    def subtasks(self) -> list[Any]:
        """Gives the tasks in order; of AdaptModules what they hold now."""
        raise NotImplementedError(f"{type(self).__name__} has no subtasks()")

    def reset(self) -> None:
        """Goes back to READY, with all tasks."""
        super().reset()
        for task in self.subtasks():
            task.reset()


class _Around(BaseModule):
    """What a decorator and a state have in common: one task, which they are around.

    Args:
        task: the task.

    Raises:
        ValueError: `task` is none.
    """

    task: Task = Param()

    def __post_init__(self) -> None:
        checked(self, self.task)

    def subtasks(self) -> list[Any]:
        """Gives the task in a list; of an AdaptModule what it holds now."""
        return [bare(self.task)]


def checked(owner: BaseModule, task: Any) -> None:
    """Refuses what is neither a task nor holds one.

    Raises:
        SpecError: it is something else.
    """
    if not isinstance(bare(task), Task):
        raise SpecError(
            "not-a-task", f"{type(owner).__name__} runs tasks, not {type(bare(task)).__name__}"
        )
