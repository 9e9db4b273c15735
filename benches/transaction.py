"""Documents in transactions: commits by threads and processes, and finding one agent's hour.

A transaction stores ten documents of some 200 bytes. The plain peer is SQLite with a JSON column,
an index on the same fields, WAL and ``synchronous=FULL``: as durable, but neither encrypted nor
proved, and without a ledger.
"""

from __future__ import annotations

import datetime
import json
import multiprocessing
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benches._rows import describe, figure
from dachi_fast import KeyFile, LmdbMemoryProvider, Store, TransactionManager

_TEN = 10
_TRANSACTIONS = 25  # of each thread or process in a round
_DOCUMENTS = 100_000
_AGENTS = 100
_START = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)
_KIND = "task_result"


def _document(number: int) -> dict[str, Any]:
    return {
        "agent_id": f"agent_{number % _AGENTS:03}",
        "timestamp": _START + datetime.timedelta(seconds=number),
        "task_id": f"task_{number:08}",
        "outcome": "success" if number % 7 else "failure",
        "metrics": {"latency_ms": number % 997, "tokens": number % 4001, "score": number / 3},
    }


def _opened(folder: Path) -> Store:
    return Store.open(folder / "store", keys=KeyFile(folder / "key"), witness=None)


class _Sqlite:
    """The plain peer."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=60)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS documents "
            "(id TEXT PRIMARY KEY, kind TEXT, agent TEXT, at TEXT, content TEXT)"
        )
        self._connection.execute(
            "CREATE INDEX IF NOT EXISTS by_agent ON documents (kind, agent, at)"
        )

    def store(self, documents: list[dict[str, Any]]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        for document in documents:
            at = document["timestamp"].isoformat()
            row = (uuid.uuid4().hex, _KIND, document["agent_id"], at)
            content = json.dumps({**document, "timestamp": at})
            self._connection.execute("INSERT INTO documents VALUES (?,?,?,?,?)", (*row, content))
        self._connection.execute("COMMIT")

    def find(self, agent: str, start: datetime.datetime, end: datetime.datetime) -> list[Any]:
        rows = self._connection.execute(
            "SELECT content FROM documents WHERE kind=? AND agent=? AND at>=? AND at<? ORDER BY at",
            (_KIND, agent, start.isoformat(), end.isoformat()),
        )
        return [json.loads(content) for (content,) in rows]

    def close(self) -> None:
        self._connection.close()


def _ours(folder: Path, count: int, store: Store | None = None) -> None:
    held = _opened(folder) if store is None else store
    manager = TransactionManager(LmdbMemoryProvider(held)).sync
    for number in range(count):
        with manager as tx:
            for at in range(_TEN):
                tx.store(_KIND, _document(number * _TEN + at))
    if store is None:
        held.close()


def _theirs(folder: Path, count: int) -> None:
    peer = _Sqlite(folder / "peer.db")
    for number in range(count):
        peer.store([_document(number * _TEN + at) for at in range(_TEN)])
    peer.close()


def _in_threads(work: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _process(folder: str, name: str, begin: Any) -> None:
    begin.wait()
    (_ours if name == "dachi_fast" else _theirs)(Path(folder), _TRANSACTIONS)


def _in_processes(folder: Path, name: str, count: int) -> float:
    """Gives the time from the first transaction on: processes are started before."""
    from benches.transaction import _process  # as children can import it; pytest has its own name

    context = multiprocessing.get_context("spawn")
    begin = context.Barrier(count + 1)
    processes = [
        context.Process(target=_process, args=(str(folder), name, begin)) for _ in range(count)
    ]
    for process in processes:
        process.start()
    begin.wait(timeout=60)
    start = time.perf_counter()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    return time.perf_counter() - start


@pytest.mark.parametrize("who", ["dachi_fast", "sqlite, FULL"])
def bench_threads(benchmark: Any, tmp_path: Path, who: str) -> None:
    """Eight threads commit at once."""
    describe(
        benchmark,
        workload="8 threads commit 25 transactions of 10 documents each",
        who=who,
        base=who == "dachi_fast",
    )
    if who == "dachi_fast":
        with _opened(tmp_path) as store:
            run = lambda: _in_threads(lambda: _ours(tmp_path, _TRANSACTIONS, store), 8)  # noqa: E731
            benchmark.pedantic(run, rounds=3, warmup_rounds=1)
            assert store.verify().documents == 4 * 8 * _TRANSACTIONS * _TEN
    else:
        _Sqlite(tmp_path / "peer.db").close()
        run = lambda: _in_threads(lambda: _theirs(tmp_path, _TRANSACTIONS), 8)  # noqa: E731
        benchmark.pedantic(run, rounds=3, warmup_rounds=1)
    figure(benchmark, "commits/s", 8 * _TRANSACTIONS / benchmark.stats.stats.median)


@pytest.mark.parametrize("who", ["dachi_fast", "sqlite, FULL"])
def bench_processes(benchmark: Any, tmp_path: Path, who: str) -> None:
    """Four processes commit at once; opening the store is in the time, for each side."""
    describe(
        benchmark,
        workload="4 processes commit 25 transactions of 10 documents each",
        who=who,
        base=who == "dachi_fast",
    )
    _opened(tmp_path).close()
    _Sqlite(tmp_path / "peer.db").close()
    took_s: list[float] = []
    run = lambda: took_s.append(_in_processes(tmp_path, who, 4))  # noqa: E731
    benchmark.pedantic(run, rounds=3)
    figure(benchmark, "commits/s", 4 * _TRANSACTIONS / sorted(took_s)[1])


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, _Sqlite]]:
    """Both sides with 100,000 documents."""
    folder = tmp_path_factory.mktemp("filled")
    peer = _Sqlite(folder / "peer.db")
    with _opened(folder) as store:
        provider = LmdbMemoryProvider(store)
        for start in range(0, _DOCUMENTS, 5_000):
            documents = [_document(number) for number in range(start, start + 5_000)]
            with TransactionManager(provider).sync as tx:
                for document in documents:
                    tx.store(_KIND, document)
            peer.store(documents)
        yield store, peer
    peer.close()


@pytest.mark.parametrize("who", ["dachi_fast", "sqlite, FULL"])
def bench_find(benchmark: Any, filled: tuple[Store, _Sqlite], who: str) -> None:
    """One agent's documents of a range of time: ten of a hundred thousand."""
    describe(
        benchmark,
        workload=f"find 10 of {_DOCUMENTS:,} documents by agent and time range",
        who=who,
        base=who == "dachi_fast",
    )
    (store, peer), start = filled, _START + datetime.timedelta(seconds=40_000)
    end = start + datetime.timedelta(seconds=_TEN * _AGENTS)
    if who == "dachi_fast":
        where = {"agent_id": "agent_042", "timestamp": {">=": start, "<": end}}
        with TransactionManager(LmdbMemoryProvider(store)).sync as tx:
            found = benchmark(lambda: tx.find(_KIND, where=where, order="+timestamp"))
        figure(benchmark, "find", benchmark.stats.stats.median * 1e3, "ms", at_most=1)
    else:
        found = benchmark(lambda: peer.find("agent_042", start, end))
    assert len(found) == _TEN
