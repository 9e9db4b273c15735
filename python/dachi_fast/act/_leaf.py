"""Leaves of a behaviour tree: actions and conditions."""

from __future__ import annotations

from dachi_fast.act._status import TaskStatus
from dachi_fast.act._task import Task
from dachi_fast.errors import StateTypeError


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
        """Acts unless the task is done, and gives how it stands.

        Raises:
            TypeError: `act` gave something else than a TaskStatus.
        """
        status = self._status
        if status.is_done:
            return status
        status = await self.act()
        if type(status) is not TaskStatus:
            raise StateTypeError(
                "not-a-status",
                f"act() of {type(self).__name__} gave {status!r:.60}: give a TaskStatus",
            )
        self._status = status
        return status


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


class WaitCondition(Condition):
    """A condition that is waited for: as long as it does not hold, the task is WAITING.

    Example:
        >>> from dachi_fast import Attr, WaitCondition
        >>> class Arrived(WaitCondition):
        ...     mail: list[str] = Attr(default_factory=list)
        ...     async def condition(self):
        ...         return bool(self.mail)
        >>> arrived = Arrived()
        >>> arrived.forward().name, arrived.mail.append("hello"), arrived.forward().name
        ('WAITING', None, 'SUCCESS')
    """

    async def tick(self) -> TaskStatus:
        """Gives SUCCESS where the condition holds, else WAITING."""
        self._status = TaskStatus.SUCCESS if await self.condition() else TaskStatus.WAITING
        return self._status
