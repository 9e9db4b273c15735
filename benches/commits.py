"""64 agents of 1 KB, each saved once and durably: sharing commits against one sync each.

A round's time is from the first call to the last save on disk. "8 ms sync" sleeps in place of the
sync, on every side, while the engine's lock is held: a disk that takes that long.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benches._rows import describe, figure
from benches.compare.composed import level_1
from benches.compare.dachi_fast import unsynced
from dachi_fast import Attr, BaseModule, KeyFile, Store, Version

_AGENTS = 64
_TEXT_BYTES = 512  # in hex: 1 KB that does not compress below a half
_SYNC_MS = 8
_SYNCS = {"this disk's sync": None, f"{_SYNC_MS} ms sync": _SYNC_MS}


class Note(BaseModule):
    """An agent of one text."""

    step: int = Attr(default=0)
    text: str = Attr(default="")

    def learn(self) -> None:
        """Changes all of it."""
        self.step += 1
        self.text = os.urandom(_TEXT_BYTES).hex()


@contextmanager
def _store(folder: Path, sync_ms: int | None) -> Iterator[Store]:
    folder.mkdir()
    keys = KeyFile(folder / "key")
    if sync_ms is None:
        store = Store.open(folder / "store", keys=keys)
    else:
        store = unsynced(folder / "store", keys, sync_ms=sync_ms)
    with store:
        yield store


def _agents() -> dict[str, Note]:
    agents = {f"agent {number}": Note() for number in range(_AGENTS)}
    for agent in agents.values():
        agent.learn()
    return agents


class _Rounds:
    """What the rounds of a bench saw: syncs a round, and how long each save took."""

    def __init__(self, *, shared: bool = False) -> None:
        self.shared = shared
        self.syncs: list[int] = []
        self.waits_s: list[float] = []

    def note(self, store: Store, versions: dict[str, Version]) -> None:
        """Counts the commits: versions of one commit have the same time."""
        rows = [store._core.version(name, version.number) for name, version in versions.items()]
        self.syncs.append(len({created_ns for _, created_ns, *_ in rows}))

    def tell(self, benchmark: Any) -> None:
        """Puts it into the report."""
        waits_ms = sorted(wait * 1e3 for wait in self.waits_s)
        p50_ms, p99_ms = (waits_ms[int(len(waits_ms) * part)] for part in (0.5, 0.99))
        syncs, goal = statistics.median(self.syncs), 4 if self.shared else None
        figure(benchmark, f"commits for {_AGENTS} saves", syncs, at_most=goal)
        figure(benchmark, "one save, p50", p50_ms, "ms")
        figure(benchmark, "one save, p99", p99_ms, "ms")


def _describe(benchmark: Any, sync: str, who: str) -> None:
    rated = who == "dachi_fast, one after the other" and _SYNCS[sync] is not None
    describe(
        benchmark,
        workload=f"{_AGENTS} agents save 1 KB, {sync}",
        who=who,
        base=who == "dachi_fast, asave together",
        at_least=20 if rated else None,
    )


@pytest.mark.parametrize("sync", _SYNCS)
def bench_together(benchmark: Any, tmp_path: Path, sync: str) -> None:
    """All tasks of one loop save at once."""
    _describe(benchmark, sync, "dachi_fast, asave together")
    agents, seen = _agents(), _Rounds(shared=True)
    with _store(tmp_path / "bench", _SYNCS[sync]) as store, asyncio.Runner() as runner:
        versions: dict[str, Version] = {}

        async def save(name: str, agent: Note) -> None:
            start = time.perf_counter()
            versions[name] = await store.asave(agent, name)
            seen.waits_s.append(time.perf_counter() - start)

        async def save_all() -> None:
            await asyncio.gather(*(save(name, agent) for name, agent in agents.items()))

        def setup() -> None:
            if len(versions) == _AGENTS:
                seen.note(store, versions)
            for agent in agents.values():
                agent.learn()

        benchmark.pedantic(lambda: runner.run(save_all()), setup=setup, rounds=30, warmup_rounds=2)
        seen.note(store, versions)
        assert store.load("agent 7").text == agents["agent 7"].text
    seen.tell(benchmark)


@pytest.mark.parametrize("sync", _SYNCS)
def bench_one_after_the_other(benchmark: Any, tmp_path: Path, sync: str) -> None:
    """One sync each: what the same store takes without sharing."""
    _describe(benchmark, sync, "dachi_fast, one after the other")
    agents, seen = _agents(), _Rounds()
    with _store(tmp_path / "bench", _SYNCS[sync]) as store:
        versions: dict[str, Version] = {}

        def save_all() -> None:
            for name, agent in agents.items():
                start = time.perf_counter()
                versions[name] = store.save(agent, name)
                seen.waits_s.append(time.perf_counter() - start)

        def setup() -> None:
            for agent in agents.values():
                agent.learn()

        benchmark.pedantic(save_all, setup=setup, rounds=5, warmup_rounds=1)
        seen.note(store, versions)
        assert seen.syncs == [_AGENTS]
    seen.tell(benchmark)


def bench_composed(benchmark: Any, tmp_path: Path) -> None:
    """The composed pipeline in one file, one sync each; it keeps one agent, saved 64 times."""
    sync = "this disk's sync"
    _describe(benchmark, sync, "composed, zstd 1, one after the other")
    keeper = level_1(tmp_path / "bench", "sync")
    agents, seen = _agents(), _Rounds()

    def save_all() -> None:
        for agent in agents.values():
            agent.learn()
            start = time.perf_counter()
            keeper.save(agent)
            seen.waits_s.append(time.perf_counter() - start)

    benchmark.pedantic(save_all, rounds=5, warmup_rounds=1)
    seen.syncs.append(_AGENTS)
    seen.tell(benchmark)
    keeper.close()
