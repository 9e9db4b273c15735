"""What the tests of backups share: a store with something in it, and a place for its backups."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dachi_fast import Attr, BaseModule, FileWitness, KeyFile, Store
from tests.timed import Clock

PIECE = 300_000


class Learner(BaseModule):
    count: int = Attr(default=0)
    memory: Any = Attr(default=None)


def learner(number: int, count: int = 0) -> Learner:
    """Gives a learner with a memory that nothing compresses."""
    made = Learner()
    made.count, made.memory = count, np.random.default_rng(number).bytes(PIECE)
    return made


class Place:
    """A folder with a store, its key and witness, an archive, and room for what is restored."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys = KeyFile(folder / "key")
        self.archive = folder / "archive"
        self.clock: Callable[[], int] = Clock()

    def open(self, name: str = "store") -> Store:
        return Store.open(
            self.folder / name,
            keys=self.keys,
            witness=self.witness(name),
            limits=None,
            audit_reads="off",
            clock=self.clock,
        )

    def witness(self, name: str = "store") -> FileWitness:
        return FileWitness(self.folder / f"seen {name}")

    def filled(self, agents: int = 3) -> Store:
        """Gives the store with some agents; each is one of `learner`'s."""
        store = self.open()
        for number in range(agents):
            store.save(learner(number), f"agent {number}")
        return store

    def restore(self, name: str = "restored", **how: Any) -> Store:
        return Store.restore(
            self.archive, self.folder / name, keys=self.keys, witness=self.witness(name), **how
        )

    def objects(self) -> dict[str, int]:
        """Gives the files of the archive and their sizes."""
        found = (path for path in self.archive.rglob("*") if path.is_file())
        return {str(path.relative_to(self.archive)): path.stat().st_size for path in found}

    def packs(self) -> list[Path]:
        return sorted((self.archive / "packs").iterdir())
