"""A store against a dict: whatever is done in whatever order, both say the same."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from dachi_fast import ABSENT, Attr, BaseModule, Param
from dachi_fast.errors import Conflict, SpecError, UnknownName
from tests.stores import open_store
from tests.strategies import values
from tests.tokens import token
from tests.warm import Warm

NAMES = ("a", "b", "\u00e9 long " + "x" * 100)


class Leaf(BaseModule):
    value: Any = Attr(default=None)
    weight: int = Param(default=0)


class Tree(BaseModule):
    parts: list[BaseModule] = Param(default_factory=list)
    memory: Any = Attr(default=None)


def ask(folder: str, name: str) -> list[Any]:
    """Gives what a second handle in another process says of a name."""
    with open_store(Path(folder)) as store:
        state = store.load(name).state_dict()
        said = repr({path: token(value) for path, value in state.items()})
        return [store.names(), store.history(name)[0].number, said]


def roll_back(folder: str, name: str, to: int) -> int:
    """Rolls back through a second handle in another process."""
    with open_store(Path(folder)) as store:
        return store.rollback(name, to=to).number


states = (
    values
    | st.builds(
        lambda size, seed: np.random.default_rng(seed).integers(0, 9, size),
        st.integers(0, 20_000),
        st.integers(0, 3),
    )
    | st.builds(lambda size: "x" * size, st.sampled_from([511, 512, 513, 16_255, 16_257, 40_000]))
)


_elsewhere: Warm


class StoreMachine(RuleBasedStateMachine):
    """The model: the flat states of each name's versions, and what each object is based on."""

    operations = 0

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="dachi-store-"))
        self.model: dict[str, list[dict[str, Any]]] = {}
        self.live: list[tuple[Tree, dict[str, int]]] = []
        self.commits = 1

    @initialize()
    def open(self) -> None:
        self.store = open_store(self.folder)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
        shutil.rmtree(self.folder)

    def _object(self, choice: int) -> tuple[Tree, dict[str, int]]:
        if not self.live:
            self.live.append((Tree(), {}))
        return self.live[choice % len(self.live)]

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.open()

    @rule()
    def make_another_object(self) -> None:
        self.live = [*self.live[-3:], (Tree(), {})]

    @rule(choice=st.integers(0, 3), value=states)
    def remember(self, choice: int, value: Any) -> None:
        self._object(choice)[0].memory = value

    @rule(choice=st.integers(0, 3), parts=st.integers(0, 90), value=states)
    def change_shape(self, choice: int, parts: int, value: Any) -> None:
        tree, _ = self._object(choice)
        tree.parts = [Leaf(weight=number) for number in range(parts)]
        if parts:
            tree.parts[parts // 2].value = value  # type: ignore[attr-defined]

    @rule(choice=st.integers(0, 3), name=st.sampled_from(NAMES))
    def save(self, choice: int, name: str) -> None:
        tree, bases = self._object(choice)
        versions = self.model.setdefault(name, [])
        try:
            version = self.store.save(tree, name)
        except Conflict:
            assert bases.get(name, 0) != len(versions)
        else:
            assert bases.get(name, 0) == len(versions)
            self._saved(tree, bases, name, version.number)

    @rule(choice=st.integers(0, 3), name=st.sampled_from(NAMES))
    def overrule(self, choice: int, name: str) -> None:
        tree, bases = self._object(choice)
        self.model.setdefault(name, [])
        version = self.store.save(tree, name, base="latest")
        self._saved(tree, bases, name, version.number)

    def _saved(self, tree: Tree, bases: dict[str, int], name: str, number: int) -> None:
        self.model[name].append({path: token(v) for path, v in tree.state_dict().items()})
        self.commits += 1
        assert number == len(self.model[name])
        bases[name] = number

    @rule(name=st.sampled_from(NAMES), back=st.integers(0, 9))
    def load(self, name: str, back: int) -> None:
        versions = self.model.get(name, [])
        number = len(versions) - back
        try:
            tree = self.store.load(name, version=number)
        except UnknownName:
            assert not 1 <= number <= len(versions)
            return
        state = {path: token(value) for path, value in tree.state_dict().items()}
        assert state == versions[number - 1]
        self.live = [*self.live[-3:], (tree, {name: number})]

    @rule(choice=st.integers(0, 3), name=st.sampled_from(NAMES), back=st.integers(0, 9))
    def load_into(self, choice: int, name: str, back: int) -> None:
        tree, bases = self._object(choice)
        versions = self.model.get(name, [])
        number = len(versions) - back
        before = token(tree.state_dict())
        try:
            self.store.load_into(tree, name, version=number)
        except (UnknownName, SpecError):
            assert not 1 <= number <= len(versions)
            assert token(tree.state_dict()) == before
            return
        assert {p: token(v) for p, v in tree.state_dict().items()} == versions[number - 1]
        bases[name] = number

    @rule(name=st.sampled_from(NAMES), back=st.integers(0, 9), choice=st.none() | st.integers(0, 3))
    def roll_back(self, name: str, back: int, choice: int | None) -> None:
        versions = self.model.get(name, [])
        number = len(versions) - back
        into, bases = (None, {}) if choice is None else self._object(choice)
        try:
            version = self.store.rollback(name, to=number, into=into)
        except UnknownName:
            assert not 1 <= number <= len(versions)
            return
        versions.append(versions[number - 1])
        self.commits += 1
        assert (version.number, version.restores) == (len(versions), number)
        bases[name] = version.number
        if into is not None:
            assert {p: token(v) for p, v in into.state_dict().items()} == versions[-1]

    @precondition(lambda self: any(self.model.values()))
    @rule(data=st.data())
    def compare(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([name for name in NAMES if self.model.get(name)]))
        versions = self.model[name]
        numbers = st.integers(1, len(versions))
        a, b = data.draw(numbers), data.draw(numbers)
        before, after = versions[a - 1], versions[b - 1]
        expected = {
            path: (before.get(path), after.get(path))
            for path in before.keys() | after.keys()
            if before.get(path) != after.get(path)
        }
        changes = self.store.diff(name, a, b)
        assert [change.path for change in changes] == sorted(expected, key=str.encode)
        for change in changes:
            sides = zip((change.before, change.after), expected[change.path], strict=True)
            assert all(known == (None if v is ABSENT else token(v)) for v, known in sides)

    @precondition(lambda self: any(self.model.values()))
    @rule(data=st.data())
    def ask_in_another_process(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([name for name in NAMES if self.model.get(name)]))
        assert _elsewhere.call("ask", str(self.folder), name) == [
            sorted(name for name, versions in self.model.items() if versions),
            len(self.model[name]),
            repr(self.model[name][-1]),
        ]

    @precondition(lambda self: any(self.model.values()))
    @rule(data=st.data())
    def roll_back_in_another_process(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([name for name in NAMES if self.model.get(name)]))
        versions = self.model[name]
        number = data.draw(st.integers(1, len(versions)))
        versions.append(versions[number - 1])
        self.commits += 1
        made = _elsewhere.call("roll_back", str(self.folder), name, number)
        assert made == len(versions)

    @rule()
    def verify(self) -> None:
        report = self.store.verify()
        assert report.ledger_entries == self.commits
        assert report.versions == sum(map(len, self.model.values()))

    @invariant()
    def count(self) -> None:
        StoreMachine.operations += 1

    @invariant()
    def names_and_histories_agree(self) -> None:
        if not hasattr(self, "store"):
            return
        saved = {name: versions for name, versions in self.model.items() if versions}
        assert self.store.names() == sorted(saved)
        for name, versions in saved.items():
            history = self.store.history(name)
            assert [version.number for version in history] == list(range(len(versions), 0, -1))
            # The older ones were compared when each was the newest.
            newest = history[0]
            for older in history:
                equal = versions[newest.number - 1] == versions[older.number - 1]
                if _shape(versions, newest.number) == _shape(versions, older.number):
                    assert (newest.root == older.root) == equal


def _shape(versions: list[dict[str, Any]], number: int) -> list[str]:
    return list(versions[number - 1])


@pytest.mark.timeout(600)
def test_a_store_says_what_a_dict_says() -> None:
    # Hypothesis makes the machines, and gives them nothing.
    global _elsewhere
    with Warm("tests.test_store_properties") as _elsewhere:
        run_state_machine_as_test(
            StoreMachine,
            settings=settings(
                max_examples=140,
                stateful_step_count=100,
                suppress_health_check=list(HealthCheck),
            ),
        )
    # One more than operations in each example.
    assert StoreMachine.operations >= 10_000
