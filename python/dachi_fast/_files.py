"""Files that take another one's place, whole and on disk, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def beside(path: Path) -> Iterator[tuple[IO[str], Path]]:
    """Gives a new text file in the folder of another, and its path; for its owner only.

    It is gone when the block ends, unless it was moved.
    """
    fresh = path.with_name(f".{os.urandom(8).hex()}.part")

    def private(name: str, flags: int) -> int:
        return os.open(name, flags, 0o600)

    try:
        with open(fresh, "x", encoding="utf-8", newline="\n", opener=private) as file:
            yield file, fresh
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """Gives a text file that takes another one's place when the block ends, unless it raises."""
    # Whoever linked the file elsewhere wants the file itself replaced.
    path = path.resolve()
    with beside(path) as (file, fresh):
        yield file
        sync(file)
        fresh.replace(path)
    sync_folder(path.parent)


def sync(file: IO[str]) -> None:
    """Waits until what was written to a file is on disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on disk."""
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
