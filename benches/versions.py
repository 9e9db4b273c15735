"""Many versions: listing, comparing, growing."""

from __future__ import annotations

import itertools
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from benches._rows import describe, figure
from benches._trees import Network, array_agent, wide_agent
from benches.compare.dachi_fast import unsynced
from dachi_fast import Attr, BaseModule, KeyFile
from tests.timed import Clock, open_timed

_VERSIONS = 10_000


class Counter(BaseModule):
    count: int = Attr(default=0)


def bench_history(benchmark: Any, tmp_path: Path) -> None:
    """The latest 100 of many versions."""
    describe(
        benchmark,
        workload=f"history, the latest 100 of {_VERSIONS:,}",
        who="dachi_fast",
        base=True,
        at_most_ms=1.0,
    )
    counter = Counter()
    with unsynced(tmp_path / "store", KeyFile(tmp_path / "key")) as store:
        for counter.count in range(_VERSIONS):
            store.save(counter, "counter")
        found = benchmark.pedantic(
            lambda: store.history("counter", limit=100), rounds=200, warmup_rounds=3
        )
        assert [version.number for version in found] == list(range(_VERSIONS, _VERSIONS - 100, -1))


def bench_diff(benchmark: Any, tmp_path: Path) -> None:
    """Ten changed values among 100,000."""
    describe(
        benchmark,
        workload="diff, 10 changes in 100,000 values",
        who="dachi_fast",
        base=True,
        at_most_ms=2.0,
    )
    agent = wide_agent(11_111, 1)
    with open_timed(tmp_path, Clock()) as store:
        assert store.save(agent, "agent").entries > 99_000
        for number in range(10):
            agent.skills[number * 1_000].count = -1 - number
        store.save(agent, "agent")
        changes = benchmark.pedantic(lambda: store.diff("agent", 1, 2), rounds=100, warmup_rounds=3)
        assert len(changes) == 10


def bench_growth(benchmark: Any, tmp_path: Path) -> None:
    """Every save is a round, one a minute: what a commit replaced goes after ten."""
    describe(
        benchmark,
        workload=f"save 1 MB with one changed value, versions 1..{_VERSIONS:,}, without sync",
        who="dachi_fast",
        base=True,
    )
    agent, times, clock = wide_agent(2_222, 4), [], Clock()
    with unsynced(tmp_path / "store", KeyFile(tmp_path / "key"), clock=clock) as store:
        store.save(agent, "agent")
        before, numbers = _size_bytes(tmp_path), itertools.count(1)

        def change() -> None:
            number = next(numbers)
            agent.skills[number % 2_000].count = number
            clock.now_s += 60

        def save() -> None:
            start = time.perf_counter()
            store.save(agent, "agent")
            times.append(time.perf_counter() - start)

        benchmark.pedantic(save, setup=change, rounds=_VERSIONS - 1)
        slower = statistics.median(times[-100:]) / statistics.median(times[:100])
        figure(benchmark, "the last 100 against the first 100", slower, "x", at_most=1.3)
        grown = _size_bytes(tmp_path) - before
        figure(benchmark, "a version on disk", grown / (_VERSIONS - 1) / 1e3, "KB")
        assert store.history("agent", limit=1)[0].number == _VERSIONS


def bench_one_item(benchmark: Any, tmp_path: Path) -> None:
    """Bytes that a save writes after one item of 100 MB of float32 has changed."""
    describe(benchmark, workload="save 100 MB after one changed item", who="dachi_fast", base=True)
    agent = array_agent(25, 1_000, 1_000)
    assert isinstance(agent, Network)
    with open_timed(tmp_path, Clock()) as store:
        store.save(agent, "agent")
        agent.layers[7].weights[3, 3] = np.float32(-1)
        version = benchmark.pedantic(lambda: store.save(agent, "agent"), rounds=1)
        figure(benchmark, "written", version.written_bytes / 1024, "KiB", at_most=64)


def _size_bytes(folder: Path) -> int:
    return (folder / "store" / "data.mdb").stat().st_size
