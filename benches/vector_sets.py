"""Vectors of documents: what they add to storing, to opening, and to the commits of others.

The vectors are those of real texts, by the default embedder: 256 components. Searching them while
nothing changes is what `vectors.py` measures; here is the way to there from the disk.
"""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benches._rows import describe, figure
from benches._texts import texts
from dachi_fast import KeyFile, LmdbMemoryProvider, StaticEmbedder, Store

_MANY = 100_000
_BATCH = 100
_SPACE = "tasks"


@cache
def _vectors() -> Any:
    """Vectors of texts, and of pairs of texts, float32, shape ``(100_000, 256)``."""
    single = texts()
    pairs = (f"{one}; {other}" for one, other in itertools.pairwise(single))
    return StaticEmbedder().embed([*itertools.islice(itertools.chain(single, pairs), _MANY)])


def _opened(folder: Path) -> Store:
    keys = KeyFile(folder / "key")
    return Store.open(folder / "store", keys=keys, witness=None, audit_reads="off")


def _stored(provider: Any, rows: Any, *, embed: bool = True) -> list[str]:
    """Stores a document a row in one transaction."""
    session, ids = provider.begin(), []
    session.declare_space(0, _SPACE, model="default", dimension=rows.shape[1])
    for number, row in enumerate(rows):
        content = {"agent_id": "agent", "text": f"what was done in task {number}"}
        ids.append(
            session.store(0, "task", content, agent_id="agent", justification="", ttl_ns=None)
        )
        if embed:
            session.embed(0, _SPACE, ids[-1], row)
    session.commit()
    return ids


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A store of 100,000 documents with vectors, and their ids."""
    folder, ids = tmp_path_factory.mktemp("filled"), list[str]()
    with _opened(folder) as store:
        provider = LmdbMemoryProvider(store, namespace="agent")
        for rows in np.array_split(_vectors(), _MANY // 10_000):
            ids += _stored(provider, rows)
    return folder, ids


def bench_first_answer(benchmark: Any, filled: tuple[Path, list[str]]) -> None:
    """Opens the store, reads and proves all vectors, and finds ten."""
    workload = f"open with {_MANY:,} memories until the first answer"
    describe(benchmark, workload=workload, who="dachi_fast", base=True, at_most_ms=1_000)
    folder, ids = filled

    def answered() -> Any:
        with _opened(folder) as store:
            session = LmdbMemoryProvider(store, namespace="agent").begin()
            return session.similar(0, _SPACE, _vectors()[7], 10)

    found = benchmark.pedantic(answered, rounds=5, warmup_rounds=1)
    assert found[0][1] == pytest.approx(1, abs=1e-3)
    assert {document_id for document_id, _ in found} <= set(ids)
    size_bytes = sum(path.stat().st_size for path in (folder / "store").iterdir())
    figure(benchmark, "a memory on disk", size_bytes / _MANY, "bytes")


@pytest.mark.parametrize("changed", [1, 10, 100])
def bench_catch_up(benchmark: Any, filled: tuple[Path, list[str]], changed: int) -> None:
    """Searches once after somebody has changed some of the vectors; the commit is not timed."""
    workload = f"search after {changed} of {_MANY:,} vectors changed"
    describe(benchmark, workload=workload, who="dachi_fast", base=True)
    folder, ids = filled
    rng = np.random.default_rng(changed)
    with _opened(folder) as store:
        provider = LmdbMemoryProvider(store, namespace="agent")
        provider.begin().similar(0, _SPACE, _vectors()[7], 10)

        def change() -> Any:
            session = provider.begin()
            for at, row in rng.integers(0, _MANY, (changed, 2)).tolist():
                session.embed(0, _SPACE, ids[at], _vectors()[row])
            session.commit()
            return (provider.begin(),), {}

        def searched(session: Any) -> Any:
            return session.similar(0, _SPACE, _vectors()[7], 10)

        assert len(benchmark.pedantic(searched, setup=change, rounds=20, warmup_rounds=1)) == 10


@pytest.mark.parametrize("embed", [False, True])
def bench_store(benchmark: Any, tmp_path: Path, *, embed: bool) -> None:
    """Commits a hundred small documents, without vectors and with."""
    workload = f"store {_BATCH} documents in one transaction"
    who = "dachi_fast, with vectors" if embed else "dachi_fast, documents alone"
    describe(benchmark, workload=workload, who=who, base=not embed)
    with _opened(tmp_path) as store:
        provider, batches = LmdbMemoryProvider(store, namespace="agent"), itertools.count()

        def stored() -> Any:
            at = next(batches) * _BATCH
            return _stored(provider, _vectors()[at : at + _BATCH], embed=embed)

        assert len(benchmark.pedantic(stored, rounds=30, warmup_rounds=2)) == _BATCH
