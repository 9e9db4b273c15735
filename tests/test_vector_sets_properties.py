"""Vectors of documents against exact search in a dict, whatever happened in whatever order."""

from __future__ import annotations

import random
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from dachi_fast import KeyFile, LmdbMemoryProvider, Store
from dachi_fast.reader import KeyFile as ReaderKey
from dachi_fast.reader import StoreReader
from tests.stores import Counter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dachi_fast.transaction._lmdb import LmdbSession

KIND: Final = "task"
# One that fits into a part, and one that does not.
SPACES: Final = {"small": 3, "large": 300}
BEGIN_NS: Final = 1_800_000_000 * 10**9
_DRAWN: Final = np.random.default_rng(1)
# Few, so that equal ones and near ones meet.
VECTORS: Final = {
    space: _DRAWN.normal(size=(12, dimension)).astype(np.float32)
    for space, dimension in SPACES.items()
}

spaces = st.sampled_from(sorted(SPACES))
rows = st.integers(0, 11)
classes = st.integers(0, 2)
times = st.none() | st.integers(1, 50)


@dataclass(frozen=True)
class Held:
    """A document in the model: when it expires, and its vectors with their classes."""

    expires_ns: int = 0
    vectors: dict[str, tuple[int, NDArray[np.float64]]] = field(default_factory=dict)


Model = dict[str, Held]


def kept(vector: NDArray[np.float32]) -> NDArray[np.float64]:
    """Gives what the store keeps of a vector: 16 bits a component of one of length 1."""
    unit = (vector / np.linalg.norm(vector)).astype(np.float16).astype(np.float64)
    return np.asarray(unit / np.linalg.norm(unit))


def check(
    found: list[tuple[str, float]],
    cosines: dict[str, float],
    k: int,
) -> None:
    """Holds a search against all cosines that it could have given."""
    assert len(found) == len({document_id for document_id, _ in found}) == min(k, len(cosines))
    for document_id, cosine in found:
        assert cosine == pytest.approx(cosines[document_id], abs=1e-5)
    best = sorted(cosines.values(), reverse=True)[: len(found)]
    assert [cosine for _, cosine in found] == pytest.approx(best, abs=1e-5)


