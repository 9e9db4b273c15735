"""Peers behind one protocol for codecs and one for keepers; a file each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

from dachi_fast import BaseModule

Durability = Literal["none", "sync"]


class Codec(Protocol):
    """One value to bytes and back."""

    name: str

    def encode(self, value: Any) -> bytes:
        """Gives the bytes of a value."""

    def decode(self, data: bytes) -> Any:
        """Gives the value back."""


class Keeper(Protocol):
    """Keeps versions of one agent: compressed, encrypted, chained or authenticated.

    Constructed with a folder that does not exist and a durability: "none" never waits for the
    disk, "sync" returns from a save when it is on disk.
    """

    name: str

    def save(self, agent: BaseModule) -> None:
        """Keeps the agent's state as its next version."""

    def load(self, make: Callable[[], BaseModule]) -> BaseModule:
        """Gives the newest version, proved; `make` builds a tree of the same structure."""

    def load_into(self, agent: BaseModule) -> None:
        """Loads the newest version, proved, into a tree of the same structure."""

    def close(self) -> None:
        """Closes what is open."""


MakeKeeper = Callable[[Path, Durability], Keeper]
