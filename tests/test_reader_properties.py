"""Whatever the core writes, the reader that knows only docs/format.md gives the same of it."""

from __future__ import annotations

import datetime
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dachi_fast import Attr, BaseModule, KeyFile, Limits, Param, Shared, Store, shared_name
from dachi_fast import Version as Saved
from dachi_fast.errors import UnknownName
from dachi_fast.reader import KeyFile as Key
from dachi_fast.reader import StoreReader, Version
from tests.oracles.reading import described
from tests.strategies import values

NAMES = st.sampled_from(["a", "b", "\u00e9" * 40, "c/d"])
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
FEW = Limits(versions=3, days=0)

Do = Callable[[Store], object]


class Part(BaseModule):
    weight: int = Param(default=0)
    value: Any = Attr(default=None)


class Tree(BaseModule):
    parts: list[BaseModule] = Param(default_factory=list)
    memory: Any = Attr(default=None)
    board: dict[str, int] = Shared(default_factory=dict)


def tree(memory: Any, parts: int) -> Tree:
    made = Tree(parts=[Part(weight=number) for number in range(parts)])
    made.memory = memory
    return made


large = st.builds(
    lambda count, dtype, seed: np.random.default_rng(seed).integers(0, 100, count).astype(dtype),
    st.sampled_from([600, 5_000, 70_000]),
    st.sampled_from(["<i8", ">f4", "?"]),
    st.integers(0, 9),
) | st.builds(
    lambda count, seed: np.random.default_rng(seed).bytes(count).hex(),
    st.sampled_from([256, 257, 8_200, 60_000]),
    st.integers(0, 9),
)
trees = st.builds(tree, values | large, st.sampled_from([0, 1, 3, 150, 600]))


def _shared(board: dict[str, int]) -> Do:
    def do(store: Store) -> None:
        Tree.board.clear()
        Tree.board.update(board)
        store.save_shared(Tree, base="latest")

    return do


def _if_there(do: Callable[[Store, str], object], name: str) -> Do:
    return lambda store: do(store, name) if name in store.names() else None


def _saved(name: str, made: Tree) -> Do:
    return lambda store: store.save(made, name, base="latest", justification=f"\u2028 {name}")


def _forked(store: Store, name: str) -> object:
    return store.fork(name, f"fork {len(store.names())}")


def _copied(store: Store, name: str) -> object:
    return store.copy(name, to=f"copy {len(store.names())}")


def _tagged(store: Store, name: str) -> object:
    return store.tag(name, tag=f"tag {len(store.ledger(limit=10_000))}")


def _untagged(store: Store, name: str) -> None:
    for tag in store.history(name)[0].tags:
        store.untag(name, tag=tag)


def _rolled_back(store: Store, name: str) -> object:
    return store.rollback(name, to=store.history(name)[-1].number)


operations = (
    st.builds(_saved, NAMES, trees)
    | st.builds(_saved, NAMES, trees)
    | st.builds(
        _if_there,
        st.sampled_from(
            [
                _forked,
                _copied,
                _tagged,
                _untagged,
                _rolled_back,
                lambda store, name: store.prune(name),
                lambda store, name: store.forget(name, forks="forget", justification="asked to"),
            ]
        ),
        NAMES,
    )
    | st.builds(_shared, st.dictionaries(st.text(max_size=3), st.integers()))
    | st.just(lambda store: store.rotate_now())
    | st.just(lambda store: store.compact())
)


def _saved_version(version: Saved) -> list[object]:
    created_us = (version.created - EPOCH) // datetime.timedelta(microseconds=1)
    numbers = [version.base or 0, version.restores or 0, version.written_bytes, version.entries]
    said = [version.source, version.tags, version.justification, version.root]
    return [version.number, created_us, *numbers, *said]


def _read_version(version: Version) -> list[object]:
    entries = version.state.entries if version.state else 0
    numbers = [version.base, version.restores, version.written_bytes, entries]
    said = [version.source, version.tags, version.justification, version.root]
    return [version.number, version.created_ns // 1000, *numbers, *said]


def _shared_names(store: Store) -> list[str]:
    """Gives the name of the class's Shared values, if they were saved."""
    try:
        store.load_shared(Tree)
    except UnknownName:
        return []
    return [shared_name(Tree)]


def _state(state: dict[str, Any]) -> dict[str, Any]:
    return {path: described(value) for path, value in state.items()}


@settings(
    max_examples=30,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
    ],
)
@given(st.lists(operations, min_size=1, max_size=12))
def test_the_reader_gives_what_the_core_gives(todo: list[Do]) -> None:
    with tempfile.TemporaryDirectory(prefix="dachi-reader-") as made:
        folder, exported = Path(made), io.StringIO()
        keys = KeyFile(folder / "key")
        with Store.open(
            folder / "store", keys=keys, witness=None, limits=FEW, audit_reads="off"
        ) as store:
            for do in todo:
                do(store)
            names, shared = store.names(), _shared_names(store)
            histories = {name: store.history(name)[::-1] for name in [*names, *shared]}
            fingerprints = {
                name: [store.fingerprint(name, version=version.number) for version in history]
                for name, history in histories.items()
            }
            states = {
                (name, version.number): _state(
                    store.load(name, version=version.number).state_dict()
                )
                for name in names
                for version in histories[name]
            }
            store.export(exported)
            proved = store.verify()
        with StoreReader(folder / "store", key=Key(folder / "key")) as reader:
            assert (reader.names(), reader.shared_names()) == (names, shared)
            for name in shared:
                assert reader.state(name) == {"board": Tree.board}
            for name, history in histories.items():
                read = reader.versions(name)
                assert [*map(_read_version, read)] == [*map(_saved_version, history)]
                assert [version.fingerprint for version in read] == fingerprints[name]
            for (name, number), state in states.items():
                assert _state(reader.state(name, number)) == state
                assert reader.blueprint(name, number)["kind"] == f"{__name__}:Tree"
                assert f"{__name__}:Tree" in reader.classes(name, number)
            assert list(reader.ledger()) == exported.getvalue().split("\n")[1:-2]
            report = reader.verify()
            assert (report.names, report.versions) == (proved.names, proved.versions)
            assert (report.entries, report.nodes) == (proved.ledger_entries, proved.nodes)
            assert report.unused_nodes == proved.unused_nodes
