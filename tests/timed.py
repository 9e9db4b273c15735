"""Stores whose clock is the test's."""

from __future__ import annotations

from pathlib import Path

from dachi_fast import KeyFile, Limits, Store

START_S = 1_800_000_000
GRACE_S = 600
DAY_S = 86_400


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = START_S

    def ask(self) -> int:
        """Gives nanoseconds since 1970."""
        return self.now_s * 1_000_000_000

    def __call__(self) -> int:
        return self.ask()


def open_timed(
    folder: Path, clock: Clock, limits: Limits | None = None, *, read_only: bool = False
) -> Store:
    """Opens or makes the store in a folder; its key lies beside it, and it has no witness."""
    keys = KeyFile(folder / "key")
    return Store.open(
        folder / "store",
        keys=keys,
        witness=None,
        limits=limits,
        clock=clock,
        audit_reads="off",
        read_only=read_only,
    )
