"""The check of the data file's structure before it is mapped, on files of 1 GB in a warm cache.

The peer walks all keys of the same file through LMDB, which trusts what it reads.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest

from benches._rows import describe
from benches.compare.dachi_fast import unsynced
from dachi_fast import Attr, BaseModule, KeyFile, _core

_TOTAL_BYTES = 1_000_000_000
_MAP_BYTES = 1 << 40
_PER_TRANSACTION = 10_000


class Weights(BaseModule):
    values: Any = Attr(default=None)


def _versions_of_arrays(folder: Path) -> None:
    rng = np.random.default_rng(1)
    weights = Weights()
    store = unsynced(folder / "store", KeyFile(folder / "key"))
    for _ in range(10):
        weights.values = rng.standard_normal(_TOTAL_BYTES // 40, dtype=np.float32)
        store.save(weights, "weights")
    store.close()


def _records(size_bytes: int) -> Callable[[Path], None]:
    """Records of one size under keys as ours, written by another LMDB."""

    def fill(folder: Path) -> None:
        rng = random.Random(1)
        (folder / "store").mkdir()
        with lmdb.open(str(folder / "store"), map_size=_MAP_BYTES, max_dbs=4, sync=False) as env:
            nodes = env.open_db(b"nodes")
            env.open_db(b"meta")
            count = _TOTAL_BYTES // size_bytes
            for start in range(0, count, _PER_TRANSACTION):
                with env.begin(write=True, db=nodes) as txn:
                    for number in range(start, min(start + _PER_TRANSACTION, count)):
                        key = number.to_bytes(8, "big") + rng.randbytes(8)
                        txn.put(key, bytes(size_bytes))

    return fill


_FILES: dict[str, Callable[[Path], None]] = {
    "10 versions of arrays, 1 GB": _versions_of_arrays,
    "records of 3,500 bytes, 1 GB": _records(3_500),
    "records of 900 bytes, 1 GB": _records(900),
}


@pytest.fixture(scope="module", params=_FILES)
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the file holds, and the folder of the closed store; deleted at the end."""
    folder = tmp_path_factory.mktemp("check")
    _FILES[request.param](folder)
    yield request.param, folder / "store"
    (folder / "store" / "data.mdb").unlink()


def bench_check(benchmark: Any, file: tuple[str, Path]) -> None:
    """Every page that LMDB would trust."""
    what, folder = file
    describe(benchmark, workload=f"check {what}", who="dachi_fast", base=True, at_most_ms=100)
    assert (folder / "data.mdb").stat().st_size >= _TOTAL_BYTES
    transaction, doubtful = benchmark.pedantic(
        _core.store.check, args=(folder,), rounds=9, warmup_rounds=1
    )
    assert transaction > 1
    assert not doubtful


def bench_walk(benchmark: Any, file: tuple[str, Path]) -> None:
    """All keys, by a cursor in C."""
    what, folder = file
    describe(benchmark, workload=f"check {what}", who="lmdb, all keys")
    with (
        lmdb.open(str(folder), map_size=_MAP_BYTES, max_dbs=4, readonly=True, lock=False) as env,
        env.begin(db=env.open_db(b"nodes", create=False)) as txn,
    ):

        def walk() -> int:
            return sum(1 for _ in txn.cursor().iternext(keys=True, values=False))

        assert benchmark.pedantic(walk, rounds=5, warmup_rounds=1) == txn.stat()["entries"]
