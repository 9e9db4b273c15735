"""A store against a dict: whatever is done in whatever order, both say the same."""

from __future__ import annotations

import dataclasses
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

from dachi_fast import ABSENT, Attr, BaseModule, FileWitness, KeyFile, Limits, Param, Store
from dachi_fast.errors import AlreadyExists, Conflict, SpecError, StoreError, UnknownName
from tests.stores import open_store
from tests.strategies import values
from tests.tokens import token
from tests.warm import Warm

NAMES = ("a", "b", "\u00e9 long " + "x" * 100)
TAGS = ("first", "\u00e9", "y" * 255)


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
names, choices, backs = st.sampled_from(NAMES), st.integers(0, 3), st.integers(0, 9)

State = dict[str, Any]


@dataclasses.dataclass
class Name:
    """What is saved under a name: states by number of their versions; tags; who shares its key."""

    family: int
    latest: int = 0
    states: dict[int, State] = dataclasses.field(default_factory=dict)
    tags: dict[str, int] = dataclasses.field(default_factory=dict)

    def add(self, state: State) -> int:
        """Saves one more version."""
        self.latest += 1
        self.states[self.latest] = state
        return self.latest

    def keep(self, newest: int) -> list[int]:
        """Drops all but so many of the newest and the tagged ones; gives what was dropped."""
        kept = {*sorted(self.states)[-newest:], *self.tags.values()}
        dropped = sorted(self.states.keys() - kept)
        for number in dropped:
            del self.states[number]
        return dropped


_elsewhere: Warm


