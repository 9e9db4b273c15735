"""Leaves of a behaviour tree: actions and conditions."""

from __future__ import annotations

from dachi_fast.act._status import TaskStatus
from dachi_fast.act._task import Task


class Action(Task):
    """A task that acts: a subclass writes `act`, which gives the status.

    Once it is done it is not run again before `reset`.

    Example:
        >>> from dachi_fast.act import Action, TaskStatus
        >>> class Greet(Action):
        ...     async def act(self):
        ...         return TaskStatus.SUCCESS
        >>> Greet().forward()
        <TaskStatus.SUCCESS: 'success'>
    """

    async def act(self) -> TaskStatus:
        """Does the work of one tick.

        Raises:
            NotImplementedError: a subclass did not write it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no act()")

    async def tick(self) -> TaskStatus:
        """Acts unless the task is done, and gives how it stands."""
        if not self._status.is_done:
            self._status = await self.act()
        return self._status


class Condition(Task):
    """A task that asks: a subclass writes `condition`, and each tick asks anew.

    Example:
        >>> from dachi_fast.act import Condition
        >>> class Never(Condition):
        ...     async def condition(self):
        ...         return False
        >>> Never().forward()
        <TaskStatus.FAILURE: 'failure'>
    """

    async def condition(self) -> bool:
        """Gives whether the condition holds.

        Raises:
            NotImplementedError: a subclass did not write it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no condition()")

    async def tick(self) -> TaskStatus:
        """Gives SUCCESS where the condition holds, else FAILURE."""
        self._status = TaskStatus.from_bool(await self.condition())
        return self._status
