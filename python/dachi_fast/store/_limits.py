"""Which versions a store keeps, and what it holds in memory."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

Row = tuple[int | None, int, int | None, int | None]
_MOST = 2**63 - 1  # the core counts in 64 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Which versions of each name are kept; the newest and tagged ones always are.

    Saves prune by themselves, each few saves (an eighth of `versions`, at most 16): until then a
    name may have a few more. What no kept version needs is deleted 10 minutes after it was pruned.

    Attributes:
        versions: how many of the newest; None for all.
        days: of the versions beyond, the newest of each day (UTC) is kept for so many days.
        size_bytes: how many bytes the saves of the kept versions may have written; older ones go,
            those kept for their day too. None for no limit.
        age: how old a version may be. None for no limit.
        vectors_bytes: how much memory vectors of documents may take that were searched; the spaces
            not searched for longest are let go first, and read again when they are searched. One is
            held, however large. 512 MiB hold some 350,000 vectors of 256 components, and leave room
            on small machines.

    Raises:
        ValueError: a number is negative, or `versions` is 0.

    Example:
        >>> from datetime import timedelta
        >>> from dachi_fast import Limits
        >>> Limits()
        Limits(versions=100, days=90, size_bytes=None, age=None, vectors_bytes=536870912)
        >>> Limits(versions=10, days=0, age=timedelta(days=7)).versions
        10
    """

    versions: int | None = 100
    days: int = 90
    size_bytes: int | None = None
    age: datetime.timedelta | None = None
    vectors_bytes: int = 512 * 1024 * 1024

    def __post_init__(self) -> None:
        if self.versions is not None and not 1 <= self.versions <= _MOST:
            raise ValueError(f"versions is 1 or more, or None for all, not {self.versions}")
        if not 0 <= self.days <= _MOST:
            raise ValueError(f"days is 0 or more, not {self.days}")
        if self.size_bytes is not None and not 0 <= self.size_bytes <= _MOST:
            raise ValueError(f"size_bytes is 0 or more, or None, not {self.size_bytes}")
        if self.age is not None and self.age < datetime.timedelta():
            raise ValueError(f"age is not negative, as {self.age} is")
        if not 0 <= self.vectors_bytes <= _MOST:
            raise ValueError(f"vectors_bytes is 0 or more, not {self.vectors_bytes}")


def limits_row(limits: Limits | None) -> Row:
    """Gives limits as the core takes them; None keeps all versions."""
    if limits is None:
        return None, 0, None, None
    age_ns = None
    if limits.age is not None:
        age_ns = min(limits.age // datetime.timedelta(microseconds=1) * 1000, _MOST)
    return limits.versions, limits.days, limits.size_bytes, age_ns
