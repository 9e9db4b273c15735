"""Remember tasks, durably, and find them by meaning: from text to text.

A task has a sentence as its description, two requirements, a context and a result: some 400 bytes.
The peers embed with our model; none of them encrypts, proves what it reads, or keeps a ledger.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benches._rows import describe, figure
from benches._texts import texts
from benches.compare import memories as peers

_COUNT = 10_000
_BATCH = 100
_PEERS: dict[str, Any] = {
    "dachi_fast": peers.Ours,
    "sqlite-vec, FULL": peers.SqliteVec,
    "chromadb": peers.Chroma,
    "lancedb": peers.Lance,
}


def _task(number: int, text: str) -> peers.Task:
    return {
        "task_envelope": {
            "description": text,
            "requirements": ["tests pass", "it is documented"],
            "context": {"project": f"project_{number % 50}", "priority": number % 5},
        },
        "result": {
            "outcome": "success" if number % 7 else "failure",
            "summary": f"done in step {number}: {text[::-1]}",
            "metrics": {"tokens": number % 4001, "latency_ms": number % 997},
        },
    }


def _tasks(count: int) -> list[peers.Task]:
    return [_task(number, text) for number, text in enumerate(texts()[:count])]


def _peer(who: str, folder: Path) -> Any:
    if package := _PEERS[who].package:
        pytest.importorskip(package)
    if package == "sqlite_vec" and not hasattr(sqlite3.Connection, "enable_load_extension"):
        pytest.skip("this Python's sqlite3 loads no extensions")
    return _PEERS[who](folder)


@pytest.mark.parametrize("size", [1, _BATCH])
@pytest.mark.parametrize("who", _PEERS)
def bench_store_task(benchmark: Any, tmp_path: Path, who: str, size: int) -> None:
    """Tasks into a memory of a thousand, one commit each time."""
    describe(
        benchmark,
        workload=f"store {size} task{'s' if size > 1 else ''}, durable",
        who=who,
        base=who == "dachi_fast",
    )
    rounds = 100 if size == 1 else 20
    tasks = _tasks(1_000 + size * (rounds + 1))
    peer = _peer(who, tmp_path)
    for start in range(0, 1_000, _BATCH):
        peer.store(tasks[start : start + _BATCH])
    turns = iter(range(rounds + 1))

    def some() -> None:
        start = 1_000 + next(turns) * size
        peer.store(tasks[start : start + size])

    benchmark.pedantic(some, rounds=rounds, warmup_rounds=1)
    figure(benchmark, "tasks/s", size / benchmark.stats.stats.median)
    last = tasks[-1]
    assert last in peer.recall(last["task_envelope"]["description"])
    peer.close()


@pytest.fixture(scope="module", params=_PEERS)
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Any]]:
    """A memory of ten thousand tasks."""
    peer = _peer(request.param, tmp_path_factory.mktemp("filled"))
    tasks = _tasks(_COUNT)
    for start in range(0, _COUNT, _BATCH):
        peer.store(tasks[start : start + _BATCH])
    yield request.param, peer
    peer.close()


def bench_retrieve_similar_tasks(benchmark: Any, filled: tuple[str, Any]) -> None:
    """Five of ten thousand: embed, search, fetch; ours verifies and decrypts."""
    who, peer = filled
    describe(
        benchmark,
        workload=f"retrieve 5 similar tasks of {_COUNT:,}, from text",
        who=who,
        base=who == "dachi_fast",
        at_most_ms=0.5 if who == "dachi_fast" else None,
    )
    queries = texts()[_COUNT : _COUNT + 1_001]
    turns = iter(queries)
    found = benchmark.pedantic(lambda: peer.recall(next(turns)), rounds=1_000, warmup_rounds=1)
    assert len(found) == 5
    for text in texts()[: _COUNT : _COUNT // 20]:
        assert text in [task["task_envelope"]["description"] for task in peer.recall(text)]
