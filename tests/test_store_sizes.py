"""States of awkward sizes, and what a save writes: only what changed."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from dachi_fast import Attr, BaseModule, Param, Store
from dachi_fast._core import codec
from dachi_fast.errors import StateError
from tests.samples import Holder
from tests.tokens import same

PIECE_BYTES = 16_384
INLINE_BYTES = 512
KIB = 1024


class Leaf(BaseModule):
    value: Any = Attr(default=None)


class Wide(BaseModule):
    leaves: list[BaseModule] = Param(default_factory=list)


class Matrices(BaseModule):
    first: Any = Attr(default=None)
    second: Any = Attr(default=None)
    step: int = Attr(default=0)


def _size_bytes(store: Store) -> int:
    return (store.path / "data.mdb").stat().st_size


def _around(edge: int) -> list[int]:
    return [edge + near for near in range(-8, 9)]


def test_text_and_bytes_of_every_size_around_the_limits_come_back(store: Store) -> None:
    rng = random.Random(7)
    sizes = [
        *_around(INLINE_BYTES),
        *_around(PIECE_BYTES),
        *_around(2 * PIECE_BYTES),
        *_around(256 * PIECE_BYTES),  # one index node more
    ]
    agent = Wide(leaves=[Leaf() for _ in sizes])
    values: list[Any] = [rng.randbytes(size) for size in sizes]
    values = [v if n % 2 else v.hex()[: sizes[n]] for n, v in enumerate(values)]
    for leaf, value in zip(agent.leaves, values, strict=True):
        leaf.value = value  # type: ignore[attr-defined]
    store.save(agent, "agent")
    back = store.load("agent")
    assert all(same(leaf.value, value) for leaf, value in zip(back.leaves, values, strict=True))
    assert store.verify().versions == 1


@pytest.mark.parametrize("edge", [480, 512, 4096, PIECE_BYTES, 2 * PIECE_BYTES])
def test_arrays_of_every_size_around_the_limits_come_back(store: Store, edge: int) -> None:
    rng = np.random.default_rng(edge)
    arrays: list[Any] = [rng.integers(0, 256, size, dtype="u1") for size in _around(edge)]
    arrays += [rng.standard_normal(edge // 8 + near) for near in (-1, 0, 1)]
    agent = Wide(leaves=[Leaf() for _ in arrays])
    for leaf, array in zip(agent.leaves, arrays, strict=True):
        leaf.value = array  # type: ignore[attr-defined]
    store.save(agent, "agent")
    back = store.load("agent")
    assert all(same(leaf.value, array) for leaf, array in zip(back.leaves, arrays, strict=True))


def test_encoded_containers_larger_than_a_piece_come_back(store: Store) -> None:
    agent = Holder()
    agent.value = {
        "rows": [{"id": n, "text": f"row {n}", "at": (n, n + 0.5)} for n in range(5_000)],
        "arrays": [np.full(5_000, n) for n in range(5)],
        "set": set(range(10_000)),
    }
    assert len(codec.encode(agent.value)) > 10 * PIECE_BYTES
    store.save(agent, "agent")
    assert same(store.load("agent").value, agent.value)


def test_twenty_thousand_values_come_back_and_one_change_is_one_difference(store: Store) -> None:
    agent = Wide(leaves=[Leaf() for _ in range(20_000)])
    for number, leaf in enumerate(agent.leaves):
        leaf.value = number if number % 3 else f"text {number}"  # type: ignore[attr-defined]
    first = store.save(agent, "agent")
    assert first.entries == 20_000
    agent.leaves[12_345].value = ("new",)  # type: ignore[attr-defined]
    before = _size_bytes(store)
    store.save(agent, "agent")
    assert _size_bytes(store) - before < 64 * KIB
    [change] = store.diff("agent", 1, 2)
    assert (change.path, change.after) == ("leaves.12345.value", ("new",))
    back = store.load("agent")
    assert [leaf.value for leaf in back.leaves] == [
        leaf.value  # type: ignore[attr-defined]
        for leaf in agent.leaves
    ]
    assert store.load("agent", version=1).leaves[12_345].value == "text 12345"
    assert store.verify().versions == 2


def test_unchanged_arrays_are_not_written_again(store: Store) -> None:
    rng = np.random.default_rng(1)
    agent = Matrices()
    agent.first = rng.standard_normal(1 << 17)  # 1 MiB
    agent.second = rng.standard_normal((1536, 1536))  # 18 MiB
    store.save(agent, "agent")
    assert _size_bytes(store) > 19 << 20
    before = _size_bytes(store)
    agent.step = 1
    store.save(agent, "agent")
    assert _size_bytes(store) - before < 64 * KIB
    agent.second[700, 700] += 1
    before = _size_bytes(store)
    store.save(agent, "agent")
    assert _size_bytes(store) - before < 128 * KIB
    assert same(store.load("agent").second, agent.second)
    assert [change.path for change in store.diff("agent", 1, 2)] == ["step"]
    assert [change.path for change in store.diff("agent", 2, 3)] == ["second"]


def test_equal_pieces_within_one_save_and_over_fields_come_back(store: Store) -> None:
    agent = Matrices()
    agent.first = np.zeros(100_000)
    agent.second = np.zeros(100_000)
    store.save(agent, "agent")
    agent.second = np.zeros(100_001)
    store.save(agent, "agent")
    agent.first = b"\0" * 100_000
    store.save(agent, "agent")
    assert store.load("agent").second.shape == (100_001,)
    assert same(store.load("agent", version=1).second, np.zeros(100_000))
    assert store.verify().versions == 3


def test_a_rollback_of_a_large_state_writes_next_to_nothing(store: Store) -> None:
    agent = Matrices()
    agent.first = np.random.default_rng(2).standard_normal(1 << 18)
    store.save(agent, "agent")
    agent.first = agent.first + 1
    store.save(agent, "agent")
    before = _size_bytes(store)
    store.rollback("agent", to=1)
    assert _size_bytes(store) - before < 64 * KIB
    assert same(store.load("agent").first, store.load("agent", version=1).first)


def test_many_saves_of_a_changing_value_grow_the_file_slowly(store: Store) -> None:
    agent = Wide(leaves=[Leaf() for _ in range(2_000)])
    store.save(agent, "agent")
    before = _size_bytes(store)
    for step in range(100):
        agent.leaves[step].value = step  # type: ignore[attr-defined]
        store.save(agent, "agent")
    assert _size_bytes(store) - before < 100 * 48 * KIB
    assert len(store.history("agent")) == 101


def test_pages_of_nodes_that_stay_are_filled(store: Store) -> None:
    lmdb: Any = pytest.importorskip("lmdb", reason="pages are counted with the lmdb package")
    agent = Leaf()
    for step in range(300):
        agent.value = random.Random(step).randbytes(200)
        store.save(agent, "agent", justification="x" * 200)
    folder = store.path
    store.close()
    with lmdb.open(str(folder), max_dbs=4, lock=False) as env:
        # Records of garbage, which go soon, lie before the ledger.
        for name, share in ((b"nodes", 0.8), (b"log", 0.6)):
            database = env.open_db(name, create=False)
            with env.begin(db=database) as txn:
                sizes = [len(key) + len(value) for key, value in txn.cursor()]
                # Larger ones have pages of their own.
                content = sum(size for size in sizes if size <= 2_030)
                pages = txn.stat()["leaf_pages"]
            assert content > share * pages * 4096, name


def test_a_path_of_4096_bytes_is_held_and_a_longer_one_refused(store: Store) -> None:
    def agent(length: int) -> Holder:
        made = Holder()
        setattr(made, "n" * length, Holder())
        return made

    store.save(agent(4096 - len(".value")), "fits")
    assert store.history("fits")[0].entries == 2
    with pytest.raises(StateError, match="4096"):
        store.save(agent(4097 - len(".value")), "over")
    assert store.names() == ["fits"]
