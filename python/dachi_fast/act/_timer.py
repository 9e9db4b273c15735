"""Leaves that limit: so many ticks, so much time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from dachi_fast.act._leaf import Action
from dachi_fast.act._status import TaskStatus
from dachi_fast.errors import SpecError
from dachi_fast.module import Attr, Param

T = TypeVar("T")


class _Injected(Generic[T]):
    """An attribute that is the same for all until one is given its own, and no part of the state.

    Example:
        >>> from dachi_fast import FixedTimer
        >>> timer = FixedTimer(seconds=5)
        >>> timer.clock = lambda: 0.0
        >>> timer.forward().name, timer.state_dict()["_started_s"]
        ('RUNNING', 0.0)
    """

    def __init__(self, default: T) -> None:
        self.default = default

    def __get__(self, instance: object, owner: type | None = None) -> T:
        return self.default

    if TYPE_CHECKING:

        def __set__(self, instance: object, value: T) -> None: ...


def _random() -> float:
    import random  # not at import time, which has a budget

    return random.random()  # noqa: S311 - it guards nothing


class CountLimit(Action):
    """Is done at its `count`-th tick, with `on_reached`; until then it is RUNNING.

    Args:
        count: how many ticks; 1 or more.
        on_reached: the result.

    Raises:
        ValueError: `count` is 0 or less, or `on_reached` is no result.

    Example:
        >>> from dachi_fast import CountLimit
        >>> limit = CountLimit(count=2)
        >>> limit.forward().name, limit.forward().name
        ('RUNNING', 'SUCCESS')
    """

    count: int = Param()
    on_reached: TaskStatus = Param(default=TaskStatus.SUCCESS)
    _ticks: int = Attr(default=0)

    def __post_init__(self) -> None:
        if self.count < 1:
            raise SpecError("limit", f"CountLimit: count is {self.count}, and must be 1 or more")
        if not self.on_reached.is_done:
            raise SpecError("limit", f"CountLimit: on_reached={self.on_reached} is no result")

    async def act(self) -> TaskStatus:
        """Counts."""
        self._ticks += 1
        return self.on_reached if self._ticks >= self.count else TaskStatus.RUNNING

    def reset(self) -> None:
        """Goes back to READY and to a count of 0."""
        super().reset()
        self._ticks = 0


class _Timer(Action):
    """What the timers share. The first tick starts the time; its start is part of the state.

    It is the time of day, which goes on while an agent is saved and no process runs. A clock that
    is set back before the start starts the time anew.
    """

    clock = _Injected[Callable[[], float]](time.time)  # seconds

    _started_s: float | None = Attr(default=None)

    def _seconds(self) -> float:
        raise NotImplementedError

    async def act(self) -> TaskStatus:
        """Looks at the clock."""
        now = self.clock()
        if self._started_s is None or now < self._started_s:
            self._started_s = now
        passed = now - self._started_s >= self._seconds()
        return TaskStatus.SUCCESS if passed else TaskStatus.RUNNING

    def reset(self) -> None:
        """Goes back to READY; the next tick starts the time anew."""
        super().reset()
        self._started_s = None


class FixedTimer(_Timer):
    """Is RUNNING until `seconds` have passed since its first tick, then SUCCESS.

    Args:
        seconds: how long; 0 or less is done at the first tick.

    Its attribute `clock` gives the time in seconds, by default `time.time`; one timer or all of a
    tree can be given another.

    Example:
        >>> from dachi_fast import FixedTimer
        >>> timer, now = FixedTimer(seconds=5), [0.0]
        >>> timer.clock = lambda: now[0]
        >>> timer.forward().name
        'RUNNING'
        >>> now[0] = 5.0
        >>> timer.forward().name
        'SUCCESS'
    """

    seconds: float = Param()

    def _seconds(self) -> float:
        return self.seconds


class RandomTimer(_Timer):
    """A timer for a time drawn evenly between two bounds, anew after each `reset`.

    What was drawn is part of the state: a restored timer waits for the same moment.

    Args:
        seconds_lower: the shortest time.
        seconds_upper: the longest time.

    Raises:
        ValueError: the bounds are the wrong way round.

    Beside `clock` its attribute `random` gives a number from 0 to 1, by default `random.random`.

    Example:
        >>> from dachi_fast import RandomTimer
        >>> timer = RandomTimer(seconds_lower=2, seconds_upper=4)
        >>> timer.clock, timer.random = (lambda: 0.0), (lambda: 0.5)
        >>> timer.forward().name, timer.state_dict()["_drawn_s"]
        ('RUNNING', 3.0)
    """

    random = _Injected[Callable[[], float]](_random)

    seconds_lower: float = Param()
    seconds_upper: float = Param()
    _drawn_s: float | None = Attr(default=None)

    def __post_init__(self) -> None:
        if not self.seconds_lower <= self.seconds_upper:
            raise SpecError(
                "limit",
                f"RandomTimer: seconds_lower={self.seconds_lower} exceeds "
                f"seconds_upper={self.seconds_upper}",
            )

    def _seconds(self) -> float:
        if self._drawn_s is None:
            span = self.seconds_upper - self.seconds_lower
            self._drawn_s = self.seconds_lower + span * self.random()
        return self._drawn_s

    def reset(self) -> None:
        """Goes back to READY; the next tick draws a time and starts it."""
        super().reset()
        self._drawn_s = None
