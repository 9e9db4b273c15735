"""Vectors of documents: in the store, in transactions, and found by nearness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dachi_fast import LmdbMemoryProvider, Store
from tests.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from dachi_fast.transaction._lmdb import LmdbSession

SPACE = "tasks"
DIMENSION = 4


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path) as store:
        yield store


def begin(store: Store, *names: str) -> LmdbSession:
    first, *others = [LmdbMemoryProvider(store, namespace=name) for name in names or ("agent",)]
    return first.begin(others)


def put(session: LmdbSession, value: object = None, ttl_ns: int | None = None) -> str:
    return session.store(
        0, "task", {"value": value}, agent_id="agent", justification="", ttl_ns=ttl_ns
    )


def delete(session: LmdbSession, document_id: str) -> None:
    assert session.delete(0, "task", document_id, agent_id="agent", justification="")


def axis(at: int, tilt: float = 0.0) -> NDArray[np.float32]:
    """A vector along an axis, tilted towards the next one."""
    vector = np.zeros(DIMENSION, np.float32)
    vector[at], vector[(at + 1) % DIMENSION] = 1, tilt
    return vector


def remembered(session: LmdbSession, *vectors: NDArray[np.float32], **how: Any) -> list[str]:
    """Stores documents with vectors."""
    session.declare_space(0, SPACE, model="model", dimension=DIMENSION)
    ids = [put(session) for _ in vectors]
    for document_id, vector in zip(ids, vectors, strict=True):
        session.embed(0, SPACE, document_id, vector, **how)
    return ids


def near(session: LmdbSession, vector: NDArray[np.float32], k: int = 10, **how: Any) -> list[str]:
    return [document_id for document_id, _ in session.similar(0, SPACE, vector, k, **how)]


def test_a_vector_is_found_in_its_transaction_and_by_later_ones(store: Store) -> None:
    session = begin(store)
    first, second = remembered(session, axis(0), axis(1))
    assert near(session, axis(1, 0.1)) == [second, first]
    session.commit()
    [(best, cosine), _] = begin(store).similar(0, SPACE, 7 * axis(0, 0.1), 2)
    assert (best, cosine) == (first, pytest.approx(1 / 1.01**0.5, abs=1e-3))
