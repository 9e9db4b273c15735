"""What is measured: dachi_fast behind the same protocols as its peers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from benches.compare import Durability
from dachi_fast import BaseModule, KeyFile, Store, _core
from dachi_fast.keys._purpose import purpose

_NAME = "agent"


class Codec:
    """The core's codec."""

    name = "dachi_fast"

    def encode(self, value: Any) -> bytes:
        """Gives the bytes of a value."""
        return _core.codec.encode(value)

    def decode(self, data: bytes) -> Any:
        """Gives the value back."""
        return _core.codec.decode(data)


def unsynced(
    folder: Path, keys: KeyFile, *, sync_ms: int = 0, clock: Callable[[], int] | None = None
) -> Store:
    """Opens a new store that never waits for the disk; nobody should keep data in it.

    Args:
        folder: where.
        keys: wraps its key.
        sync_ms: how long each commit sleeps instead.
        clock: nanoseconds since 1970; None for the system's.
    """
    store_id, root = os.urandom(16), os.urandom(32)
    wrapped = keys.wrap(root, purpose(store_id))
    witness = folder.with_name("witness")
    provider = (keys, purpose(store_id))
    core = _core.store.Store(
        folder,
        store_id,
        root,
        wrapped,
        provider,
        witness,
        clock=clock,
        bench_only_no_sync=sync_ms == 0,
        bench_only_sync_ms=sync_ms,
    )
    return Store(core, folder)


class Keeper:
    """A store with everything on: versions, ledger, witness, proofs on every read."""

    name = "dachi_fast"

    def __init__(self, folder: Path, durability: Durability) -> None:
        folder.mkdir(parents=True)
        keys = KeyFile(folder / "key")
        self._store = (
            unsynced(folder / "store", keys)
            if durability == "none"
            else Store.open(folder / "store", keys=keys)
        )

    def save(self, agent: BaseModule) -> None:
        """Keeps the agent's state as its next version."""
        self._store.save(agent, _NAME)

    @property
    def written_bytes(self) -> int:
        """What the newest save wrote."""
        return self._store.history(_NAME, limit=1)[0].written_bytes

    def load(self, make: Callable[[], BaseModule]) -> BaseModule:  # noqa: ARG002
        """Gives the newest version, built from its own blueprint."""
        loaded: BaseModule = self._store.load(_NAME)
        return loaded

    def load_into(self, agent: BaseModule) -> None:
        """Loads the newest version, proved, into a tree of the same structure."""
        self._store.load_into(agent, _NAME)

    def close(self) -> None:
        """Closes the store."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
