"""How a task stands."""

from __future__ import annotations

from enum import Enum


class TaskStatus(str, Enum):  # noqa: UP042 - str() stays "TaskStatus.X"
    """How a task stands after a tick.

    A `str`, so that a state with statuses goes through JSON; loading gives the status back.
    `|` is the better of two (success over running over waiting over failure), `&` the worse
    (failure over running over waiting over success); READY gives way to anything.

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

    @property
    def is_done(self) -> bool:
        """Whether the task has come to a result."""
        return self is TaskStatus.SUCCESS or self is TaskStatus.FAILURE

    @property
    def in_progress(self) -> bool:
        """Whether the task was begun and has no result yet."""
        return self is TaskStatus.RUNNING or self is TaskStatus.WAITING

    @property
    def ready(self) -> bool:
        """Whether the task was not begun."""
        return self is TaskStatus.READY

    @property
    def success(self) -> bool:
        """Whether the task succeeded."""
        return self is TaskStatus.SUCCESS

    @property
    def failure(self) -> bool:
        """Whether the task failed."""
        return self is TaskStatus.FAILURE

    @property
    def running(self) -> bool:
        """Whether the task is at work."""
        return self is TaskStatus.RUNNING

    @property
    def waiting(self) -> bool:
        """Whether the task waits for something."""
        return self is TaskStatus.WAITING

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
