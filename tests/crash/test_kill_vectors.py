"""Processes killed while they store documents with vectors: what is there is found, all of it."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dachi_fast import LmdbMemoryProvider, Store
from dachi_fast.reader import KeyFile as ReaderKey
from dachi_fast.reader import StoreReader
from tests.children import started
from tests.stores import open_store

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dachi_fast.transaction._lmdb import LmdbSession

DIMENSION = 300


def vector(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=DIMENSION).astype(np.float32)


def remember_forever(store: Store, seed: int) -> None:
    """Stores, embeds anew and deletes; what was acknowledged is on disk."""
    provider, rng = LmdbMemoryProvider(store, namespace="agent"), random.Random(seed)
    while True:
        session = provider.begin()
        session.declare_space(0, "tasks", model="model", dimension=DIMENSION)
        for _ in range(rng.randint(1, 5)):
            number = rng.getrandbits(30)
            key = session.store(
                0, "task", {"seed": number}, agent_id="a", justification="", ttl_ns=None
            )
            session.embed(0, "tasks", key, vector(number))
        found = session.similar(0, "tasks", vector(rng.getrandbits(30)), 8)
        for key, _ in found[5:]:
            session.delete(0, "task", key, agent_id="a", justification="")
        for key, _ in found[:1]:
            number = rng.getrandbits(30)
            session.replace(
                0, "task", key, {"seed": number}, agent_id="a", justification="", ttl_ns=None
            )
            session.embed(0, "tasks", key, vector(number))
        session.commit()
        print("committed", flush=True)


_CHILD = """
import sys
from pathlib import Path
from tests.crash import test_kill_vectors as kill
from tests.stores import open_store
with open_store(Path(sys.argv[1])) as store:
    kill.remember_forever(store, int(sys.argv[2]))
"""


def test_after_a_kill_every_document_is_found_by_its_vector(tmp_path: Path) -> None:
    rng = random.Random(1)
    for life in range(3):
        child, stdout, stderr = started(_CHILD, str(tmp_path), str(life))
        with child:
            for _ in range(rng.randint(1, 12)):
                assert stdout.readline() == "committed\n"
            end_ns = time.perf_counter_ns() + rng.randint(0, 6_000_000)
            while time.perf_counter_ns() < end_ns:
                pass
            child.kill()
            errors = stderr.read()
        assert child.returncode == -signal.SIGKILL, errors
        with open_store(tmp_path) as store:
            store.verify()
            _check(LmdbMemoryProvider(store, namespace="agent").begin())
    with StoreReader(tmp_path / "store", key=ReaderKey(tmp_path / "key")) as reader:
        reader.verify()


def _check(session: LmdbSession) -> None:
    documents = session.find(0, "task", where=None, order="oldest", limit=None)
    found = session.similar(0, "tasks", vector(0), 1_000_000)
    assert {key for key, _ in found} == {document.id for document in documents}
    for document in documents:
        [(nearest, cosine)] = session.similar(0, "tasks", vector(document.content["seed"]), 1)
        assert (nearest, round(cosine, 3)) == (document.id, 1.0)
