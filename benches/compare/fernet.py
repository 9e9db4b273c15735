"""What many scripts do: pickle, zlib and Fernet into one file, which each save replaces."""

from __future__ import annotations

import os
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from benches.compare import Durability
from benches.compare.flatten import assign, flatten
from dachi_fast import BaseModule


class Keeper:
    """One file, replaced by every save."""

    name = "pickle + zlib + Fernet"

    def __init__(self, folder: Path, durability: Durability) -> None:
        folder.mkdir(parents=True)
        self._path = folder / "agent"
        self._sync = durability == "sync"
        self._fernet = Fernet(Fernet.generate_key())

    def save(self, agent: BaseModule) -> None:
        """Replaces the file."""
        packed = zlib.compress(pickle.dumps(flatten(agent), protocol=5))
        beside = self._path.with_suffix(".new")
        with beside.open("wb") as file:
            file.write(self._fernet.encrypt(packed))
            if self._sync:
                file.flush()
                os.fsync(file.fileno())
        beside.replace(self._path)
        if self._sync:
            folder = os.open(self._path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)

    def _state(self) -> dict[str, Any]:
        packed = self._fernet.decrypt(self._path.read_bytes())
        state: dict[str, Any] = pickle.loads(zlib.decompress(packed))
        return state

    def load(self, make: Callable[[], BaseModule]) -> BaseModule:
        """Gives the state in a tree that code built."""
        agent = make()
        assign(agent, self._state())
        return agent

    def load_into(self, agent: BaseModule) -> None:
        """Loads the state into a tree of the same structure."""
        assign(agent, self._state())

    def close(self) -> None:
        """Nothing is open."""
