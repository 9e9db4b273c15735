"""Search ten of many vectors: one query a call, one thread, at equal recall."""

from __future__ import annotations

import os
import sqlite3
from functools import cache
from typing import Any

import numpy as np
import pytest

from benches._rows import describe, figure
from benches._texts import embedded
from benches.compare import nearest as peers
from dachi_fast import vectors

# A hundred thousand only where somebody has as many vectors: the texts are too few.
_SIZES = (1_000, 10_000, 50_000, *([100_000] if "DACHI_FAST_VECTORS" in os.environ else []))
_GOAL = 50_000
_QUERIES = 500
_ROUNDS = 20
_PEERS: dict[str, tuple[str | None, Any]] = {
    "dachi_fast": (None, peers.Ours),
    "dachi_fast, Hnsw": (None, peers.OurGraph),
    "hnswlib": ("hnswlib", peers.Hnswlib),
    "faiss HNSW": ("faiss", peers.FaissHnsw),
    "faiss flat": ("faiss", peers.FaissFlat),
    "usearch int8": ("usearch", peers.Usearch),
    "sqlite-vec": ("sqlite_vec", peers.SqliteVec),
}
_GOALS = {(_GOAL, 0.95): 2.5, (_GOAL, 0.99): 4.0}


@cache
def _set(n: int) -> tuple[Any, Any, Any]:
    """Rows, queries and the ten nearest of each."""
    made = embedded(_SIZES[-1] + _QUERIES)
    rows, queries = np.ascontiguousarray(made[:n]), made[_SIZES[-1] :]
    near = np.argpartition(-(queries @ rows.T), 10, axis=1)[:, :10]
    return rows, queries, near


@cache
def _peer(who: str, n: int) -> Any:
    return _PEERS[who][1](_set(n)[0])


def _recall(peer: Any, queries: Any, near: Any, effort: int) -> float:
    found = [peer.search(query, effort) for query in queries]
    pairs = zip(found, near, strict=True)
    return float(np.mean([len({*map(int, own)} & {*one.tolist()}) / 10 for own, one in pairs]))


@pytest.mark.parametrize("recall", [0.95, 0.99, 1.0])
@pytest.mark.parametrize("n", _SIZES)
@pytest.mark.parametrize("who", _PEERS)
def bench_search(benchmark: Any, who: str, n: int, recall: float) -> None:
    """The cheapest setting of each that reaches the recall, whose own recall is told."""
    if package := _PEERS[who][0]:
        pytest.importorskip(package)
    if who == "sqlite-vec" and not hasattr(sqlite3.Connection, "enable_load_extension"):
        pytest.skip("this Python's sqlite3 loads no extensions")
    describe(
        benchmark,
        workload=f"25 searches of {n:,} x 384, recall@10 >= {recall}",
        who=who,
        base=who == "dachi_fast",
        at_least=_GOALS.get((n, recall)) if who == "hnswlib" else None,
        # 25 searches of 80 us.
        at_most_ms=2.0 if (who, n, recall) == ("dachi_fast", 10_000, 1.0) else None,
    )
    _, queries, near = _set(n)
    peer = _peer(who, n)
    for effort in peer.efforts:
        reached = _recall(peer, queries, near, effort)
        if reached >= recall:
            break
    else:
        pytest.skip(f"{who} reaches {reached:.3f} only")
    figure(benchmark, "recall@10", reached)
    turns = iter(range(_ROUNDS + 1))

    def some() -> None:
        for query in queries[next(turns) % 20 * 25 :][:25]:
            peer.search(query, effort)

    benchmark.pedantic(some, rounds=_ROUNDS, warmup_rounds=1)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1, 0.01])
def bench_within(benchmark: Any, share: float) -> None:
    """A prepared subset; the goal is against the search of all."""
    n = _GOAL
    rows, queries, _ = _set(n)
    index = _peer("dachi_fast", n).index
    some = np.random.default_rng(1).permutation(n)[: int(n * share)]
    subset = vectors.Subset(some) if share < 1 else None
    describe(
        benchmark,
        workload=f"25 searches within some of {n:,} x 384",
        who="all" if share == 1 else f"{share:.0%} of them",
        base=share == 1,
        at_most=None if share == 1 else 2.0,
    )
    near = some[np.argpartition(-(queries @ rows[some].T), 10, axis=1)[:, :10]]
    found = index.search(queries, 10, within=subset).ids
    hits = [
        len({*own.tolist()} & {*one.tolist()}) / 10 for own, one in zip(found, near, strict=True)
    ]
    figure(benchmark, "recall@10", float(np.mean(hits)), at_least=0.99)

    def search() -> None:
        for query in queries[:25]:
            index.search(query, 10, within=subset)

    benchmark.pedantic(search, rounds=_ROUNDS, warmup_rounds=1)


@pytest.mark.parametrize(
    "who", ["dachi_fast", "dachi_fast, Hnsw", "hnswlib", "faiss HNSW", "usearch int8"]
)
def bench_build(benchmark: Any, who: str) -> None:
    """All vectors at once, in one thread."""
    if package := _PEERS[who][0]:
        pytest.importorskip(package)
    n = _GOAL
    describe(
        benchmark,
        workload=f"index {n:,} x 384",
        who=who,
        base=who == "dachi_fast",
        at_most_ms=500 if who == "dachi_fast" else None,
    )
    rounds = 5 if who == "dachi_fast" else 1
    rows = _set(n)[0]
    benchmark.pedantic(_PEERS[who][1], args=(rows,), rounds=rounds)
