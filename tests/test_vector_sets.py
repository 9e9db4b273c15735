"""Vectors of documents: in the store, in transactions, and found by nearness."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dachi_fast import KeyFile, Limits, LmdbMemoryProvider, Store
from dachi_fast.errors import (
    Conflict,
    EmbedderMismatch,
    SnapshotExpired,
    StoreError,
    StoreReadOnly,
    UnknownName,
    VectorError,
)
from dachi_fast.types import Space
from tests.children import started
from tests.stores import Counter, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from dachi_fast.transaction._lmdb import LmdbSession

SPACE = "tasks"
DIMENSION = 4


class Clock:
    """A clock that stands still, to the nanosecond, until it is moved."""

    def __init__(self) -> None:
        self.now_ns = 1_800_000_000 * 10**9

    def __call__(self) -> int:
        return self.now_ns


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


def commit(store: Store, *vectors: NDArray[np.float32], **how: Any) -> list[str]:
    """Stores documents with vectors, each a transaction of its own."""
    ids = []
    for vector in vectors:
        session = begin(store)
        ids += remembered(session, vector, **how)
        session.commit()
    return ids


# --- finding --------------------------------------------------------------------------------------


def test_a_vector_is_found_in_its_transaction_and_by_later_ones(store: Store) -> None:
    session = begin(store)
    first, second = remembered(session, axis(0), axis(1))
    assert near(session, axis(1, 0.1)) == [second, first]
    session.commit()
    [best, _] = begin(store).similar(0, SPACE, 7 * axis(0, 0.1), 2)
    assert best[0] == first
    assert best[1] == pytest.approx(1.01**-0.5, abs=1e-3)


def test_what_others_commit_is_found_by_the_next_transaction_and_not_by_open_ones(
    store: Store,
) -> None:
    [first] = commit(store, axis(0))
    before = begin(store)
    assert near(before, axis(1)) == [first]
    [second] = commit(store, axis(1))
    after = begin(store)
    # Back and forth: one set serves both.
    assert near(after, axis(1)) == [second, first]
    assert near(before, axis(1)) == [first]
    assert near(after, axis(1)) == [second, first]


def test_another_processes_commits_are_found(store: Store, tmp_path: Path) -> None:
    [first] = commit(store, axis(0))
    assert near(begin(store), axis(2)) == [first]
    code = """
import sys
from pathlib import Path
from tests import test_vector_sets as here
from tests.stores import open_store
with open_store(Path(sys.argv[1])) as store:
    print(*here.commit(store, here.axis(1), here.axis(2)))
