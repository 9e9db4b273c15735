"""States read where their classes are not known."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dachi_fast import ABSENT, Attr, BaseModule, KeyFile, Opaque, Store, registry
from dachi_fast.errors import Malformed, StateTypeError, UnknownName
from dachi_fast.opaque import shown
from dachi_fast.values import lower
from tests.samples import Level, Mood, Pair, Point, Right

# What the store holds, as a process wrote it whose classes this one never sees.
_WRITER = """
import dataclasses, enum, sys
from typing import Any, NamedTuple
import pydantic
from dachi_fast import Attr, BaseModule, KeyFile, Param, Store, registry

@registry.value
@dataclasses.dataclass(frozen=True)
class Visit:
    place: str
    times: int = 1

@registry.value
class Colour(enum.Enum):
    RED = 1

@registry.value
class Access(enum.Flag):
    READ = 1
    WRITE = 2

@registry.value
class Pair(NamedTuple):
    a: int
    b: int

class Note(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    text: str

registry.value(Note)

class Money:
    def __init__(self, cents): self.cents = cents

registry.converter(Money, "money", to=lambda m: m.cents, back=Money)

class Tool(BaseModule):
    size: int = Param(default=3)
    uses: int = Attr(default=0)

class Agent(BaseModule):
    word: str
    tool: Tool
    seen: Any = Attr(default=None)

agent = Agent(word="the", tool=Tool())
with Store.open(sys.argv[1] + "/store", keys=KeyFile(sys.argv[1] + "/key")) as store:
    agent.seen = Visit("Paris")
    store.save(agent, "agent")
    agent.seen = {
        Visit("Rome", 2): [Colour.RED, Access.READ | Access.WRITE],
        "set": {Visit("Oslo"), Visit("Bern")},
        "pair": Pair(1, 2),
        "note": Note(text="hi", more=1),
        "money": Money(5),
        "tool": Tool(size=9),
    }
    agent.tool.uses = 1
    store.save(agent, "agent")
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    script = folder / "writer.py"
    script.write_text(textwrap.dedent(_WRITER))
    subprocess.run([sys.executable, script, folder], check=True)
    return folder


@pytest.fixture
def store(written: Path) -> Iterator[Store]:
    keys = KeyFile(written / "key")
    with Store.open(written / "store", keys=keys, witness=None) as store:
        yield store


def test_a_state_is_read_without_its_classes(store: Store) -> None:
    state = store.state("agent", version=1)
    assert list(state) == ["seen", "tool.size", "tool.uses"]
    assert state["seen"] == Opaque("__main__:Visit", {"place": "Paris", "times": 1})
    assert (state["tool.size"], state["tool.uses"]) == (3, 0)


def test_every_kind_of_value_that_is_not_known_shows_its_kind_and_fields(store: Store) -> None:
    seen = store.state("agent", under="seen")["seen"]
    visit, listed = next(iter(seen.items()))
    assert visit == Opaque("__main__:Visit", {"place": "Rome", "times": 2})
    assert listed == [
        Opaque("__main__:Colour", {"name": "RED"}),
        Opaque("__main__:Access", {"value": 3}),
    ]
    assert {value.fields["place"] for value in seen["set"]} == {"Oslo", "Bern"}
    assert seen["pair"] == Opaque("__main__:Pair", {"a": 1, "b": 2})
    assert seen["note"] == Opaque("__main__:Note", {"text": "hi", "more": 1})
    assert seen["money"] == Opaque("money", {"value": 5})
    assert seen["tool"] == Opaque("__main__:Tool", {"size": 9, "uses": 0})


def test_a_difference_shows_what_is_not_known(store: Store) -> None:
    changes = {change.path: change for change in store.diff("agent", 1, 2)}
    assert set(changes) == {"seen", "tool.uses"}
    assert changes["seen"].before == Opaque("__main__:Visit", {"place": "Paris", "times": 1})


def test_a_blueprint_is_read_without_its_classes(store: Store) -> None:
    blueprint = store.blueprint("agent")
    assert (blueprint["kind"], blueprint["word"]) == ("__main__:Agent", "the")
    assert blueprint["tool"]["kind"] == "__main__:Tool"


def test_loading_what_is_not_known_is_still_refused(store: Store) -> None:
    with pytest.raises(StateTypeError, match="no such class is registered"):
        store.load("agent")


def test_reads_of_states_and_blueprints_are_entries_of_the_ledger(store: Store) -> None:
    store.state("agent", version=1)
    store.blueprint("agent")
    store.state("agent", under="seen")
    store.tag("agent", tag="so that the reads are written")
    reads = [entry for entry in store.ledger(limit=4) if entry.operation == "retrieve"]
    assert [(entry.memory_type, entry.version) for entry in reads] == [
        ("state", 2),
        ("blueprint", 2),
        ("state", 1),
    ]


async def test_states_and_blueprints_are_read_off_the_loop(store: Store) -> None:
    assert await store.astate("agent", version=1) == store.state("agent", version=1)
    assert await store.ablueprint("agent") == store.blueprint("agent")


# --- a part of a state ----------------------------------------------------------------------------


class Leaf(BaseModule):
    value: Any = Attr(default=0)


class Tree(BaseModule):
    a: Leaf
    ab: Leaf
    b: int = Attr(default=1)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        yield store


def test_a_part_of_a_state_is_a_path_and_what_lies_below_it(own: Store) -> None:
    tree = Tree(a=Leaf(), ab=Leaf())
    tree.a.value = np.arange(10_000.0)
    own.save(tree, "tree")
    assert list(own.state("tree", under="a")) == ["a.value"]
    np.testing.assert_array_equal(own.state("tree", under="a.value")["a.value"], tree.a.value)
    assert own.state("tree", under="b") == {"b": 1}
    assert own.state("tree", under="a.v") == {}
    assert own.state("tree", under="zzz") == {}
    assert list(own.state("tree")) == ["a.value", "ab.value", "b"]


def test_values_of_known_classes_are_what_was_saved(own: Store) -> None:
    values = [Point(1, (2, 3)), Mood.TENSE, Level.HIGH, Right.READ | Right.WRITE]
    leaf = Leaf()
    leaf.value = values
    own.save(leaf, "leaf")
    assert own.state("leaf") == {"value": values}


def test_an_agent_without_state_has_an_empty_one(own: Store) -> None:
    own.save(BaseModule(), "bare")
    assert own.state("bare") == own.state("bare", under="x") == {}


def test_an_unknown_name_has_no_state(own: Store) -> None:
    with pytest.raises(UnknownName):
        own.state("nobody")
    with pytest.raises(UnknownName):
        own.blueprint("nobody")


# --- the value itself -----------------------------------------------------------------------------


def test_opaque_values_are_equal_by_kind_and_fields() -> None:
    assert Opaque("m:A", {"x": 1}) == Opaque("m:A", {"x": 1})
    assert Opaque("m:A", {"x": 1}) != Opaque("m:A", {"x": 2})
    assert Opaque("m:A", {"x": 1}) != Opaque("m:B", {"x": 1})
    assert Opaque("m:A", {}) != ABSENT
    assert hash(Opaque("m:A", {"x": []})) == hash(Opaque("m:A", {"x": []}))


def test_opaque_values_that_hold_arrays_can_be_elements_of_one_set() -> None:
    one, two = (Opaque("m:A", {"x": np.zeros(2)}) for _ in range(2))
    assert len({one, two}) == 2


def test_an_opaque_value_says_what_it_stands_for() -> None:
    assert repr(Opaque("m:A", {"x": 1})) == "Opaque('m:A', {'x': 1})"


def test_an_opaque_value_is_not_saved(own: Store) -> None:
    leaf = Leaf()
    leaf.value = Opaque("m:A", {})
    with pytest.raises(StateTypeError):
        own.save(leaf, "leaf")


def test_a_time_zone_that_this_machine_lacks_is_shown() -> None:
    payload = [2026, 11, 22, 7, 0, 0, 0, 0, "Mars/Olympus"]
    value = shown("datetime", payload)
    assert isinstance(value, Opaque)
    assert (value.kind, value.fields["8"]) == ("datetime", "Mars/Olympus")


def test_what_is_malformed_is_not_shown() -> None:
    with pytest.raises(Malformed):
        shown("nonsense", [])
    with pytest.raises(Malformed):
        shown("decimal", "x")


class _Fussy:
    pass


registry.converter(_Fussy, "fussy", to=lambda _: 0, back=lambda part: _Fussy(part + 1))  # type: ignore[call-arg]


def test_what_does_not_take_an_unknown_part_is_opaque_as_a_whole() -> None:
    part = Opaque("m:Gone", {})
    assert shown("foreign", ["fussy", part]) == Opaque("fussy", {"value": part})


def test_a_value_of_a_newer_class_is_opaque() -> None:
    [name, version, fields] = lower(Pair(1, 2))[1]  # type: ignore[index, misc]
    assert shown("namedtuple", [name, version, fields]) == Pair(1, 2)
    assert shown("namedtuple", [name, version + 1, fields]) == Opaque(name, fields)
