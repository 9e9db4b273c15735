"""All names of a store brought to the classes of today."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import Attr, BaseModule, KeyFile, Param, Store, migration, registry
from dachi_fast.errors import Conflict, MigrationError, StoreReadOnly, UnknownName
from tests.children import environment

HERE = "tests.test_upgrade"


def _old() -> Any:
    class Agent(BaseModule):
        __qualname__ = "Upgrading"
        seconds: float = Param(default=1.0)
        broken: bool = Attr(default=False)

    return Agent


def _new() -> Any:
    class Agent(BaseModule):
        __qualname__ = "Upgrading"
        __schema_version__ = 2
        millis: int = Param(default=1000)
        broken: bool = Attr(default=False)

        @migration(1, 2)
        @staticmethod
        def in_millis(spec: Any, state: Any) -> Any:
            if state["broken"]:
                raise ValueError("not this one")
            return spec, state | {"millis": int(1000 * state.pop("seconds"))}

    return Agent


def _filled(store: Store) -> None:
    old = _old()
    store.save(old(seconds=1.5), "first")
    store.save(old(seconds=2.5), "second")
    store.fork("second", "fork")
    broken = old()
    broken.broken = True
    store.save(broken, "third")


def test_every_name_gets_one_new_version_and_one_that_fails_stops_no_other(store: Store) -> None:
    _filled(store)
    _new()
    seen: list[tuple[int, int]] = []
    done = store.upgrade(progress=lambda now, of: seen.append((now, of)))
    assert [(up.name, up.number) for up in done] == [
        ("first", 1), ("fork", 1), ("second", 1), ("third", 1)
    ]  # fmt: skip
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for up in done[:3]:
        assert up.version is not None
        assert up.changes is not None
        assert (up.version.number, up.error) == (2, None)
        assert up.changes.migrated == ((f"{HERE}:Upgrading", 1, 2),)
        assert up.version.justification == str(up.changes)
    assert isinstance(done[3].error, MigrationError)
    assert (done[3].version, done[3].changes) == (None, None)
    assert [len(store.history(name)) for name in store.names()] == [2, 2, 2, 1]
    assert store.load("fork").millis == 2500
    assert store.load("fork", version=1).millis == 2500
    again = store.upgrade(names=["first", "fork"])
    assert [(up.number, up.version, up.changes, up.error) for up in again] == [
        (2, None, None, None)
    ] * 2


def test_the_ledger_calls_an_upgrade_a_migration_with_the_reason_that_was_given(
    store: Store,
) -> None:
    _filled(store)
    _new()
    store.upgrade(names=["first"], justification="release 2")
    entry = next(e for e in store.ledger() if e.operation == "migrate")
    assert (entry.agent_id, entry.justification) == ("first", "release 2")


def test_a_dry_run_reads_and_checks_everything_and_writes_nothing(store: Store) -> None:
    _filled(store)
    _new()
    before = [store.history(name) for name in store.names()]
    tried = store.upgrade(dry_run=True)
    assert [store.history(name) for name in store.names()] == before
    assert not [e for e in store.ledger() if e.operation == "migrate"]
    done = store.upgrade()
    assert [up.changes for up in tried] == [up.changes for up in done]
    assert [type(up.error) for up in tried] == [type(up.error) for up in done]
    assert [up.version for up in tried] == [None] * 4


def test_values_of_older_classes_are_upgraded_where_no_module_class_has_changed(
    store: Store,
) -> None:
    def point(**defaults: int) -> Any:
        members = [(name, int, dataclasses.field(default=d)) for name, d in defaults.items()]
        made: Any = dataclasses.make_dataclass("UpgradedPoint", members)
        made.__module__ = HERE
        return registry.value(made)

    class Holding(BaseModule):
        value: Any = Attr(default=None)

    agent = Holding()
    agent.value = point(x=1)()
    store.save(agent, "agent")
    kept = point(x=1, y=2)
    [up] = store.upgrade()
    assert up.changes is not None
    assert up.changes.defaulted == (f"{HERE}:UpgradedPoint.y",)
    assert store.load("agent").value == kept(1, 2)
    assert store.upgrade()[0].version is None


def test_a_live_module_from_before_an_upgrade_is_behind(store: Store) -> None:
    _filled(store)
    _new()
    live = store.load("first")
    store.upgrade(names=["first"])
    with pytest.raises(Conflict):
        store.save(live, "first")


def test_what_cannot_be_asked_for_is_refused(store: Store, tmp_path: Path) -> None:
    _filled(store)
    _new()
    with pytest.raises(UnknownName):
        store.upgrade(names=["nobody"])
    with pytest.raises(TypeError, match=r"write \['first'\]"):
        store.upgrade(names="first")
    store.close()
    keys = KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys, read_only=True) as reader:
        assert len(reader.upgrade(dry_run=True)) == 4
        with pytest.raises(StoreReadOnly):
            reader.upgrade()


def test_what_a_constructor_raises_and_a_name_that_vanishes_stop_no_other(store: Store) -> None:
    """Symptom: a constructor's ValueError came out of `upgrade`, which said nothing of the names
    that it had upgraded before. Cause: only errors of this package were told name by name. Fix: all
    of them are, but for those of the store itself."""

    class Picky(BaseModule):
        seen: list[int] = Attr(default_factory=list)

        def __post_init__(self) -> None:
            if refuses:
                raise ValueError("not today")

    refuses = False
    store.save(Picky(), "b")
    for name in "acd":
        store.save(_old()(), name)
    _new()
    refuses = True

    def forget(done: int, _: int) -> None:
        if done == 2:
            store.forget("c")

    up = {one.name: one for one in store.upgrade(progress=forget)}
    assert isinstance(up["b"].error, ValueError)
    assert isinstance(up["c"].error, UnknownName)
    assert (up["b"].number, up["c"].number) == (1, None)
    assert [name for name in up if up[name].version is not None] == ["a", "d"]
    with pytest.raises(UnknownName):
        store.upgrade(names=["a", "c"])


async def test_the_async_twin_does_the_same(store: Store) -> None:
    _filled(store)
    _new()
    done = await store.aupgrade()
    assert sum(up.version is not None for up in done) == 3


CHILD = """
import os, signal, sys
from tests.test_upgrade import KeyFile, Path, Store, _new
home, kill_at = Path(sys.argv[1]), int(sys.argv[2])
_new()
def progress(done, _):
    if done == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
with Store.open(home / "store", keys=KeyFile(home / "key"), witness=None) as store:
    store.upgrade(progress=progress)
"""


@pytest.mark.parametrize("kill_at", [1, 3])
def test_an_upgrade_that_is_killed_is_taken_up_where_it_ended(tmp_path: Path, kill_at: int) -> None:
    keys = KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys, witness=None) as store:
        _filled(store)
    command = [sys.executable, "-c", CHILD, str(tmp_path), str(kill_at)]
    env = environment()
    ended = subprocess.run(command, env=env, check=False, capture_output=True, timeout=25)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    _new()
    with Store.open(tmp_path / "store", keys=keys, witness=None) as store:
        store.verify()
        done = store.upgrade(names=["first", "fork", "second"])
        assert [up.version is None for up in done] == [n < kill_at for n in range(3)]
        assert [len(store.history(up.name)) for up in done] == [2, 2, 2]
        assert [store.load(up.name).millis for up in done] == [1500, 2500, 2500]