"""
    child, stdout, stderr = started(code, str(tmp_path))
    with child:
        second, third = stdout.read().split()
        assert stderr.read() == ""
    assert near(begin(store), axis(2)) == [third, first, second]


def test_a_vector_embedded_again_replaces_the_first(store: Store) -> None:
    [first, second] = commit(store, axis(0), axis(1))
    session = begin(store)
    session.embed(0, SPACE, first, axis(2))
    assert near(session, axis(0)) == [first, second] or near(session, axis(0)) == [second, first]
    assert near(session, axis(2), 1) == [first]
    session.commit()
    [best, _] = begin(store).similar(0, SPACE, axis(2), 2)
    assert best == (first, 1.0)


def test_own_changes_hide_what_is_in_the_store(store: Store) -> None:
    [first, second] = commit(store, axis(0), axis(1))
    session = begin(store)
    delete(session, first)
    assert near(session, axis(0)) == [second]
    session.rollback()
    assert near(begin(store), axis(0), 1) == [first]


def test_what_was_rolled_back_is_not_found(store: Store) -> None:
    [first] = commit(store, axis(0))
    session = begin(store)
    remembered(session, axis(1))
    session.rollback()
    assert near(begin(store), axis(1)) == [first]


def test_equally_near_ones_come_by_id(store: Store) -> None:
    ids = [*commit(store, axis(1), axis(1)), *commit(store, axis(1))]
    session = begin(store)
    ids += remembered(session, axis(1))
    assert near(session, axis(1)) == ids == sorted(ids)
    assert near(session, axis(1), 0) == []


def test_only_visible_classes_are_found(store: Store) -> None:
    [plain] = commit(store, axis(0))
    [hidden] = commit(store, axis(0, 0.1), visibility=7)
    session = begin(store)
    [own] = remembered(session, axis(0, 0.2), visibility=7)
    assert near(session, axis(0)) == [plain]
    assert near(session, axis(0), visible=frozenset({7})) == [hidden, own]
    assert near(session, axis(0), visible=frozenset({0, 7})) == [plain, hidden, own]
    assert near(session, axis(0), visible=frozenset()) == []
    session.embed(0, SPACE, hidden, axis(0, 0.1))
    session.commit()
    assert near(begin(store), axis(0)) == [plain, hidden]


def test_only_the_ids_asked_for_are_found(store: Store) -> None:
    [first, second] = commit(store, axis(0), axis(1))
    [hidden] = commit(store, axis(0), visibility=1)
    session = begin(store)
    [own] = remembered(session, axis(2))
    assert near(session, axis(0), within=[second, own, "no id", "00" * 16]) == [second, own]
    assert near(session, axis(0), within=(one for one in [first, hidden])) == [first]
    assert near(session, axis(0), within=[]) == []
    delete(session, first)
    assert near(session, axis(0), within=[first]) == []


def test_spaces_are_apart(store: Store) -> None:
    [first, second] = commit(store, axis(0), axis(1))
    session = begin(store)
    session.declare_space(0, SPACE + "2", model="other", dimension=1)
    session.embed(0, SPACE + "2", second, np.ones(1, np.float32))
    session.commit()
    session = begin(store)
    spaces = {SPACE: Space("model", DIMENSION), SPACE + "2": Space("other", 1)}
    assert session.spaces(0) == spaces
    assert session.similar(0, SPACE + "2", np.ones(1, np.float32), 9) == [(second, 1.0)]
    assert near(session, axis(0)) == [first, second]
    delete(session, second)
    session.commit()
    session = begin(store)
    assert session.similar(0, SPACE + "2", np.ones(1, np.float32), 9) == []
    assert near(session, axis(0)) == [first]
    assert session.similar(0, "undeclared", np.ones(3, np.float32), 9) == []


def test_a_space_that_was_dropped_is_gone_with_its_vectors(store: Store) -> None:
    [first, _] = commit(store, axis(0), axis(1))
    session, other = begin(store), begin(store)
    session.drop_space(0, SPACE)
    assert session.spaces(0) == {}
    assert near(session, axis(0)) == []
    with pytest.raises(UnknownName, match="no space"):
        session.drop_space(0, SPACE)
    # Its name is free for another model, at once.
    session.declare_space(0, SPACE, model="other", dimension=1)
    session.embed(0, SPACE, first, np.ones(1, np.float32))
    assert session.similar(0, SPACE, np.ones(1, np.float32), 9) == [(first, 1.0)]
    assert near(begin(store), axis(0), 1) == [first]
    session.commit()
    other.embed(0, SPACE, first, axis(2))
    with pytest.raises(Conflict):
        other.commit()
    session = begin(store)
    assert session.similar(0, SPACE, np.ones(1, np.float32), 9) == [(first, 1.0)]
    store.verify()


def test_namespaces_are_apart(store: Store) -> None:
    [first] = commit(store, axis(0))
    session = begin(store, "other", "agent")
    [other] = remembered(session, axis(1))
    assert near(session, axis(0)) == [other]
    assert session.similar(1, SPACE, axis(1), 9) == [(first, 0.0)]
    with pytest.raises(UnknownName, match="no document"):
        session.embed(0, SPACE, first, axis(0))


@pytest.mark.parametrize("dimension", [1, 2, 251, 252, 256, 768, 4_096])
def test_vectors_of_any_dimension_come_back(store: Store, dimension: int) -> None:
    rows = np.random.default_rng(dimension).normal(size=(40, dimension)).astype(np.float32)
    session = begin(store)
    session.declare_space(0, "wide", model="model", dimension=dimension)
    ids = [put(session) for _ in rows]
    for document_id, row in zip(ids, rows, strict=True):
        session.embed(0, "wide", document_id, row)
    session.commit()
    session = begin(store)
    for document_id, row in zip(ids, rows, strict=True):
        found = session.similar(0, "wide", row, 40)
        assert dict(found)[document_id] == pytest.approx(1, abs=1e-3)
        assert len(found) == 40


# --- as long as their documents -------------------------------------------------------------------


def test_a_vector_is_there_as_long_as_its_document(tmp_path: Path) -> None:
    clock, keys = Clock(), KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys, witness=None, clock=clock) as store:
        session = begin(store)
        session.declare_space(0, SPACE, model="model", dimension=DIMENSION)
        lasting, passing = put(session), put(session, ttl_ns=1_000)
        for document_id in (lasting, passing):
            session.embed(0, SPACE, document_id, axis(0))
        session.commit()
        reader, extended = begin(store), begin(store)
        clock.now_ns += 999
        assert near(reader, axis(0)) == [lasting, passing]
        assert near(reader, axis(0), within=[passing]) == [passing]
        clock.now_ns += 1
        assert near(reader, axis(0)) == near(extended, axis(0)) == [lasting]
        assert near(reader, axis(0), within=[passing]) == []
        with pytest.raises(UnknownName):
            extended.embed(0, SPACE, passing, axis(1))
        assert [pruned.expired for pruned in store.prune()] == [1]
        assert near(begin(store), axis(0)) == [lasting]
        store.verify()


def test_a_document_that_gets_another_time_to_live_takes_its_vector_along(tmp_path: Path) -> None:
    clock, keys = Clock(), KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys, witness=None, clock=clock) as store:
        [first] = commit(store, axis(0))
        session = begin(store)
        assert session.replace(
            0, "task", first, {"value": 1}, agent_id="agent", justification="", ttl_ns=500
        )
        assert near(session, axis(0)) == [first]
        clock.now_ns += 400
        assert near(session, axis(0)) == [first]
        session.commit()
        clock.now_ns += 100
        assert near(begin(store), axis(0)) == []
        store.verify()


def test_a_vector_of_a_document_that_is_gone_is_refused(store: Store) -> None:
    [first] = commit(store, axis(0))
    session = begin(store)
    delete(session, first)
    with pytest.raises(UnknownName):
        session.embed(0, SPACE, first, axis(1))
    session.commit()
    for nothing in (first, "00" * 16, "no id"):
        with pytest.raises(UnknownName, match="no document"):
            begin(store).embed(0, SPACE, nothing, axis(1))


def test_a_fork_shares_vectors_a_copy_has_its_own_and_forgetting_ends_them(store: Store) -> None:
    [first] = commit(store, axis(0))
    store.save(Counter(), "agent", base="latest")
    store.fork("agent", to="fork")
    store.copy("agent", to="copy")
    session = begin(store, "fork", "copy")
    assert near(session, axis(0)) == [first]
    assert session.similar(1, SPACE, axis(0), 9) == [(first, 1.0)]
    delete(session, first)
    session.commit()
    assert near(begin(store), axis(0)) == []
    assert near(begin(store, "copy"), axis(0)) == [first]
    store.verify()
    store.forget("copy")
    session = begin(store, "copy")
    assert session.spaces(0) == {}
    assert near(session, axis(0)) == []


def test_what_a_set_was_read_from_may_be_deleted_meanwhile(tmp_path: Path) -> None:
    clock, keys = Clock(), KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys, witness=None, clock=clock) as store:
        ids = commit(store, *[axis(at % DIMENSION, at / 40) for at in range(40)])
        session = begin(store)
        assert near(session, axis(0), 100, recall=1.0) == near(begin(store), axis(0), 100)
        for document_id in ids[:30]:
            clock.now_ns += 700 * 10**9
            other = begin(store)
            delete(other, document_id)
            other.commit()
        assert set(near(begin(store), axis(0), 100)) == set(ids[30:])
        with pytest.raises(SnapshotExpired):
            near(session, axis(0), 100)
        assert set(near(begin(store), axis(0), 100)) == set(ids[30:])


def test_sets_that_make_room_for_each_other_find_the_same(tmp_path: Path) -> None:
    keys, limits = KeyFile(tmp_path / "key"), Limits(vectors_bytes=0)
    with Store.open(tmp_path / "store", keys=keys, witness=None, limits=limits) as store:
        found = []
        for name in ("one", "two"):
            session = begin(store, name)
            found.append(remembered(session, axis(0), axis(1)))
            session.commit()
        for _ in range(3):
            assert [near(begin(store, name), axis(0)) for name in ("one", "two")] == found


# --- who may do what at once ----------------------------------------------------------------------


def test_recall_conflicts_with_who_changes_what_it_found_alone(store: Store) -> None:
    [first, second] = commit(store, axis(0), axis(1))

    def recalled(k: int) -> LmdbSession:
        session = begin(store)
        assert near(session, axis(0), k)[0] == first
        put(session)
        return session

    one = recalled(1)
    commit(store, axis(0))  # nearer than what was found, but new
    one.commit()
    one, two = recalled(1), recalled(3)
    other = begin(store)
    other.embed(0, SPACE, second, axis(2))
    other.commit()
    one.commit()  # which had not found it
    with pytest.raises(Conflict):
        two.commit()


def test_a_vector_and_the_end_of_its_document_conflict(store: Store) -> None:
    [first] = commit(store, axis(0))
    for space in (SPACE, "another space"):
        session, other = begin(store), begin(store)
        session.declare_space(0, space, model="model", dimension=DIMENSION)
        session.embed(0, space, first, axis(1))
        delete(other, first)
        other.commit()
        with pytest.raises(Conflict):
            session.commit()
        [first] = commit(store, axis(0))
        session, other = begin(store), begin(store)
        session.declare_space(0, space, model="model", dimension=DIMENSION)
        session.embed(0, space, first, axis(1))
        delete(other, first)
        session.commit()
        with pytest.raises(Conflict):
            other.commit()
    store.verify()


def test_vectors_of_other_documents_do_not_conflict(store: Store) -> None:
    commit(store, axis(0))
    one, two = begin(store), begin(store)
    remembered(one, axis(1))
    remembered(two, axis(2))
    one.commit()
    two.commit()
    assert len(near(begin(store), axis(0))) == 3


def test_threads_find_all_that_was_committed_before_and_nothing_else(store: Store) -> None:
    commit(store, axis(0))
    done, errors = threading.Event(), []
    committed: list[str] = []

    def write() -> None:
        for at in range(30):
            committed.extend(commit(store, axis(at % DIMENSION, 0.3)))

    def search() -> None:
        while not done.is_set():
            before = set(committed)
            session = begin(store)
            found = near(session, axis(0), 1_000)
            if not before <= set(found) or found != near(session, axis(0), 1_000):
                errors.append((before, found))

    searchers = [threading.Thread(target=search) for _ in range(3)]
    for thread in searchers:
        thread.start()
    write()
    done.set()
    for thread in searchers:
        thread.join()
    assert errors == []
    assert len(near(begin(store), axis(0), 1_000)) == 31


# --- what is refused, and noted -------------------------------------------------------------------


def test_another_model_or_dimension_is_refused(store: Store) -> None:
    commit(store, axis(0))
    for model, dimension in (("other", DIMENSION), ("model", DIMENSION + 1)):
        with pytest.raises(EmbedderMismatch) as raised:
            begin(store).declare_space(0, SPACE, model=model, dimension=dimension)
        assert raised.value.context == {"space": SPACE, "model": "model", "dimension": DIMENSION}
    begin(store).declare_space(0, SPACE, model="model", dimension=DIMENSION)


@pytest.mark.parametrize(
    ("vector", "code"),
    [
        (np.full(DIMENSION, np.nan), "vector-value"),
        (np.full(DIMENSION, np.inf), "vector-value"),
        (np.zeros(DIMENSION), "vector-zero"),
        (np.ones(DIMENSION + 1), "vector-dimension"),
        (np.ones((1, DIMENSION)), "vector-dimension"),
        (np.ones(0), "vector-dimension"),
        (["a"] * DIMENSION, "vector-value"),
    ],
)
def test_what_is_no_vector_of_the_space_is_refused(store: Store, vector: Any, code: str) -> None:
    [first] = commit(store, axis(0))
    session = begin(store)
    for refused in (
        lambda: session.embed(0, SPACE, first, vector),
        lambda: session.similar(0, SPACE, vector, 1),
    ):
        with pytest.raises(VectorError) as raised:
            refused()
        assert raised.value.code == code
    assert near(session, axis(0)) == [first]


def test_settings_that_mean_nothing_are_refused(store: Store) -> None:
    [first] = commit(store, axis(0))
    session = begin(store)
    for dimension in (0, -1, 4_097):
        with pytest.raises(VectorError, match="dimension"):
            session.declare_space(0, "x", model="model", dimension=dimension)
    for space, model in (("", "m"), ("a\0b", "m"), ("x" * 256, "m"), ("x", ""), ("x", "m" * 1025)):
        with pytest.raises(StoreError, match="name of"):
            session.declare_space(0, space, model=model, dimension=1)
    for visibility in (-1, 256):
        with pytest.raises(VectorError, match="0 to 255"):
            session.embed(0, SPACE, first, axis(0), visibility=visibility)
        with pytest.raises(VectorError, match="0 to 255"):
            near(session, axis(0), visible=frozenset({visibility}))
    with pytest.raises(VectorError, match="negative"):
        near(session, axis(0), -1)
    for recall in (0.0, 1.1, float("nan")):
        with pytest.raises(VectorError, match="recall"):
            near(session, axis(0), recall=recall)
    with pytest.raises(UnknownName, match="no space"):
        session.embed(0, "undeclared", first, axis(0))
    for number in range(63):
        session.declare_space(0, str(number), model="model", dimension=1)
    with pytest.raises(VectorError, match="64 spaces"):
        session.declare_space(0, "one more", model="model", dimension=1)
    with pytest.raises(ValueError, match="vectors_bytes"):
        Limits(vectors_bytes=-1)


def test_a_store_that_is_read_is_searched_and_not_changed(store: Store, tmp_path: Path) -> None:
    [first] = commit(store, axis(0))
    store.close()
    keys = KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys, witness=None, read_only=True) as opened:
        session = begin(opened)
        assert near(session, axis(0)) == [first]
        with pytest.raises(StoreReadOnly):
            session.embed(0, SPACE, first, axis(1))
        with pytest.raises(StoreReadOnly):
            session.declare_space(0, "x", model="model", dimension=1)


def test_the_ledger_says_who_got_vectors_and_what_was_searched(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys, witness=None, audit_reads="strict") as store:
        ids = commit(store, axis(0), axis(1))
        session = begin(store)
        for document_id in ids:
            session.embed(0, SPACE, document_id, axis(2))
        session.commit()
        near(begin(store), axis(0))
        entries = [
            (entry.operation, entry.memory_type, entry.count)
            for entry in store.ledger()
            if entry.memory_type in {SPACE, "task"}
        ]
    assert entries == [
        ("retrieve", SPACE, 1),
        ("embed", SPACE, 2),
        ("store", "task", None),
        ("store", "task", None),
        ("space", SPACE, 1),
    ]