class StoreMachine(RuleBasedStateMachine):
    """The model: the names with their versions, and what each object is based on."""

    operations = 0

    def __init__(self) -> None:
        super().__init__()
        StoreMachine.operations -= 1  # invariants hold before the first one, too
        self.folder = Path(tempfile.mkdtemp(prefix="dachi-store-"))
        self.model: dict[str, Name] = {}
        self.live: list[tuple[Tree, dict[str, int]]] = []
        self.entries = 1  # of the ledger
        self.families = 0

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

    def _name(self, name: str) -> Name:
        if name not in self.model:
            self.families += 1
            self.model[name] = Name(self.families)
        return self.model[name]

    def _number(self, name: str, back: int) -> int:
        """Gives a number that may be that of a version, of one that is gone, or of none."""
        return self.model[name].latest - back if name in self.model else back

    def _has(self, name: str, number: int) -> bool:
        return name in self.model and number in self.model[name].states

    def _pick(self, data: st.DataObject) -> tuple[str, int]:
        name = data.draw(st.sampled_from(sorted(self.model)))
        return name, data.draw(st.sampled_from(sorted(self.model[name].states)))

    # --- handles, objects -------------------------------------------------------------------------

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.open()

    @rule()
    def make_another_object(self) -> None:
        self.live = [*self.live[-3:], (Tree(), {})]

    @rule(choice=choices, value=states)
    def remember(self, choice: int, value: Any) -> None:
        self._object(choice)[0].memory = value

    @rule(choice=choices, parts=st.integers(0, 90), value=states)
    def change_shape(self, choice: int, parts: int, value: Any) -> None:
        tree, _ = self._object(choice)
        tree.parts = [Leaf(weight=number) for number in range(parts)]
        if parts:
            tree.parts[parts // 2].value = value  # type: ignore[attr-defined]

    # --- saves, loads -----------------------------------------------------------------------------

    @rule(choice=choices, name=names)
    def save(self, choice: int, name: str) -> None:
        tree, bases = self._object(choice)
        latest = self.model[name].latest if name in self.model else 0
        try:
            version = self.store.save(tree, name)
        except Conflict:
            assert bases.get(name, 0) != latest
        else:
            assert bases.get(name, 0) == latest
            self._saved(tree, bases, name, version.number)

    @rule(choice=choices, name=names)
    def overrule(self, choice: int, name: str) -> None:
        tree, bases = self._object(choice)
        version = self.store.save(tree, name, base="latest")
        self._saved(tree, bases, name, version.number)

    def _saved(self, tree: Tree, bases: dict[str, int], name: str, number: int) -> None:
        assert number == self._name(name).add(_tokens(tree))
        self.entries += 1
        bases[name] = number

    @rule(name=names, back=backs)
    def load(self, name: str, back: int) -> None:
        number = self._number(name, back)
        try:
            tree = self.store.load(name, version=number)
        except UnknownName:
            assert not self._has(name, number)
            return
        assert _tokens(tree) == self.model[name].states[number]
        self.live = [*self.live[-3:], (tree, {name: number})]

    @rule(choice=choices, name=names, back=backs)
    def load_into(self, choice: int, name: str, back: int) -> None:
        tree, bases = self._object(choice)
        number = self._number(name, back)
        before = token(tree.state_dict())
        try:
            self.store.load_into(tree, name, version=number)
        except (UnknownName, SpecError):
            assert not self._has(name, number)
            assert token(tree.state_dict()) == before
            return
        assert _tokens(tree) == self.model[name].states[number]
        bases[name] = number

    # --- versions ---------------------------------------------------------------------------------

    @rule(name=names, back=backs, choice=st.none() | choices)
    def roll_back(self, name: str, back: int, choice: int | None) -> None:
        number = self._number(name, back)
        into, bases = (None, {}) if choice is None else self._object(choice)
        try:
            version = self.store.rollback(name, to=number, into=into)
        except UnknownName:
            assert not self._has(name, number)
            return
        state = self.model[name].states[number]
        assert (version.number, version.restores) == (self.model[name].add(state), number)
        self.entries += 1
        bases[name] = version.number
        if into is not None:
            assert _tokens(into) == state

    @precondition(lambda self: self.model)
    @rule(data=st.data(), to=names, how=st.sampled_from(["fork", "copy"]))
    def branch_off(self, data: st.DataObject, to: str, how: str) -> None:
        name, number = self._pick(data)
        try:
            if how == "fork":
                version = self.store.fork(name, to, version=number)
            else:
                version = self.store.copy(name, to=to, version=number)
        except AlreadyExists:
            assert to in self.model
            return
        assert to not in self.model
        assert (version.number, version.source) == (1, (name, number))
        if how == "fork":
            self.model[to] = Name(self.model[name].family)
        self._name(to).add(self.model[name].states[number])
        self.entries += 1

    @precondition(lambda self: self.model)
    @rule(data=st.data(), tag=st.sampled_from(TAGS))
    def tag(self, data: st.DataObject, tag: str) -> None:
        name, number = self._pick(data)
        taken = any(tag in self.model[other].tags for other in self._family(name))
        try:
            self.store.tag(name, version=number, tag=tag)
        except AlreadyExists:
            assert taken
            return
        assert not taken
        self.model[name].tags[tag] = number
        self.entries += 1
        assert _tokens(self.store.load(name, version=tag)) == self.model[name].states[number]

    @precondition(lambda self: self.model)
    @rule(data=st.data(), tag=st.sampled_from(TAGS))
    def untag(self, data: st.DataObject, tag: str) -> None:
        name, _ = self._pick(data)
        try:
            self.store.untag(name, tag=tag)
        except UnknownName:
            assert tag not in self.model[name].tags
            return
        del self.model[name].tags[tag]
        self.entries += 1

    @rule(newest=st.integers(1, 4))
    def prune(self, newest: int) -> None:
        self.store.close()
        keys, witness = KeyFile(self.folder / "key"), FileWitness(self.folder / "witness")
        where, limits = self.folder / "store", Limits(versions=newest, days=0)
        with Store.open(
            where, keys=keys, witness=witness, limits=limits, audit_reads="off"
        ) as store:
            found = {pruned.name: list(pruned.versions) for pruned in store.prune()}
        expected = {name: saved.keep(newest) for name, saved in self.model.items()}
        assert found == expected
        self.entries += sum(map(bool, expected.values()))
        self.open()

    # --- keys -------------------------------------------------------------------------------------

    def _family(self, name: str) -> list[str]:
        """Gives the names that share its key, itself among them."""
        family = self.model[name].family
        return sorted(other for other, saved in self.model.items() if saved.family == family)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), forks=st.sampled_from(["refuse", "forget"]))
    def forget(self, data: st.DataObject, forks: Any) -> None:
        name, _ = self._pick(data)
        family = self._family(name)
        if forks == "refuse" and len(family) > 1:
            with pytest.raises(StoreError, match="fork") as refused:
                self.store.forget(name)
            assert refused.value.code == "has-forks"
            return
        forgotten = self.store.forget(name, forks=forks)
        assert (sorted(forgotten.names), forgotten.key_replaced) == (family, True)
        for gone in family:
            del self.model[gone]
            for _, bases in self.live:
                bases.pop(gone, None)
        self.entries += 2  # what was asked for, and that the keys are gone

    @rule()
    def rotate(self) -> None:
        self.store.rotate_now()
        self.entries += 1

    # --- comparisons ------------------------------------------------------------------------------

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def compare(self, data: st.DataObject) -> None:
        name, a = self._pick(data)
        b = data.draw(st.sampled_from(sorted(self.model[name].states)))
        before, after = self.model[name].states[a], self.model[name].states[b]
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

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def ask_in_another_process(self, data: st.DataObject) -> None:
        name, _ = self._pick(data)
        saved = self.model[name]
        assert _elsewhere.call("ask", str(self.folder), name) == [
            sorted(self.model),
            saved.latest,
            repr(saved.states[saved.latest]),
        ]

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def roll_back_in_another_process(self, data: st.DataObject) -> None:
        name, number = self._pick(data)
        saved = self.model[name]
        made = _elsewhere.call("roll_back", str(self.folder), name, number)
        assert made == saved.add(saved.states[number])
        self.entries += 1

    @rule()
    def verify(self) -> None:
        report = self.store.verify()
        assert report.ledger_entries == self.entries
        assert report.versions == sum(len(saved.states) for saved in self.model.values())

    @invariant()
    def count(self) -> None:
        StoreMachine.operations += 1

    @invariant()
    def names_and_histories_agree(self) -> None:
        if not hasattr(self, "store"):
            return
        assert self.store.names() == sorted(self.model)
        for name, saved in self.model.items():
            history = self.store.history(name)
            assert [version.number for version in history] == sorted(saved.states, reverse=True)
            assert {tag: v.number for v in history for tag in v.tags} == saved.tags
            # The older ones were compared when each was the newest.
            newest = history[0]
            for older in history:
                equal = saved.states[newest.number] == saved.states[older.number]
                assert (newest.root == older.root) == equal


def _tokens(tree: BaseModule) -> State:
    return {path: token(value) for path, value in tree.state_dict().items()}


@pytest.mark.timeout(600)
def test_a_store_says_what_a_dict_says() -> None:
    # Hypothesis makes the machines, and gives them nothing.
    global _elsewhere
    StoreMachine.operations = 0
    some = settings(
        max_examples=65, stateful_step_count=100, suppress_health_check=list(HealthCheck)
    )
    with Warm("tests.test_store_properties") as _elsewhere:
        while StoreMachine.operations < 10_000:
            run_state_machine_as_test(StoreMachine, settings=some)
