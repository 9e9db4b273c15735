"""Versions by number and tag, forks, copies, fingerprints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dachi_fast import Attr, BaseModule, KeyFile, Param, Store
from dachi_fast.errors import AlreadyExists, Conflict, DachiError, StoreError, UnknownName
from tests.tokens import same


class Agent(BaseModule):
    count: int = Attr(default=0)
    memory: Any = Attr(default=None)
    step: int = Param(default=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key"), audit_reads="off") as store:
        yield store


@pytest.fixture
def agent(store: Store) -> Agent:
    """Saved three times as "agent", counting 1, 2, 3."""
    agent = Agent()
    for agent.count in (1, 2, 3):
        store.save(agent, "agent")
    return agent


def _reopened(store: Store, tmp_path: Path) -> Store:
    store.close()
    return Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key"), audit_reads="off")


# --- history -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("agent")
def test_a_history_is_cut_where_the_caller_says(store: Store) -> None:
    assert [version.number for version in store.history("agent", limit=2)] == [3, 2]
    assert store.history("agent", limit=0) == store.history("agent", limit=-1) == []
    assert len(store.history("agent", limit=2**70)) == 3


@pytest.mark.usefixtures("agent")
def test_one_version_is_had_by_number_or_tag(store: Store) -> None:
    tagged = store.tag("agent", version=1, tag="first")
    assert store.version("agent", version="first") == store.version("agent", version=1) == tagged
    assert store.version("agent") == store.history("agent")[0]
    with pytest.raises(UnknownName):
        store.version("agent", version=4)
    with pytest.raises(UnknownName):
        store.version("nobody")


def test_a_version_says_what_its_save_wrote(store: Store) -> None:
    agent = Agent()
    agent.memory = np.random.default_rng(1).bytes(300_000)
    first = store.save(agent, "agent")
    agent.count = 1
    second = store.save(agent, "agent")
    assert first.written_bytes > 300_000
    assert 0 < second.written_bytes < 4_000
    assert store.rollback("agent", to=1).written_bytes == 0


# --- tags ----------------------------------------------------------------------------------------


def test_a_tag_stands_for_its_version_everywhere(store: Store, agent: Agent) -> None:
    assert store.tag("agent", version=1, tag="first").tags == ("first",)
    assert store.tag("agent", tag="last").number == 3
    assert store.load("agent", version="first").count == 1
    assert store.load_into(agent, "agent", version="first").count == 1
    [change] = store.diff("agent", "first", "last")
    assert (change.before, change.after) == (1, 3)
    assert store.rollback("agent", to="first").restores == 1
    assert store.rollback("agent", to="first", into=agent).restores == 1
    assert store.fork("agent", "fork", version="last").source == ("agent", 3)
    assert store.copy("agent", to="copy", version="last").source == ("agent", 3)
    assert [version.tags for version in store.history("agent")] == [
        (), (), ("last",), (), ("first",)
    ]  # fmt: skip


@pytest.mark.usefixtures("agent")
def test_a_version_may_have_several_tags_and_lose_them(store: Store) -> None:
    store.tag("agent", version=2, tag="good")
    assert store.tag("agent", version="good", tag="best").tags == ("good", "best")
    assert store.untag("agent", tag="good").tags == ("best",)
    with pytest.raises(UnknownName, match='no tag "good"'):
        store.load("agent", version="good")
    store.tag("agent", version=3, tag="good")
    assert store.load("agent", version="good").count == 3


@pytest.mark.usefixtures("agent")
def test_tags_outlive_the_handle(store: Store, tmp_path: Path) -> None:
    store.tag("agent", tag="kept")
    with _reopened(store, tmp_path) as again:
        assert again.history("agent")[0].tags == ("kept",)
        assert again.load("agent", version="kept").count == 3


@pytest.mark.usefixtures("agent")
def test_a_tag_used_twice_is_refused_with_the_way_out(store: Store) -> None:
    store.tag("agent", version=1, tag="good")
    with pytest.raises(AlreadyExists, match=r"untag\(\"agent\", \"good\"\)") as caught:
        store.tag("agent", version=2, tag="good")
    assert caught.value.code == "tag-taken"
    assert caught.value.context == {"name": "agent", "version": 1, "tag": "good"}
    assert store.load("agent", version="good").count == 1


@pytest.mark.usefixtures("agent")
def test_a_tag_of_a_fork_is_not_one_of_the_original(store: Store) -> None:
    store.fork("agent", "fork")
    store.tag("fork", tag="of the fork")
    with pytest.raises(UnknownName, match='is on "fork"'):
        store.load("agent", version="of the fork")
    with pytest.raises(AlreadyExists, match='of "fork"'):
        store.tag("agent", tag="of the fork")


@pytest.mark.parametrize("tag", ["", "x" * 256, "\u00e9" * 128, "a\0b", "7", "007", "\ud800"])
@pytest.mark.usefixtures("agent")
def test_what_is_no_tag_is_refused(store: Store, tag: str) -> None:
    with pytest.raises(StoreError) as caught:
        store.tag("agent", tag=tag)
    assert caught.value.code == "name"


@pytest.mark.parametrize("tag", ["x" * 255, "a/b\\c", "\u00e9" * 127, "latest", "-1", " "])
@pytest.mark.usefixtures("agent")
def test_unusual_tags_are_held(store: Store, tag: str) -> None:
    store.tag("agent", version=2, tag=tag)
    assert store.load("agent", version=tag).count == 2


# --- forks ---------------------------------------------------------------------------------------


def test_a_fork_goes_on_by_itself(store: Store, agent: Agent, tmp_path: Path) -> None:
    fork = store.fork("agent", "fork", version=2, justification="try something")
    assert (fork.number, fork.source, fork.base) == (1, ("agent", 2), None)
    trial = store.load("fork")
    trial.count = 20
    assert store.save(trial, "fork").number == 2
    agent.count = 4
    assert store.save(agent, "agent").number == 4
    with _reopened(store, tmp_path) as again:
        assert again.names() == ["agent", "fork"]
        assert [v.number for v in again.history("fork")] == [2, 1]
        assert (again.load("fork").count, again.load("agent").count) == (20, 4)
        assert again.load("fork", version=1).count == 2
        report = again.verify()
        assert (report.names, report.versions) == (2, 6)
        assert again.ledger(limit=3)[-1].operation == "fork"


@pytest.mark.usefixtures("agent")
def test_forks_of_forks_are_told_apart(store: Store) -> None:
    names = ["agent"]
    for step in range(5):
        name = f"fork {step}"
        store.fork(names[-1], name)
        module = store.load(name)
        module.count = 100 + step
        store.save(module, name)
        names.append(name)
    assert [store.load(name).count for name in names] == [3, 100, 101, 102, 103, 104]
    assert store.verify().versions == 3 + 2 * 5


def test_a_fork_writes_next_to_nothing(store: Store) -> None:
    agent = Agent()
    agent.memory = np.random.default_rng(3).bytes(1 << 20)
    store.save(agent, "agent")
    before = (store.path / "data.mdb").stat().st_size
    store.fork("agent", "fork")
    assert (store.path / "data.mdb").stat().st_size - before < 64 * 1024


@pytest.mark.usefixtures("agent")
def test_a_loaded_fork_is_no_base_for_the_original(store: Store) -> None:
    store.fork("agent", "fork")
    with pytest.raises(Conflict):
        store.save(store.load("fork"), "agent")


@pytest.mark.parametrize("make", ["fork", "copy"])
@pytest.mark.usefixtures("agent")
def test_a_name_that_is_taken_is_refused(store: Store, make: str) -> None:
    store.save(Agent(), "other")
    for to in ("other", "agent"):
        with pytest.raises(AlreadyExists) as caught:
            _second(store, make, "agent", to)
        assert caught.value.code == "name-taken"
    with pytest.raises(UnknownName):
        _second(store, make, "nobody", "new")
    assert store.names() == ["agent", "other"]
    assert store.verify().versions == 4


@pytest.mark.parametrize("make", ["fork", "copy", "save"])
@pytest.mark.parametrize("name", ["", "x" * 1025, "\u00e9" * 512 + "x", "a\0b", "\ud800"])
@pytest.mark.usefixtures("agent")
def test_what_is_no_name_is_refused(store: Store, make: str, name: str) -> None:
    with pytest.raises(StoreError) as caught:
        _second(store, make, "agent", name)
    assert caught.value.code == "name"
    assert store.names() == ["agent"]


@pytest.mark.parametrize("make", ["fork", "copy", "save"])
@pytest.mark.parametrize("name", ["a/b", "../x", "x" * 1024, "\u00e9" * 512, "\U0001f980"])
@pytest.mark.usefixtures("agent")
def test_unusual_names_are_held(store: Store, make: str, name: str) -> None:
    _second(store, make, "agent", name)
    assert store.load(name).count == 3
    assert store.names() == sorted(["agent", name])


def _second(store: Store, make: str, name: str, to: str) -> None:
    if make == "fork":
        store.fork(name, to)
    elif make == "save":
        store.save(store.load(name), to)
    else:
        store.copy(name, to=to)


# --- copies --------------------------------------------------------------------------------------


def test_a_copy_is_equal_whatever_it_holds(store: Store, tmp_path: Path) -> None:
    agent = Agent()
    rng = np.random.default_rng(5)
    agent.memory = {
        "text": "word " * 9_000,
        "small": (1, {2}, None),
        "array": rng.standard_normal((300, 300)),
        "bytes": rng.bytes(100_000),
    }
    store.save(agent, "text")
    agent.memory = rng.standard_normal((300, 300))
    store.save(agent, "array")
    for name in ("text", "array"):
        copy = store.copy(name, to=f"{name} copy")
        assert (copy.number, copy.source) == (1, (name, 1))
        assert store.fingerprint(f"{name} copy") == store.fingerprint(name)
    with _reopened(store, tmp_path) as again:
        assert same(again.load("array copy").memory, agent.memory)
        assert same(again.load("text copy").memory, again.load("text").memory)
        assert again.verify().names == 4
        assert again.ledger(limit=1)[0].operation == "copy"


# --- fingerprints --------------------------------------------------------------------------------


def test_a_fingerprint_tells_content_and_not_how_it_came_about(store: Store) -> None:
    agent = Agent()
    store.save(agent, "agent")
    for agent.count in (5, 6, 0):
        store.save(agent, "agent")
    prints = [store.fingerprint("agent", version=number) for number in (1, 2, 3, 4)]
    assert prints[0] == prints[3]
    assert len(set(prints)) == 3
    assert all(len(each) == 64 for each in prints)
    store.rollback("agent", to=2)
    assert store.fingerprint("agent") == prints[1]
    store.save(agent, "another name")
    assert store.fingerprint("another name") == prints[0]


def test_another_blueprint_or_path_has_another_fingerprint(store: Store) -> None:
    store.save(Agent(), "one")
    store.save(Agent(), "two")  # a new agent has an id of its own
    assert store.fingerprint("one") != store.fingerprint("two")


# --- versions that are not there -----------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 4, 2**64 - 1, 2**64, -1])
@pytest.mark.usefixtures("agent")
def test_the_future_and_the_never_are_said_to_be_no_versions(store: Store, number: int) -> None:
    tries: list[Any] = [
        lambda: store.load("agent", version=number),
        lambda: store.rollback("agent", to=number),
        lambda: store.diff("agent", 1, number),
        lambda: store.fork("agent", "new", version=number),
        lambda: store.copy("agent", to="new", version=number),
        lambda: store.tag("agent", version=number, tag="new"),
        lambda: store.fingerprint("agent", version=number),
    ]
    for attempt in tries:
        with pytest.raises(UnknownName, match="no version") as caught:
            attempt()
        assert caught.value.code == "unknown-version"
    assert store.verify().versions == 3


@pytest.mark.usefixtures("agent")
def test_an_unknown_tag_is_an_unknown_version(store: Store) -> None:
    assert store.load("agent", version="nothing", default=7) == 7
    for attempt in (
        lambda: store.rollback("agent", to="nothing"),
        lambda: store.untag("agent", tag="nothing"),
        lambda: store.load("agent", version=""),
    ):
        with pytest.raises(DachiError) as caught:
            attempt()
        assert caught.value.code == "unknown-version"
