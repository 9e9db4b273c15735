"""The root of a behaviour tree."""

from __future__ import annotations

from typing import Any

from dachi_fast.act._status import TaskStatus
from dachi_fast.act._task import Task, _Compound, bare, checked
from dachi_fast.module import Param


class BT(_Compound):
    """A behaviour tree: what holds the task that everything begins with.

    Args:
        root: the task; None for a tree that succeeds at once.

    Raises:
        ValueError: `root` is something else.

    Example:
        >>> from dachi_fast.act import BT
        >>> BT.from_spec({"kind": "BT", "root": {"kind": "Sequence"}}).forward().name
        'SUCCESS'
    """

    root: Task | None = Param(default=None)

    def __post_init__(self) -> None:
        if self.root is not None:
            checked(self, self.root)

    def subtasks(self) -> list[Any]:
        """Gives the root in a list; of an AdaptModule what it holds now."""
        return [] if self.root is None else [bare(self.root)]

    async def tick(self) -> TaskStatus:
        """Ticks the root."""
        status = TaskStatus.SUCCESS
        for root in self.subtasks():
            status = await root.tick()
        self._status = status
        return status
