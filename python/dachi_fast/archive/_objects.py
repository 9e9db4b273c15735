"""What carries an archive: objects by name, put whole or not at all."""

from __future__ import annotations

from typing import Any, Protocol

# Tells one content of an object from another; None for an object that is not there.
Version = Any


class Objects(Protocol):
    """Objects by name. All raise `ArchiveError` where the service or the disk refuses."""

    def get(self, name: str) -> tuple[bytes, Version]:
        """Gives an object and its version, or raises Missing."""

    def get_part(self, name: str, start: int, end: int) -> bytes:
        """Gives the bytes from `start` to `end`, or raises Missing."""

    def put(self, name: str, data: bytes) -> None:
        """Puts an object in place of whatever there is; returned means kept."""

    def put_over(self, name: str, data: bytes, version: Version) -> None:
        """Puts an object if the one there has this version, else raises `archive-overtaken`."""

    def delete(self, name: str) -> None:
        """Deletes an object; harmless if there is none."""

    def list(self, prefix: str) -> dict[str, int]:
        """Gives the names that begin so, and how long the objects are."""

    def tidy(self) -> None:
        """Removes what puts that were killed left behind."""
