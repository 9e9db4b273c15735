"""Saves on their way to the disk."""

from __future__ import annotations

import atexit
import os
import sys
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from dachi_fast._core import store as _core_store
from dachi_fast.store._records import Row, Version, version_of

if TYPE_CHECKING:
    from concurrent.futures import Future

_FIELDS: Final = tuple(field.name for field in fields(Version))


class Pending(Version):
    """The version that a queued save will be; reading a field waits until it is on disk.

    What the save raised, reading a field raises, and `Store.flush` as well.
    """

    __slots__ = ("_future",)
    _future: Future[Row]

    def __init__(self, future: Future[Row]) -> None:
        object.__setattr__(self, "_future", future)

    def result(self, timeout_s: float | None = None) -> Version:
        """Gives the version when it is on disk.

        Args:
            timeout_s: how long to wait at most; None for as long as it takes.

        Raises:
            TimeoutError: it took longer; the save goes on.
            DachiError: what the save raised.
        """
        return version_of(self._future.result(timeout_s))

    @property
    def done(self) -> bool:
        """Whether it is on disk, or failed."""
        return self._future.done()

    if not TYPE_CHECKING:  # checkers know the fields, and that there are no others
        # Called for the fields, whose slots stay empty here.
        def __getattr__(self, name: str) -> Any:
            if name in _FIELDS:
                return getattr(self.result(), name)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Pending):
            return self is other or self.result() == other.result()
        return self.result() == other

    def __hash__(self) -> int:
        return hash(self.result())

    def __repr__(self) -> str:
        if not self.done:
            return "Pending(...)"
        error = self._future.exception()
        return f"Pending({self.result() if error is None else error!r})"

    def __reduce__(self) -> tuple[type[Version], tuple[Any, ...]]:
        return Version, tuple(getattr(self, name) for name in _FIELDS)


class Failures:
    """What queued saves raised, until somebody is told."""

    def __init__(self) -> None:
        self._errors: list[Exception] = []

    def note(self, error: Exception) -> None:
        """Keeps an error for `tell`, or for the end of the process."""
        self._errors.append(error)
        _untold[id(self)] = self

    def taken(self) -> list[Exception]:
        """Gives what was noted since the last time."""
        _untold.pop(id(self), None)
        errors, self._errors = self._errors, []
        return errors

    def tell(self) -> None:
        """Raises what was noted since the last time: one error, or an ExceptionGroup of several."""
        error = _one(self.taken())
        if error is not None:
            raise error


def _one(errors: list[Exception]) -> Exception | None:
    if len(errors) > 1:
        return ExceptionGroup("saves failed in the background", errors)
    return errors[0] if errors else None


_untold: Final[dict[int, Failures]] = {}
_process: Final = os.getpid()


def _finish() -> None:
    """Waits at exit for what is queued, and says what failed that nobody has asked about."""
    if os.getpid() != _process:
        return  # a fork has neither the threads nor the duty
    try:
        _core_store.drain()
    finally:
        error = _one([each for failures in list(_untold.values()) for each in failures.taken()])
        if error is not None:
            # What is raised at exit is printed without what a group holds.
            sys.excepthook(type(error), error, error.__traceback__)


atexit.register(_finish)
