"""Opening a store and loading from it, from a warm page cache: 1 MB, and one value out of 100 MB.

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
from dachi_fast import Attr, BaseModule, KeyFile, Store, _core
from dachi_fast.keys._purpose import purpose

_SIZE, _LARGE = SIZES["1MB"], SIZES["100MB"]
_WORKLOAD = f"open and load, {_SIZE.title}"
_PATH = "layers.25.step"
_ROUNDS = 20


class Step(BaseModule):
    """A number."""

    step: int = Attr(default=7)


def _ms(work: Callable[[], object], rounds: int = _ROUNDS) -> float:
    times = []
    for _ in range(rounds):
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


def bench_one_value(benchmark: Any, tmp_path: Path) -> None:
    """Every round opens, reads a number beside the arrays, and closes."""
    workload = "open and read one value out of 100 MB"
    describe(benchmark, workload=workload, who="dachi_fast", base=True)
    folder, keys, agent = tmp_path / "store", KeyFile(tmp_path / "key"), _LARGE.make()
    agent.layers.append(Step())  # type: ignore[attr-defined]
    with Store.open(folder, keys=keys) as store:
        store.save(agent, "agent")

    def check() -> object:
        return _core.store.check(folder)

    def read() -> Any:
        with Store.open(folder, keys=keys, read_only=True) as store:
            return store.state("agent", under=_PATH)[_PATH]

    assert benchmark.pedantic(read, rounds=_ROUNDS, warmup_rounds=1) == 7
    # By turns, so that both meet the same machine.
    checks, both = zip(*((_ms(check, 1), _ms(read, 1)) for _ in range(_ROUNDS)), strict=True)
    figure(benchmark, "of it the structure check", median(checks), "ms")
    rest = median(whole - check for check, whole in zip(checks, both, strict=True))
    figure(benchmark, "all but the structure check", rest, "ms", at_most=2)
    with Store.open(folder, keys=keys, read_only=True) as store:
        one = _ms(lambda: store.state("agent", under=_PATH)[_PATH])
    figure(benchmark, "of it, when open, the value", one, "ms")


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
