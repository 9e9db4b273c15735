"""Saving, loading, comparing and rolling back agents in a store."""

from __future__ import annotations

import datetime
import gc
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dachi_fast import ABSENT, AdaptModule, Attr, BaseModule, Change, KeyFile, Param, Store
from dachi_fast.errors import (
    Conflict,
    SpecError,
    StateError,
    UnknownName,
)
from tests.samples import Holder
from tests.tokens import same


class Counter(BaseModule):
    step: int = Param(default=1)
    count: int = Attr(default=0)


class Team(BaseModule):
    label: str
    members: list[BaseModule] = Param(default_factory=list)
    notes: dict[str, Any] = Attr(default_factory=dict)


class Needy(BaseModule):
    weight: Param[int]
    parts: list[BaseModule] = Param(default_factory=list)


class StoredFlow(BaseModule):
    step: AdaptModule[Needy] = Param()


class Picky(BaseModule):
    number: int = Attr(default=0)


def _saved(store: Store, *counts: int, name: str = "agent") -> Counter:
    counter = Counter()
    for count in counts:
        counter.count = count
        store.save(counter, name, justification=f"counted to {count}")
    return counter


# --- versions and bases ---------------------------------------------------------------------------


def test_versions_count_from_one_and_say_what_they_follow(store: Store) -> None:
    before = datetime.datetime.now(datetime.UTC)
    _saved(store, 5, 6, 7)
    versions = store.history("agent")
    after = datetime.datetime.now(datetime.UTC)
    assert [version.number for version in versions] == [3, 2, 1]
    assert [version.base for version in versions] == [2, 1, None]
    assert versions[0].justification == "counted to 7"
    assert before - datetime.timedelta(milliseconds=1) <= versions[-1].created
    assert versions[-1].created <= versions[0].created <= after
    assert {version.restores for version in versions} == {None}
    assert {version.entries for version in versions} == {2}
    assert store.history("agent", limit=2) == versions[:2]
    assert store.history("agent", limit=0) == store.history("agent", limit=-1) == []
    assert store.history("agent", limit=99) == versions


def test_every_version_can_be_loaded(store: Store) -> None:
    _saved(store, 5, 6, 7)
    assert [store.load("agent", version=number).count for number in (1, 2, 3)] == [5, 6, 7]
    assert store.load("agent").count == 7
    assert store.load("agent", version=None).count == 7


@pytest.mark.parametrize("version", [0, 4, -1, 2**63, 2**64, 2**70])
def test_a_version_that_is_not_there_is_unknown(store: Store, version: int) -> None:
    _saved(store, 5, 6, 7)
    with pytest.raises(UnknownName) as caught:
        store.load("agent", version=version)
    assert caught.value.code == "unknown-version"
    assert isinstance(caught.value, KeyError)
    assert store.load("agent", version=version, default="none") == "none"
    for ask in (
        lambda: store.load_into(Counter(), "agent", version=version),
        lambda: store.rollback("agent", to=version),
        lambda: store.diff("agent", 1, version),
        lambda: store.diff("agent", version, 1),
    ):
        with pytest.raises(UnknownName):
            ask()
    assert len(store.history("agent")) == 3


def test_a_name_that_is_not_there_is_unknown_unless_there_is_a_default(store: Store) -> None:
    for ask in (
        lambda: store.load("nobody"),
        lambda: store.load_into(Counter(), "nobody"),
        lambda: store.history("nobody"),
        lambda: store.diff("nobody", 1, 1),
        lambda: store.rollback("nobody", to=1),
    ):
        with pytest.raises(UnknownName, match="nobody"):
            ask()
    assert store.load("nobody", default=None) is None
    assert store.names() == []


def test_an_object_goes_on_from_where_it_was_saved_or_loaded(store: Store) -> None:
    first = _saved(store, 1)
    second = store.load("agent")
    second.count = 2
    assert store.save(second, "agent").number == 2
    with pytest.raises(Conflict, match="came from version 1") as caught:
        store.save(first, "agent")
    assert caught.value.code == "conflict"
    assert caught.value.context["latest"] == 2
    store.load_into(first, "agent")
    first.count += 1
    assert store.save(first, "agent").number == 3
    assert [store.load("agent", version=n).count for n in (1, 2, 3)] == [1, 2, 3]


def test_a_stranger_over_an_existing_name_is_a_conflict_that_names_the_ways_on(
    store: Store,
) -> None:
    _saved(store, 1)
    with pytest.raises(Conflict, match='base="latest"'):
        store.save(Counter(), "agent")
    assert len(store.history("agent")) == 1
    assert store.save(Counter(), "agent", base="latest").number == 2
    assert store.save(Counter(), "agent", base=2).number == 3