class Vectors(RuleBasedStateMachine):
    """A store, a transaction, older ones that still read, and a dict for each."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="dachi-vectors-")
        self.path, self.now_ns = Path(self.folder.name), BEGIN_NS
        self.names, self.committed, self.older = ["agent"], Model(), list[Any]()
        self.open()

    def open(self) -> None:
        keys = KeyFile(self.path / "key")
        self.store = Store.open(
            self.path / "store",
            keys=keys,
            witness=None,
            audit_reads="off",
            clock=lambda: self.now_ns,
        )
        self.begin()

    def begin(self) -> None:
        self.model = dict(self.committed)
        self.session: LmdbSession = LmdbMemoryProvider(self.store, namespace=self.names[-1]).begin()

    def alive(self, model: Model) -> list[str]:
        return sorted(
            document_id
            for document_id, held in model.items()
            if not held.expires_ns or self.now_ns < held.expires_ns
        )

    @rule(ttl_ns=times)
    def store_one(self, ttl_ns: int | None) -> None:
        document_id = self.session.store(
            0, KIND, {"text": "a"}, agent_id="a", justification="", ttl_ns=ttl_ns
        )
        self.model[document_id] = Held(self.now_ns + ttl_ns if ttl_ns else 0)

    @precondition(lambda self: self.alive(self.model))
    @rule(data=st.data(), space=spaces, row=rows, visibility=classes)
    def embed(self, data: st.DataObject, space: str, row: int, visibility: int) -> None:
        document_id = data.draw(st.sampled_from(self.alive(self.model)))
        self.session.declare_space(0, space, model="model", dimension=SPACES[space])
        vector = VECTORS[space][row]
        self.session.embed(0, space, document_id, vector, visibility=visibility)
        held = self.model[document_id]
        vectors = {**held.vectors, space: (visibility, kept(vector))}
        self.model[document_id] = replace(held, vectors=vectors)

    @precondition(lambda self: self.alive(self.model))
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        document_id = data.draw(st.sampled_from(self.alive(self.model)))
        assert self.session.delete(0, KIND, document_id, agent_id="a", justification="")
        del self.model[document_id]

    @precondition(lambda self: self.alive(self.model))
    @rule(data=st.data(), ttl_ns=times)
    def update(self, data: st.DataObject, ttl_ns: int | None) -> None:
        document_id = data.draw(st.sampled_from(self.alive(self.model)))
        assert self.session.replace(
            0, KIND, document_id, {"text": "b"}, agent_id="a", justification="", ttl_ns=ttl_ns
        )
        if ttl_ns:
            held = self.model[document_id]
            self.model[document_id] = replace(held, expires_ns=self.now_ns + ttl_ns)

    @rule()
    def commit(self) -> None:
        self.session.commit()
        self.committed = self.model
        self.begin()

    @rule()
    def rollback(self) -> None:
        self.session.rollback()
        self.begin()

    @rule()
    def keep_reading(self) -> None:
        """Leaves a transaction open over what is committed now."""
        older = LmdbMemoryProvider(self.store, namespace=self.names[0]).begin()
        self.older = [*self.older[-2:], (older, self.committed)]

    @rule(passed_ns=st.integers(1, 60))
    def pass_time(self, passed_ns: int) -> None:
        self.now_ns += passed_ns

    @rule()
    def prune(self) -> None:
        self.commit()
        pruned = {row.name: row.expired for row in self.store.prune()}
        gone = self.committed.keys() - set(self.alive(self.committed))
        assert max(pruned.values(), default=0) == len(gone)
        self.committed = {key: self.committed[key] for key in self.committed.keys() - gone}
        self.begin()

    @precondition(lambda self: len(self.names) == 1)
    @rule()
    def fork(self) -> None:
        self.session.save(Counter(), "agent", base="latest", justification="")
        self.commit()
        self.store.fork("agent", to="fork")
        self.names.append("fork")
        self.begin()

    @rule()
    def reopen(self) -> None:
        self.session.rollback()
        self.store.close()
        self.older = []
        with StoreReader(self.path / "store", key=ReaderKey(self.path / "key")) as reader:
            reader.verify()
            self.read(reader)
        self.open()

    def read(self, reader: StoreReader) -> None:
        """Holds what lies there against the model, by the second reader."""
        if not self.committed:
            return
        for space in reader.spaces("agent"):
            found = {one.document_id: one for one in reader.vectors("agent", space)}
            due = {key: held for key, held in self.committed.items() if space in held.vectors}
            assert found.keys() == due.keys()
            for key, held in due.items():
                visibility, vector = held.vectors[space]
                assert (found[key].visibility, found[key].expires_ns) == (
                    visibility,
                    held.expires_ns,
                )
                assert kept(np.array(found[key].components, np.float32)) == pytest.approx(vector)

    @rule(
        space=spaces,
        row=rows,
        k=st.integers(0, 30),
        visible=st.frozensets(classes),
        data=st.data(),
    )
    def search(
        self, space: str, row: int, k: int, visible: frozenset[int], data: st.DataObject
    ) -> None:
        for session, model in [(self.session, self.model), *self.older]:
            within = (
                data.draw(st.none() | st.sets(st.sampled_from(sorted(model)))) if model else None
            )
            query = VECTORS[space][row]
            found = session.similar(0, space, query, k, visible=visible, within=within)
            cosines = {
                key: float(model[key].vectors[space][1] @ query / np.linalg.norm(query))
                for key in self.alive(model)
                if space in model[key].vectors
                and model[key].vectors[space][0] in visible
                and (within is None or key in within)
            }
            check(found, cosines, k)

    @invariant()
    def spaces_are_those_declared(self) -> None:
        declared = self.session.spaces(0)
        assert {name: space.dimension for name, space in declared.items()} == {
            name: SPACES[name] for name in declared
        }

    def teardown(self) -> None:
        self.session.rollback()
        self.store.verify()
        self.store.close()
        self.folder.cleanup()


def test_vectors_are_those_of_a_dict_whatever_happens() -> None:
    run_state_machine_as_test(Vectors, settings=settings(max_examples=40, stateful_step_count=40))


@pytest.mark.parametrize("seed", range(2))
def test_many_vectors_are_found_as_exact_search_finds_them(tmp_path: Path, seed: int) -> None:
    """Among so many that they are quantised, replaced and removed by more than one handle."""
    rng, drawn = np.random.default_rng(seed), random.Random(seed)
    model: dict[str, NDArray[np.float64]] = {}
    keys = KeyFile(tmp_path / "key")
    for _ in range(2):
        with Store.open(tmp_path / "store", keys=keys, witness=None, audit_reads="off") as store:
            provider = LmdbMemoryProvider(store, namespace="agent")
            for count in (400, 3, 250, 1):
                session = provider.begin()
                session.declare_space(0, "s", model="model", dimension=64)
                for _ in range(count):
                    if model and drawn.random() < 0.2:
                        gone = drawn.choice(sorted(model))
                        session.delete(0, KIND, gone, agent_id="a", justification="")
                        del model[gone]
                        continue
                    key = drawn.choice(sorted(model)) if model and drawn.random() < 0.3 else None
                    key = key or session.store(
                        0, KIND, {}, agent_id="a", justification="", ttl_ns=None
                    )
                    vector = rng.normal(size=64).astype(np.float32)
                    session.embed(0, "s", key, vector)
                    model[key] = kept(vector)
                session.commit()
                _check_many(provider.begin(), model, rng)


def _check_many(
    session: LmdbSession, model: dict[str, NDArray[np.float64]], rng: np.random.Generator
) -> None:
    ids, rows = list(model), np.array(list(model.values()))
    for within in (None, ids[: len(ids) // 2]):
        query = rng.normal(size=64).astype(np.float32)
        cosines = dict(zip(ids, (rows @ query / np.linalg.norm(query)).tolist(), strict=True))
        allowed = {key: cosines[key] for key in (ids if within is None else within)}
        check(session.similar(0, "s", query, 10, recall=1.0, within=within), allowed, 10)
