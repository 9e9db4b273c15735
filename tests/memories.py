"""What tests of memories share: an embedder whose geometry is plain, and memories of tasks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dachi_fast import Calibration, KeyFile, MemoryStore, Store, SyncMemory
from tests.timed import Clock


class Angles:
    """Texts point where their last number says, in degrees: equal texts may point elsewhere."""

    norm: Literal["unit"] = "unit"
    dimension = 2
    # 60 degrees apart: as probable as not.
    calibration = Calibration(slope=10.0, intercept=-5.0)

    def __init__(self, name: str = "angles/1") -> None:
        self.name = name
        self.texts: list[str] = []  # what it was given, in this order

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.texts += texts
        angles = np.radians([float(re.findall(r"\d+", text)[-1]) for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def opened(folder: Path, clock: Clock | None = None, **more: Any) -> Store:
    """Opens a store whose witness lies elsewhere."""
    keys = KeyFile(folder / "key")
    return Store.open(folder / "store", keys=keys, witness=None, clock=clock, **more)


def angles(store: Store, namespace: str = "agent", **more: Any) -> SyncMemory:
    """Gives a memory of texts that point somewhere."""
    return MemoryStore(store, namespace=namespace, **{"embedder": Angles(), **more}).sync


def remember(memory: SyncMemory, *angles: int, **more: Any) -> list[str]:
    """Stores a task for each angle."""
    made = [({"description": f"task at {angle}"}, {"angle": angle}) for angle in angles]
    return [memory.store_task(envelope, result, **more) for envelope, result in made]


def recalled(memory: SyncMemory, angle: int = 0, **more: Any) -> list[int]:
    """Gives the angles that are recalled, the nearest first."""
    found = memory.retrieve_similar_tasks(f"at {angle}", **{"limit": 100, **more})
    return [one.result["angle"] for one in found]


def entries(store: Store) -> Iterator[tuple[str, str, str]]:
    """Yields operation, agent and memory type of the ledger, the oldest first."""
    for entry in reversed(store.ledger()):
        yield entry.operation, entry.agent_id or "", entry.memory_type or ""