@pytest.mark.parametrize("base", [0, 1, 3, 2**64 - 1])
def test_a_base_that_is_not_the_latest_is_a_conflict(store: Store, base: int) -> None:
    counter = _saved(store, 1, 2)
    with pytest.raises(Conflict):
        store.save(counter, "agent", base=base)
    assert len(store.history("agent")) == 2


@pytest.mark.parametrize("base", [-1, 2**64, "newest", None, 1.0])
def test_a_base_that_is_no_base_is_named(store: Store, base: Any) -> None:
    counter = _saved(store, 1)
    with pytest.raises(ValueError, match="'auto' or 'latest'"):
        store.save(counter, "agent", base=base)


def test_a_first_save_that_conflicts_leaves_no_name_behind(store: Store) -> None:
    with pytest.raises(Conflict):
        store.save(Counter(), "agent", base=7)
    assert store.names() == []
    with pytest.raises(UnknownName):
        store.history("agent")
    assert store.save(Counter(), "agent").number == 1


def test_an_object_goes_on_when_its_store_was_closed_and_opened_again(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "key")
    counter = Counter()
    for count in range(3):
        with Store.open(tmp_path / "store", keys=keys) as store:
            counter.count = count
            assert store.save(counter, "agent").number == count + 1
    shutil.copytree(tmp_path / "store", tmp_path / "copy")
    with Store.open(tmp_path / "copy", keys=keys, witness=None) as copy, pytest.raises(Conflict):
        copy.save(counter, "agent")


def test_an_object_is_tracked_by_itself_and_not_by_its_address(store: Store) -> None:
    _saved(store, 1)
    gc.collect()
    strangers = [Counter() for _ in range(100)]  # one of them may lie where the first lay
    for stranger in strangers:
        with pytest.raises(Conflict):
            store.save(stranger, "agent")


def test_one_object_may_have_several_names(store: Store) -> None:
    counter = _saved(store, 1)
    assert store.save(counter, "copy").number == 1
    counter.count = 2
    assert store.save(counter, "agent").number == 2
    assert store.save(counter, "copy").number == 2
    assert store.names() == ["agent", "copy"]


def test_equal_states_have_equal_roots(store: Store) -> None:
    roots = [version.root for version in (_saved(store, 1, 2, 1), store.history("agent"))[1]]
    assert roots[0] == roots[2] != roots[1]


# --- loading into ---------------------------------------------------------------------------------


def test_loading_into_an_agent_of_the_same_structure_keeps_its_modules(store: Store) -> None:
    team = Team(label="a", members=[Counter(), Counter()])
    team.members[1].count = 9  # type: ignore[attr-defined]
    store.save(team, "team")
    members = list(team.members)
    team.members[1].count = 0  # type: ignore[attr-defined]
    assert store.load_into(team, "team") is team
    assert all(a is b for a, b in zip(team.members, members, strict=True))
    assert team.members[1].count == 9  # type: ignore[attr-defined]


def test_loading_into_an_agent_of_another_structure_rebuilds_it(store: Store) -> None:
    team = Team(label="a", members=[Counter(step=2), Team(label="in", members=[Counter(step=4)])])
    store.save(team, "team")
    other = Team(label="b", members=[Counter()])
    store.load_into(other, "team")
    assert same(other.state_dict(), team.state_dict())
    inner: Any = other.members[1]
    assert (inner.label, inner.members[0].step) == ("in", 4)
    assert store.save(other, "team").number == 2


def test_a_load_that_fails_changes_nothing(store: Store) -> None:
    agent = Holder()
    agent.value = 5
    store.save(agent, "holder")
    with pytest.raises(SpecError, match="does not load into"):
        store.load_into(Counter(), "holder")
    picky = Picky()
    store.save(picky, "picky")
    picky.number = "text"  # type: ignore[assignment]
    store.save(picky, "picky")
    fresh = Picky()
    fresh.number = 3
    with pytest.raises(StateError):
        store.load_into(fresh, "picky")
    assert fresh.number == 3
    with pytest.raises(Conflict):
        store.save(fresh, "picky")


def test_what_was_loaded_shares_nothing_with_what_was_saved(store: Store) -> None:
    agent = Holder()
    agent.value = {"list": [1], "array": np.zeros(3)}
    store.save(agent, "agent")
    first, second = store.load("agent"), store.load("agent")
    first.value["list"].append(2)
    first.value["array"][:] = 1
    assert second.value["list"] == [1]
    assert second.value["array"].tolist() == agent.value["array"].tolist() == [0, 0, 0]


