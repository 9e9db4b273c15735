"""Backups of 100 MB to a folder: the first, one of what then changed, a drill; and a copied file.

What does not compress and is sealed; a copy is synced, as every object of the archive is.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benches._rows import describe, figure
from dachi_fast import Attr, BaseModule, KeyFile, Store
from tests.timed import Clock, open_timed

_AGENTS = 10
_PIECE_BYTES = 10_000_000
_CHANGED_BYTES = 1_000_000
_ROUNDS = 5
_FIRST = "back up 100 MB to a folder"
_THEN = "back up 1 MB of 100 that changed"


class Agent(BaseModule):
    memory: Any = Attr(default=None)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    random = np.random.default_rng(1)
    with open_timed(tmp_path, Clock()) as store:
        for number in range(_AGENTS):
            agent = Agent()
            agent.memory = np.frombuffer(random.bytes(_PIECE_BYTES), np.uint8)
            store.save(agent, str(number))
        yield store


def _speed(benchmark: Any) -> None:
    total_mb = _AGENTS * _PIECE_BYTES / 1e6
    figure(benchmark, "of the store", total_mb / benchmark.stats.stats.median, "MB/s")


def bench_first(benchmark: Any, store: Store, tmp_path: Path) -> None:
    """Each into a fresh folder."""
    describe(benchmark, workload=_FIRST, who="dachi_fast", base=True)
    numbers = itertools.count()

    def fresh() -> tuple[tuple[Path], dict[str, Any]]:
        shutil.rmtree(tmp_path / "archives", ignore_errors=True)
        return (tmp_path / "archives" / str(next(numbers)),), {}

    report = benchmark.pedantic(store.backup, setup=fresh, rounds=_ROUNDS)
    assert report.put_nodes == report.nodes
    _speed(benchmark)


def bench_copy(benchmark: Any, store: Store, tmp_path: Path) -> None:
    """The data file as it is: no older state, no proof, and nobody may save meanwhile."""
    describe(benchmark, workload=_FIRST, who="a copy of data.mdb, synced")
    data = store.path / "data.mdb"

    def copied() -> None:
        with data.open("rb") as source, (tmp_path / "copy").open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())

    benchmark.pedantic(copied, rounds=_ROUNDS)
    _speed(benchmark)


def bench_changed(benchmark: Any, store: Store, tmp_path: Path) -> None:
    """One megabyte of one agent is another in each round."""
    describe(benchmark, workload=_THEN, who="dachi_fast", base=True)
    store.backup(tmp_path / "archive")
    agent, random = store.load("0"), np.random.default_rng(2)
    agent.memory = agent.memory.copy()

    def change() -> tuple[tuple[Path], dict[str, Any]]:
        agent.memory[:_CHANGED_BYTES] = np.frombuffer(random.bytes(_CHANGED_BYTES), np.uint8)
        store.save(agent, "0")
        return (tmp_path / "archive",), {}

    report = benchmark.pedantic(store.backup, setup=change, rounds=_ROUNDS)
    assert _CHANGED_BYTES < report.put_bytes < 1.2 * _CHANGED_BYTES
    figure(benchmark, "put", report.put_bytes / 1e6, "MB")


def bench_drill(benchmark: Any, store: Store, tmp_path: Path) -> None:
    """Fetched, written, opened and every record proved."""
    describe(benchmark, workload="drill of 100 MB from a folder", who="dachi_fast", base=True)
    store.backup(tmp_path / "archive")
    drill: Callable[..., Any] = Store.drill
    keys = KeyFile(tmp_path / "key")
    report = benchmark.pedantic(drill, (tmp_path / "archive",), {"keys": keys}, rounds=_ROUNDS)
    assert report.names == _AGENTS
    _speed(benchmark)
