"""Proving, listing and exporting a ledger of 10,000 entries; saves with and without full tiles."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benches._rows import describe
from dachi_fast import Attr, BaseModule, Store
from dachi_fast._core import store as core

ENTRIES = 10_000


class Counter(BaseModule):
    count: int = Attr(default=0)


class Bare:
    """A provider that keeps the key as it is."""

    def wrap(self, key: bytes, _context: bytes) -> bytes:
        return key

    def unwrap(self, wrapped: bytes, _context: bytes) -> bytes:
        return wrapped


def _unsynced(folder: Path, entries: int, audit_reads: Any = "off") -> Store:
    key = os.urandom(32)
    opened = core.Store(
        folder,
        key[:16],
        key,
        key,
        (Bare(), b""),
        None,
        audit_reads=audit_reads,
        bench_only_no_sync=True,
    )
    store = Store(opened, folder)
    for number in range(1, entries):
        store._core.note("bench", "ledger", f"entry {number}")
    return store


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with _unsynced(tmp_path_factory.mktemp("ledger") / "store", ENTRIES) as store:
        yield store


@pytest.mark.parametrize("which", ["any", "the newest"])
def bench_prove(benchmark: Any, ledger: Store, which: str) -> None:
    size = ledger.checkpoint().size
    seqs = itertools.cycle(range(0, size, 37) if which == "any" else [size - 1])
    describe(benchmark, workload=f"prove {which} of 10,000 entries", who="dachi_fast")
    benchmark.pedantic(ledger.prove, setup=lambda: ((next(seqs),), {}), rounds=300, warmup_rounds=5)
    ledger.prove(next(seqs)).verify(ledger.verifier_key)


def bench_prove_consistency(benchmark: Any, ledger: Store) -> None:
    olds = itertools.cycle(range(1, ENTRIES, 97))
    describe(benchmark, workload="prove that 10,000 entries continue older ones", who="dachi_fast")
    benchmark.pedantic(
        ledger.prove_consistency, setup=lambda: ((next(olds),), {}), rounds=100, warmup_rounds=5
    )
    ledger.prove_consistency(5_000).verify(ledger.verifier_key)


def bench_newest(benchmark: Any, ledger: Store) -> None:
    describe(benchmark, workload="the newest 100 of 10,000 entries", who="dachi_fast")
    entries = benchmark.pedantic(ledger.ledger, kwargs={"limit": 100}, rounds=200, warmup_rounds=5)
    assert len(entries) == 100


def bench_export(benchmark: Any, ledger: Store) -> None:
    describe(benchmark, workload="export 10,000 entries", who="dachi_fast")
    checkpoint = benchmark.pedantic(lambda: ledger.export(io.StringIO()), rounds=10)
    assert checkpoint.size >= ENTRIES


@pytest.mark.parametrize("audit_reads", ["off", "batched"])
def bench_read(benchmark: Any, tmp_path: Path, audit_reads: str) -> None:
    describe(
        benchmark,
        workload="load a counter",
        who=f"dachi_fast, audit_reads={audit_reads!r}",
        base=audit_reads == "off",
    )
    with _unsynced(tmp_path / "store", 1, audit_reads) as store:
        store.save(Counter(), "counter")
        benchmark.pedantic(store.load, args=("counter",), rounds=2_000, warmup_rounds=20)
