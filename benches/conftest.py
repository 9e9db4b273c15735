"""What all benches share: a settled heap, and what machine and peers the numbers belong to."""

from __future__ import annotations

import gc
import os
import statistics
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

collect_ignore = ["curve.py", "report.py", "compare"]

_PEERS = (
    "dachi_fast", "msgpack", "ormsgpack", "msgspec", "orjson", "zstandard", "cryptography", "lmdb",
    "pydantic", "numpy", "langgraph-checkpoint-sqlite", "langgraph-checkpoint-lmdb", "pycryptodome",
    "py_trees", "mabwiser", "scikit-learn", "river", "hnswlib", "faiss-cpu", "usearch",
    "sqlite-vec", "model2vec", "tokenizers", "chromadb", "lancedb",
)  # fmt: skip
_SYNCS = 30


@pytest.fixture(autouse=True)
def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps the user's folders out of it, and what pytest holds out of the collector's rounds."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    gc.collect()
    gc.freeze()


def _sync_ms(folder: Path) -> float:
    """The median time that the disk takes to sync one page."""
    path = folder / "sync"
    times = []
    with path.open("wb") as file:
        for _ in range(_SYNCS):
            file.write(os.urandom(4096))
            file.flush()
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def _versions() -> dict[str, str]:
    found = {}
    for name in _PEERS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: Any) -> None:
    """Adds cores, disk and versions to what pytest-benchmark notes of the machine."""
    folder: Path = config._tmp_path_factory.mktemp("disk")  # type: ignore[attr-defined]
    machine_info["cores"] = len(os.sched_getaffinity(0))
    machine_info["sync_ms"] = _sync_ms(folder)
    machine_info["load"] = os.getloadavg()[0]
    machine_info["versions"] = _versions()
