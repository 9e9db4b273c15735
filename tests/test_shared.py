"""Shared values in a store: saved when asked, alone or in one commit with an agent."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import Attr, BaseModule, KeyFile, Limits, Shared, Store, shared_name
from dachi_fast.errors import (
    Conflict,
    StateError,
    StateTypeError,
    StoreError,
    UnknownName,
)
from tests.conftest import ROOT


class Team(BaseModule):
    board: dict[str, int] = Shared(default_factory=dict)
    rules: list[str] = Shared(default_factory=list)
    mood: str | None = Shared(default=None)


class Worker(Team):
    tools: dict[str, Any] = Shared(default_factory=dict)
    done: int = Attr(default=0)


class Loner(BaseModule):
    done: int = Attr(default=0)


@pytest.fixture(autouse=True)
def _as_declared() -> Iterator[None]:
    Worker.reset_shared()
    yield
    Worker.reset_shared()


def _elsewhere(tmp_path: Path, code: str) -> None:
    """Runs code in a process of its own, with the store open as `store`."""
    head = (
        "import sys\nfrom pathlib import Path\nfrom dachi_fast import KeyFile, Store\n"
        "from tests.test_shared import Team, Worker\nhere = Path(sys.argv[1])\n"
        "with Store.open(here / 'store', keys=KeyFile(here / 'key')) as store:\n    "
    )
    subprocess.run([sys.executable, "-c", head + code, tmp_path], check=True, cwd=ROOT)


def test_shared_values_come_back_in_another_process(tmp_path: Path) -> None:
    _elsewhere(tmp_path, "Team.board['a'] = 1; Team.rules.append('cite'); store.save_shared(Team)")
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        loaded = store.load_shared(Team)
        assert (Team.board, Team.rules, Team.mood) == ({"a": 1}, ["cite"], None)
        assert Worker().board is Team.board
        assert loaded[Team].number == 1
        store.verify()


def test_no_save_of_an_agent_saves_them_unasked(store: Store) -> None:
    store.save(Worker(), "worker")
    with pytest.raises(UnknownName):
        store.load_shared(Team)
    assert store.stats().shared == ()


def test_inherited_values_are_saved_by_the_class_that_declares_them(store: Store) -> None:
    Team.board["a"], Worker.tools["hammer"] = 1, 2
    saved = store.save_shared(Worker, justification="tools")
    assert [*saved] == [Team, Worker]
    assert {version.justification for version in saved.values()} == {"tools"}
    Worker.reset_shared()
    store.load_shared(Team)
    assert (Team.board, Worker.tools) == ({"a": 1}, {})
    store.load_shared(Worker)
    assert Worker.tools == {"hammer": 2}
    # Both in one commit, one entry of the ledger each.
    entries = store.ledger(limit=2)
    assert {entry.memory_type for entry in entries} == {"shared"}
    assert [entry.agent_id for entry in entries] == [shared_name(Worker), shared_name(Team)]
    assert entries[0].timestamp == entries[1].timestamp


def test_an_agent_and_shared_values_are_saved_in_one_commit(store: Store) -> None:
    worker = Worker()
    worker.done, worker.board["a"] = 1, 1
    version = store.save(worker, "worker", shared=[Worker])
    assert (version.number, store.load("worker").done) == (1, 1)
    assert [entry.agent_id for entry in store.ledger(limit=3)][1:] == [
        shared_name(Team),
        "worker",
    ]
    assert len({entry.timestamp for entry in store.ledger(limit=3)}) == 1


def test_a_conflict_of_shared_values_saves_nothing_of_the_agent(
    store: Store, tmp_path: Path
) -> None:
    worker = Worker()
    store.save(worker, "worker", shared=[Worker])
    _elsewhere(tmp_path, "store.load_shared(Team); Team.board['b'] = 2; store.save_shared(Team)")
    worker.done, worker.tools["saw"] = 1, 1
    with pytest.raises(Conflict, match="version 2") as raised:
        store.save(worker, "worker", shared=[Worker])
    assert raised.value.context["name"] == shared_name(Team)
    assert len(store.history("worker")) == len(store.history(shared_name(Worker))) == 1
    store.load_shared(Team)
    assert store.save(worker, "worker", shared=[Worker]).number == 2
    assert store.history(shared_name(Worker))[0].number == 2


def test_values_that_others_saved_are_merged_when_asked(store: Store, tmp_path: Path) -> None:
    Team.board["a"] = 1
    store.save_shared(Worker)
    _elsewhere(tmp_path, "store.load_shared(Team); Team.board['b'] = 2; store.save_shared(Team)")
    Team.board["a"] = 3
    asked = []

    def merge(mine: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
        asked.append((mine["board"].copy(), theirs["board"]))
        return {**theirs, "board": {**theirs["board"], **mine["board"]}}

    saved = store.save_shared(Worker, merge=merge)
    # Of Worker's own values nobody saved others.
    assert asked == [({"a": 3}, {"a": 1, "b": 2})]
    assert Team.board == {"a": 3, "b": 2}
    assert (saved[Team].number, saved[Worker].number) == (3, 2)
    Team.reset_shared()
    store.load_shared(Team)
    assert Team.board == {"a": 3, "b": 2}


def test_merging_ends_when_others_are_always_faster(store: Store) -> None:
    store.save_shared(Team)
    other = Team.board

    def merge(mine: dict[str, Any], _: dict[str, Any]) -> dict[str, Any]:
        # Somebody else saves once more; this process does not take note.
        mark = store._mark(Team, shared_name(Team))
        before = mark.number
        store.save_shared(Team, base="latest")
        mark.set(before)
        return mine

    store._mark(Team, shared_name(Team)).set(0)
    with pytest.raises(Conflict):
        store.save_shared(Team, merge=merge)
    assert Team.board is other


def test_what_was_forgotten_meanwhile_is_merged_with_nothing(store: Store, tmp_path: Path) -> None:
    Team.board["a"] = 1
    store.save_shared(Team)
    _elsewhere(tmp_path, f"store.forget({shared_name(Team)!r})")
    with pytest.raises(Conflict):
        store.save_shared(Team)
    saved = store.save_shared(Team, merge=lambda mine, _: mine)
    assert saved[Team].number == 1


def test_the_latest_is_overruled_when_asked(store: Store) -> None:
    store.save_shared(Team)
    store._mark(Team, shared_name(Team)).set(0)
    with pytest.raises(Conflict, match="saved before"):
        store.save_shared(Team)
    assert store.save_shared(Team, base="latest")[Team].number == 2


def test_shared_values_are_versioned_as_agents_are(store: Store) -> None:
    for step in range(3):
        Team.board["step"] = step
        store.save_shared(Team)
    name = shared_name(Team)
    assert [version.number for version in store.history(name)] == [3, 2, 1]
    [change] = store.diff(name, 1, 3)
    assert (change.path, change.before, change.after) == ("board", {"step": 0}, {"step": 2})
    store.tag(name, version=2, tag="good")
    assert store.load_shared(Team, version="good")[Team].number == 2
    assert Team.board == {"step": 1}
    store.rollback(name, to=1)
    store.load_shared(Team)
    assert Team.board == {"step": 0}
    assert store.stats(name).versions == 4
    assert [stats.name for stats in store.stats().shared] == [name]
    assert store.names() == []
    store.save_shared(Team)
    assert store.fingerprint(name) == store.fingerprint(name, version=1)


def test_shared_values_are_pruned_with_all_names(tmp_path: Path) -> None:
    keys, folder = KeyFile(tmp_path / "key"), tmp_path / "store"
    with Store.open(folder, keys=keys, limits=None) as store:
        for step in range(5):
            Team.board["step"] = step
            store.save_shared(Team)
    with Store.open(folder, keys=keys, limits=Limits(versions=2, days=0)) as store:
        [pruned] = store.prune()
        assert (pruned.name, pruned.versions) == (shared_name(Team), (1, 2, 3))


def test_forgotten_shared_values_are_gone(store: Store) -> None:
    store.save_shared(Team)
    store.forget(shared_name(Team))
    with pytest.raises(UnknownName):
        store.load_shared(Team)
    assert store.save_shared(Team, base="latest")[Team].number == 1


def test_a_value_that_does_not_fit_changes_nothing(store: Store) -> None:
    Team.board["a"], Worker.tools["saw"] = 1, 1
    store.save_shared(Worker)
    Worker.reset_shared()
    Worker().tools = [1]  # type: ignore[assignment] # nobody asks the annotation here
    store.save_shared(Worker)
    Worker.reset_shared()
    with pytest.raises(StateTypeError, match="tools"):
        store.load_shared(Worker)
    assert (Team.board, Worker.tools) == ({}, {})
    store._track(Team, shared_name(Team), 0)
    with pytest.raises(StateTypeError, match="board"):
        store.save_shared(Team, merge=lambda mine, _: {**mine, "board": "no board"})
    assert Team.board == {}


def test_a_callback_that_raises_changes_nothing(store: Store) -> None:
    def refuse(_: object) -> None:
        raise ValueError("not today")

    Team.board["a"], Team.rules[:] = 1, ["cite"]
    store.save_shared(Team)
    Team.reset_shared()
    rules: Any = Team.__dict__["rules"]
    rules.register_callback(refuse)
    try:
        with pytest.raises(ValueError, match="not today"):
            store.load_shared(Team)
    finally:
        rules.unregister_callback(refuse)
    assert (Team.board, Team.rules) == ({}, [])


def _class(fields: dict[str, Any]) -> Any:
    """Gives the class `Grown`, as this process declares it now."""
    annotations = dict.fromkeys(fields, Any)
    return type("Grown", (BaseModule,), {**fields, "__annotations__": annotations})


def test_a_value_that_was_assigned_on_the_class_is_not_left_out_in_silence(store: Store) -> None:
    cls = _class({"a": Shared(default=1)})
    cls.a = 2
    with pytest.raises(TypeError, match="through an instance"):
        store.save_shared(cls)


def test_a_value_that_cannot_be_held_says_where(store: Store) -> None:
    Team.board["f"] = len  # type: ignore[assignment]
    with pytest.raises(StateError) as raised:
        store.save(Worker(), "worker", shared=[Team])
    assert raised.value.context["path"] == "board.f"
    assert store.names() == []


def test_only_classes_with_shared_values_are_taken(store: Store) -> None:
    for wrong, what in ((Loner, "no Shared values"), (Worker(), "no class"), (dict, "no class")):
        with pytest.raises(TypeError, match=what):
            store.save_shared(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=what):
            store.load_shared(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="base is"):
        store.save_shared(Team, base=3)  # type: ignore[arg-type]


def test_no_agent_can_have_the_name_of_shared_values(store: Store) -> None:
    store.save_shared(Team)
    with pytest.raises(StoreError, match="zero character"):
        store.save(Worker(), shared_name(Team))
    with pytest.raises(StoreError, match="zero character"):
        store.fork(shared_name(Team), shared_name(Worker))


def test_a_loop_saves_and_loads_them_off_the_loop(store: Store, tmp_path: Path) -> None:
    async def main() -> None:
        Team.board["a"] = 1
        worker = Worker()
        version = await store.asave(worker, "worker", shared=[Worker])
        assert version.number == 1
        _elsewhere(
            tmp_path, "store.load_shared(Team); Team.board['b'] = 2; store.save_shared(Team)"
        )
        with pytest.raises(Conflict):
            await store.asave_shared(Team)
        with pytest.raises(Conflict):
            await store.asave(worker, "worker", shared=[Worker])
        saved = await store.asave_shared(
            Team, merge=lambda mine, theirs: {**mine, "board": theirs["board"] | mine["board"]}
        )
        assert saved[Team].number == 3
        Team.reset_shared()
        assert (await store.aload_shared(Team))[Team].number == 3
        assert Team.board == {"a": 1, "b": 2}

    asyncio.run(main())


def test_with_shared_values_a_save_is_on_disk_when_it_returns(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys, durability="async") as store:
        worker = Worker()
        store.save(worker, "worker")
        version = store.save(worker, "worker", shared=[Worker])
        assert type(version).__name__ == "Version"
        assert version.number == 2