def test_what_an_adapt_module_holds_comes_back_though_its_params_have_no_defaults(
    store: Store,
) -> None:
    """Symptom: a load failed on a missing field. Cause: the held module's Params were looked up
    under the name of its spec, and nothing stands there. Fix: under the name of the module."""
    flow = StoredFlow(
        step=AdaptModule(Needy(weight=Param(data=2), parts=[Needy(weight=Param(data=3))]))
    )
    store.save(flow, "flow")
    assert same(store.load("flow").state_dict(), flow.state_dict())
    other = StoredFlow(step=AdaptModule(Needy(weight=Param(data=9))))
    store.load_into(other, "flow")
    assert same(other.state_dict(), flow.state_dict())


# --- rollback and diff ----------------------------------------------------------------------------


def test_a_rollback_is_a_new_version_equal_to_the_old_one(store: Store) -> None:
    counter = _saved(store, 1, 2, 3)
    version = store.rollback("agent", to=1, justification="it was better")
    assert (version.number, version.base, version.restores) == (4, 3, 1)
    assert version.justification == "it was better"
    assert version.root == store.history("agent")[-1].root
    assert store.load("agent").count == 1
    assert counter.count == 3
    with pytest.raises(Conflict):
        store.save(counter, "agent")
    assert store.rollback("agent", to=4).restores == 4


def test_a_rollback_into_an_object_lets_it_go_on_from_there(store: Store) -> None:
    counter = _saved(store, 1, 2, 3)
    store.rollback("agent", to=2, into=counter)
    assert counter.count == 2
    counter.count = 20
    assert store.save(counter, "agent").number == 5
    assert store.load("agent").count == 20
    assert store.diff("agent", 2, 4) == []


def test_a_rollback_into_another_class_writes_nothing(store: Store) -> None:
    _saved(store, 1, 2)
    with pytest.raises(SpecError, match="does not load into"):
        store.rollback("agent", to=1, into=Holder())
    assert len(store.history("agent")) == 2


def test_a_diff_says_what_changed_what_came_and_what_went(store: Store) -> None:
    team = Team(label="a", members=[Counter(), Counter()])
    team.notes = {"old": 1}
    store.save(team, "team")
    team.members = [Counter(step=5)]
    team.notes = {"new": (2,)}
    store.save(team, "team")
    changes = store.diff("team", 1, 2)
    assert [change.path for change in changes] == sorted(change.path for change in changes)
    assert changes == [
        Change("members.0.step", 1, 5),
        Change("members.1.count", 0, ABSENT),
        Change("members.1.step", 1, ABSENT),
        Change("notes", {"old": 1}, {"new": (2,)}),
    ]
    backwards = store.diff("team", 2, 1)
    assert [(c.path, c.after, c.before) for c in backwards] == [
        (c.path, c.before, c.after) for c in changes
    ]
    assert store.diff("team", 1, 1) == []
    assert repr(changes[1].after) == "<absent>"


def test_a_diff_tells_types_and_large_values_apart(store: Store) -> None:
    agent = Holder()
    first: list[Any] = [1, "x" * 600, np.arange(9000), None]
    second: list[Any] = [True, "x" * 601, np.arange(9000) + 1, 0]
    for a, b in zip(first, second, strict=True):
        agent.value = a
        before = store.save(agent, "agent").number
        agent.value = b
        after = store.save(agent, "agent").number
        [change] = store.diff("agent", before, after)
        assert same((change.before, change.after), (a, b))


def test_a_state_may_shrink_to_nothing_and_grow_again(store: Store) -> None:
    class Bare(BaseModule):
        parts: list[BaseModule] = Param(default_factory=list)

    bare = Bare(parts=[Counter()])
    store.save(bare, "bare")
    bare.parts = [Bare(parts=[Counter(), Counter()])]
    store.save(bare, "bare")
    bare.parts = []
    store.save(bare, "bare")
    assert [version.entries for version in store.history("bare")] == [0, 4, 2]
    assert [len(store.load("bare", version=n).parts) for n in (1, 2, 3)] == [1, 1, 0]
    assert len(store.diff("bare", 1, 2)) == 6
    assert {change.after for change in store.diff("bare", 2, 3)} == {ABSENT}
    assert {change.before for change in store.diff("bare", 3, 1)} == {ABSENT}
    assert store.verify().versions == 3
