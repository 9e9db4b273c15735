"""Opening a store and loading from it: 1 MB by us and by the composed pipeline; warm page cache.

Ours reads the key file, checks the file's structure, asks the witness and proves the head before it
loads; the first two stand apart below, as the composed pipeline has neither. It keeps its key in
memory and opens its environment without a check.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benches._rows import describe, figure
from benches._sizes import SIZES
from benches._trees import equal_states
from benches.compare.composed import whole_level_1
from benches.compare.flatten import flatten
from dachi_fast import KeyFile, Store, _core
from dachi_fast.store._store import purpose

_SIZE = SIZES["1MB"]
_WORKLOAD = f"open and load, {_SIZE.title}"
_ROUNDS = 20


def _ms(work: Callable[[], object]) -> float:
    times = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return median(times) * 1e3


def bench_ours(benchmark: Any, tmp_path: Path) -> None:
    """Every round opens, loads and closes."""
    describe(benchmark, workload=_WORKLOAD, who="dachi_fast", base=True)
    folder, keys, agent = tmp_path / "store", KeyFile(tmp_path / "key"), _SIZE.make()
    with Store.open(folder, keys=keys) as store:
        store.save(agent, "agent")

    def load() -> Any:
        # Read-only opens write no entry about what they read, and so never wait for the disk.
        with Store.open(folder, keys=keys, read_only=True) as store:
            return store.load("agent")

    loaded = benchmark.pedantic(load, rounds=_ROUNDS, warmup_rounds=1)
    assert equal_states(flatten(loaded), flatten(agent))
    figure(benchmark, "of it the structure check", _ms(lambda: _core.store.check(folder)), "ms")
    probed = _core.store.probe(folder)
    assert probed is not None
    store_id, wrapped = probed
    unwrap = _ms(lambda: keys.unwrap(wrapped, purpose(store_id)))
    figure(benchmark, "of it the key file", unwrap, "ms")


def bench_composed(benchmark: Any, tmp_path: Path) -> None:
    """The same, with the blueprint from which its load builds the modules."""
    who = "composed with blueprint, zstd 1"
    describe(benchmark, workload=_WORKLOAD, who=who, at_least=2.5)
    agent, keeper = _SIZE.make(), whole_level_1(tmp_path / "bench", "none")
    keeper.save(agent)
    keeper.close()

    def load() -> Any:
        keeper.open()
        loaded = keeper.load(_SIZE.make_empty)
        keeper.close()
        return loaded

    loaded = benchmark.pedantic(load, rounds=_ROUNDS, warmup_rounds=1)
    assert equal_states(flatten(loaded), flatten(agent))
