"""How a task stands."""

from __future__ import annotations

from enum import Enum


class TaskStatus(str, Enum):  # noqa: UP042 - str() stays "TaskStatus.X"
    """How a task stands after a tick.

    A `str`, so that a state with statuses goes through JSON; loading gives the status back.
    `|` is the better of two (success over running over waiting over failure), `&` the worse
    (failure over running over waiting over success); READY gives way to anything.

    Attributes:
        is_done: whether the task has come to a result.
        in_progress: whether it was begun and has no result yet.
        ready: whether it was not begun.
        success: whether it succeeded.
        failure: whether it failed.
        running: whether it is at work.
        waiting: whether it waits for something.

    Example:
        >>> TaskStatus.RUNNING | TaskStatus.SUCCESS
        <TaskStatus.SUCCESS: 'success'>
        >>> TaskStatus.RUNNING & TaskStatus.SUCCESS
        <TaskStatus.RUNNING: 'running'>
        >>> TaskStatus.SUCCESS.is_done, TaskStatus.from_bool(False)
        (True, <TaskStatus.FAILURE: 'failure'>)
    """

    RUNNING = "running"
    WAITING = "waiting"
    SUCCESS = "success"
    FAILURE = "failure"
    READY = "ready"

    # Plain attributes of the members: as properties they took a tenth of a tick.
    is_done: bool
    in_progress: bool
    ready: bool
    success: bool
    failure: bool
    running: bool
    waiting: bool

    def __init__(self, value: str) -> None:
        self.is_done = value in {"success", "failure"}
        self.in_progress = value in {"running", "waiting"}
        for each in ("ready", "success", "failure", "running", "waiting"):
            setattr(self, each, value == each)

    def invert(self) -> TaskStatus:
        """Gives failure for success and success for failure; others stay."""
        if self is TaskStatus.SUCCESS:
            return TaskStatus.FAILURE
        return TaskStatus.SUCCESS if self is TaskStatus.FAILURE else self

    @classmethod
    def from_bool(cls, value: bool) -> TaskStatus:  # noqa: FBT001
        """Gives success for True and failure for False."""
        return cls.SUCCESS if value else cls.FAILURE

    def __or__(self, other: TaskStatus) -> TaskStatus:
        return min(self, other, key=_OR.index)

    def __and__(self, other: TaskStatus) -> TaskStatus:
        return min(self, other, key=_AND.index)


_OR = (
    TaskStatus.SUCCESS,
    TaskStatus.RUNNING,
    TaskStatus.WAITING,
    TaskStatus.FAILURE,
    TaskStatus.READY,
)
_AND = (
    TaskStatus.FAILURE,
    TaskStatus.RUNNING,
    TaskStatus.WAITING,
    TaskStatus.SUCCESS,
    TaskStatus.READY,
)
