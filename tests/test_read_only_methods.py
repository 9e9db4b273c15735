"""Every method of a store that was opened to be read: it reads, or it is refused, and its twin."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from dachi_fast import Attr, BaseModule, KeyFile, RetentionPolicy, Shared, Store
from dachi_fast.errors import StoreReadOnly
from tests.evolving import TYPE
from tests.stores import files

# Not methods of one open store: these make one, or look into an archive.
OPENING: Final = {"open", "adopt", "backups", "drill", "restore"}


class Agent(BaseModule):
    count: int = Attr(default=0)
    board: dict[str, int] = Shared(default_factory=dict)


def _define_evolving(kind: type) -> Any:
    body = {"__module__": __name__, "__qualname__": "Evolving", "__annotations__": {"value": kind}}
    return TYPE("Evolving", (BaseModule,), {**body, "value": Attr(default=kind())})


@pytest.fixture
def folder(tmp_path: Path, keys: KeyFile) -> Path:
    """A closed store of two names, of which one has a class that has changed since."""
    folder, agent = tmp_path / "store", Agent()
    with Store.open(folder, keys=keys) as store:
        for agent.count in (1, 2):
            store.save(agent, "agent")
        store.tag("agent", version=1, tag="first")
        store.save_shared(Agent)
        store.save(_define_evolving(int)(), "evolving")
    _define_evolving(float)
    return folder


Call = tuple[tuple[Any, ...], dict[str, Any]]


def _call(*arguments: Any, **options: Any) -> Call:
    return arguments, options


def _reads(agent: Agent) -> dict[str, Call]:
    return {
        "backup": _call("memory://of a store that is read"),
        "blueprint": _call("agent"),
        "checkpoint": _call(),
        "close": _call(),
        "diff": _call("agent", 1, 2),
        "fingerprint": _call("agent"),
        "flush": _call(),
        "history": _call("agent"),
        "ledger": _call(),
        "load": _call("agent"),
        "load_into": _call(agent, "agent"),
        "load_shared": _call(Agent),
        "memory": _call("agent"),
        "names": _call(),
        "prove": _call(1),
        "prove_consistency": _call(1),
        "state": _call("agent"),
        "stats": _call(),
        "verify": _call(),
        "version": _call("agent", version="first"),
    }


def _writes(agent: Agent, beside: Path) -> dict[str, Call]:
    return {
        "compact": _call(),
        "copy": _call("agent", to="copy"),
        "export": _call(beside / "export"),
        "forget": _call("agent"),
        "fork": _call("agent", "fork"),
        "prune": _call(),
        "purge": _call("agent"),
        "retain": _call(RetentionPolicy()),
        "rewrap": _call(KeyFile(beside / "new key")),
        "rollback": _call("agent", to=1, into=agent),
        "rotate_now": _call(),
        "save": _call(agent, "agent"),
        "save_shared": _call(Agent),
        "tag": _call("agent", tag="second"),
        "untag": _call("agent", tag="first"),
        "upgrade": _call(),
    }


def _methods() -> set[str]:
    """Gives the methods of an open store that are no twins."""
    public = {name for name, _ in inspect.getmembers(Store, callable) if not name.startswith("_")}
    return {name for name in public if not (name[0] == "a" and name[1:] in public)} - OPENING


def test_every_method_is_known_to_read_or_to_write(tmp_path: Path) -> None:
    known = {*_reads(Agent()), *_writes(Agent(), tmp_path), "autosave"}
    assert _methods() == known, "say of a new method here whether it reads or writes"


@pytest.fixture
def store(folder: Path, keys: KeyFile) -> Iterator[Store]:
    with Store.open(folder, keys=keys, read_only=True) as store:
        yield store


def _ways(store: Store, name: str) -> list[Callable[..., Any]]:
    """Gives a method and its twin, each to be called alike."""
    twin = getattr(store, f"a{name}")
    return [getattr(store, name), lambda *given, **options: asyncio.run(twin(*given, **options))]


def test_what_writes_is_refused_and_its_twin_too(store: Store, tmp_path: Path) -> None:
    agent = store.load("agent")
    before = files(tmp_path, Path(os.environ["XDG_STATE_HOME"]))
    for name, (given, options) in _writes(agent, tmp_path).items():
        for write in _ways(store, name):
            with pytest.raises(StoreReadOnly) as caught:
                write(*given, **options)
            assert caught.value.code == "read-only", name
            assert isinstance(caught.value, PermissionError)
    assert agent.count == 2
    assert files(tmp_path, Path(os.environ["XDG_STATE_HOME"])) == before


def test_a_block_that_saves_is_not_entered(store: Store) -> None:
    agent = store.load("agent")
    with pytest.raises(StoreReadOnly), store.autosave(agent, "agent"):
        pytest.fail("the block must not run")

    async def enter() -> None:
        async with store.autosave(agent, "agent"):
            pytest.fail("the block must not run")

    with pytest.raises(StoreReadOnly):
        asyncio.run(enter())


def test_what_reads_is_answered_and_its_twin_too(
    folder: Path, keys: KeyFile, tmp_path: Path
) -> None:
    before = files(tmp_path, Path(os.environ["XDG_STATE_HOME"]))
    for name, (given, options) in _reads(Agent()).items():
        for at in (0, 1):
            # One of its own for each: `close` is among them.
            with Store.open(folder, keys=keys, read_only=True) as own:
                _ways(own, name)[at](*given, **options)
                if name != "close":
                    assert [done.version for done in own.upgrade(dry_run=True)] == [None, None]
    assert files(tmp_path, Path(os.environ["XDG_STATE_HOME"])) == before
