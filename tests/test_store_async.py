"""Twins for event loops: same results, shared commits, whole states whatever is cancelled."""

from __future__ import annotations

import asyncio
import inspect
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dachi_fast import Attr, BaseModule, KeyFile, Store
from dachi_fast.errors import Conflict, StateError, StoreClosed, StoreReadOnly, UnknownName

# What a store does without waiting for the disk, and what is a block of its own.
_WITHOUT_TWIN = {"autosave"}


class Agent(BaseModule):
    count: int = Attr(default=0)
    square: int = Attr(default=0)
    weights: Any = Attr(default=None)


def _set(agent: Agent, count: int) -> None:
    agent.count, agent.square = count, count * count


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    keys = KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys, limits=None) as store:
        yield store


def _commits(store: Store, saved: list[tuple[str, int]]) -> int:
    """Gives how many commits made these versions: those of one commit share its time."""
    return len({store._core.version(name, number)[1] for name, number in saved})


# --- twins ----------------------------------------------------------------------------------------


def test_every_method_that_waits_for_the_disk_has_a_twin() -> None:
    methods = {
        name
        for name, kind in inspect.getmembers(Store, callable)
        if not name.startswith("_") and not inspect.iscoroutinefunction(kind)
    }
    twins = {
        name
        for name, kind in inspect.getmembers(Store, inspect.iscoroutinefunction)
        if name[0] != "_"
    }
    assert {f"a{name}" for name in methods - _WITHOUT_TWIN} == twins


def test_a_written_out_twin_takes_what_its_method_takes() -> None:
    def parameters(function: Any) -> list[tuple[str, object]]:
        found = inspect.signature(function).parameters.values()
        return [(one.name, one.default) for one in found if one.name != "default"]

    for name in ("open", "save", "load_into", "rollback", "backups", "restore", "drill"):
        twin = getattr(Store, f"a{name}")
        assert parameters(twin) == parameters(getattr(Store, name)), name


async def test_twins_do_what_their_methods_do(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "key")
    async with await Store.aopen(tmp_path / "store", keys=keys, witness=None) as store:
        agent = Agent()
        assert (await store.asave(agent, "a", justification="first")).number == 1
        agent.count = 5
        version = await store.asave(agent, "a")
        assert version == store.history("a")[0]
        assert await store.ahistory("a", limit=1) == [version]
        assert await store.anames() == ["a"]
        assert await store.adiff("a", 1, 2) == store.diff("a", 1, 2)
        assert await store.aledger(limit=2) == store.ledger(limit=2)
        assert await store.averify() == store.verify()
        assert (await store.aload("a")).count == 5
        assert (await store.aload("a", version=1)).count == 0
        assert await store.aload("b", default=None) is None
        with pytest.raises(UnknownName):
            await store.aload("b")
        other = Agent()
        assert await store.aload_into(other, "a") is other
        assert other.count == 5
        assert (await store.arollback("a", to=1)).restores == 1
        assert (await store.arollback("a", to=2, into=other)).number == 4
        _set(other, 6)
        assert (await store.asave(other, "a")).number == 5
        await store.aflush()
    assert store.closed
    with pytest.raises(StoreClosed):
        await store.asave(agent, "a")


async def test_a_state_is_taken_before_the_first_await(store: Store) -> None:
    agent = Agent()
    agent.weights = np.zeros(100_000)
    saving = asyncio.ensure_future(store.asave(agent, "a"))
    await asyncio.sleep(0)  # the task runs up to its first await
    agent.count = 1
    agent.weights[:] = 1
    await saving
    loaded = await store.aload("a")
    assert loaded.count == 0
    assert not loaded.weights.any()


async def test_what_cannot_be_saved_raises_and_leaves_nothing(store: Store) -> None:
    agent = Agent()
    agent.weights = object()
    with pytest.raises(StateError):
        await store.asave(agent, "a")
    with pytest.raises(ValueError, match="base is"):
        await store.asave(Agent(), "a", base="newest")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        await store.asave(3, "a")  # type: ignore[arg-type]
    assert await store.anames() == []


async def test_savers_that_meet_share_commits(store: Store) -> None:
    agents = {f"agent {number}": Agent() for number in range(64)}
    for name, agent in agents.items():
        await store.asave(agent, name)
        _set(agent, 7)
    saves = (store.asave(agent, name) for name, agent in agents.items())
    versions = await asyncio.gather(*saves)
    saved = [(name, version.number) for name, version in zip(agents, versions, strict=True)]
    assert {number for _, number in saved} == {2}
    assert _commits(store, saved) <= 8  # one or two, but where the machine stands still


async def test_one_failing_save_takes_no_other_with_it(store: Store) -> None:
    store.save(Agent(), "taken")
    names = ["a", "taken", "b"]
    results = await asyncio.gather(
        *(store.asave(Agent(), name) for name in names), return_exceptions=True
    )
    assert isinstance(results[1], Conflict)
    assert results[1].context["base"] == "auto"
    assert store.names() == ["a", "b", "taken"]
    assert len(store.history("taken")) == 1


async def test_saves_of_one_agent_follow_each_other_in_order(store: Store) -> None:
    agent = Agent()
    saves = []
    for count in range(30):
        _set(agent, count)
        saves.append(asyncio.ensure_future(store.asave(agent, "a")))
        await asyncio.sleep(0)
    versions = await asyncio.gather(*saves)
    assert [version.number for version in versions] == list(range(1, 31))
    assert [store.load("a", version=n).count for n in range(1, 31)] == list(range(30))


async def test_the_loop_runs_while_a_save_waits_for_the_disk(store: Store) -> None:
    saving = asyncio.ensure_future(store.asave(Agent(), "a"))
    turns = 0
    while not saving.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 2  # it takes two to begin the task and to hear of its end


async def test_a_witness_that_reads_does_not_wait_for_the_commit_that_it_is_told_of(
    tmp_path: Path,
) -> None:
    # Symptom: an asave that never ended, and a close that waited for it. Cause: reads wait for what
    # is queued under the name, here for the save whose commit had called the witness. Fix: who
    # commits does not wait for the queue.
    read: list[int] = []

    class Reading:
        store: Store | None = None
        seen: bytes | None = None

        def newest(self, store_id: bytes) -> bytes | None:  # noqa: ARG002
            return self.seen

        def advance(self, store_id: bytes, commit: int, record: bytes) -> None:  # noqa: ARG002
            self.seen = record
            if self.store is not None:
                read.append(len(self.store.history("a")))
                assert self.store.names() == ["a"]

    witness, agent = Reading(), Agent()
    keys = KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "watched", keys=keys, witness=witness, audit_reads="off") as store:
        await store.asave(agent, "a")
        witness.store = store
        await store.asave(agent, "a")
        witness.store = None
    assert read == [2]


def test_a_store_that_is_only_read_refuses_queued_saves_at_once(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "key")
    Store.open(tmp_path / "read", keys=keys).close()
    with Store.open(tmp_path / "read", keys=keys, read_only=True, durability="async") as store:
        with pytest.raises(StoreReadOnly):
            store.save(Agent(), "a")
        store.flush()


# --- cancelling -----------------------------------------------------------------------------------


@pytest.mark.timeout(120)
async def test_a_cancelled_save_is_whole_or_nothing_and_the_module_knows(store: Store) -> None:
    drawn = random.Random(random.getrandbits(32))
    agent = Agent()
    agent.weights = np.zeros(2_000)
    for step in range(200):
        _set(agent, step)
        agent.weights[:] = step
        saving = asyncio.ensure_future(store.asave(agent, "a"))
        for _ in range(drawn.choice([0, 1, 1, 2, 5, 20, 50])):
            await asyncio.sleep(0)
        saving.cancel()
        await asyncio.gather(saving, return_exceptions=True)
        if drawn.random() < 0.3:
            _set(agent, -step)
            agent.weights[:] = -step
            version = (
                store.save(agent, "a") if drawn.random() < 0.5 else await store.asave(agent, "a")
            )
            loaded = store.load("a")
            assert loaded.count == -step
            assert store.history("a", limit=1) == [version]
    assert (await store.asave(agent, "a")).number == len(store.history("a"))
    for version in store.history("a"):
        loaded = store.load("a", version=version.number)
        assert loaded.square == loaded.count**2
        assert (loaded.weights == loaded.count).all()
    store.verify()


async def test_a_closed_loop_does_not_stop_a_save(store: Store) -> None:
    agent = Agent()

    async def begin() -> None:
        saving = asyncio.ensure_future(store.asave(agent, "a"))
        await asyncio.sleep(0)
        saving.cancel()

    threading.Thread(target=asyncio.run, args=[begin()]).start()
    while not store.names():  # noqa: ASYNC110 - a step of the loop each
        await asyncio.sleep(0)
    assert store.save(agent, "a").number == 2


def test_ctrl_c_during_a_save_leaves_a_whole_version_that_the_module_knows(store: Store) -> None:
    # Symptom: a Conflict with oneself. Cause: the exception came between the commit and noting its
    # version. Fix: the core notes it.
    agent = Agent()
    _set(agent, 1)
    agent.weights = np.random.default_rng(1).normal(size=1_000_000)
    # Pending when the core returns, as it is when it comes while the core waits for the disk.
    original = store._core

    class Interrupted:
        def __getattr__(self, name: str) -> Any:
            return getattr(original, name)

        def save(self, *args: Any) -> Any:
            result = original.save(*args)
            signal.raise_signal(signal.SIGINT)
            return result

    store._core = Interrupted()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        store.save(agent, "a")
    store._core = original
    assert store.load("a").square == 1
    assert store.save(agent, "a").number == 2


def test_loading_twins_work_in_a_forked_child(store: Store, tmp_path: Path) -> None:
    asyncio.run(store.asave(Agent(), "a"))
    asyncio.run(store.aload("a"))
    code = _CHILD_AFTER_FORK.format(folder=str(tmp_path / "store"), key=str(tmp_path / "key"))
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("forked\n1\n", 0), done.stderr


_CHILD_AFTER_FORK = """
import asyncio, os, sys, warnings
warnings.simplefilter("ignore")
from dachi_fast import BaseModule, Attr, KeyFile, Store
from dachi_fast.errors import StoreClosed
folder, key = {folder!r}, KeyFile({key!r})
class Agent(BaseModule):
    count: int = Attr(default=0)
store = Store.open(folder, keys=key)
asyncio.run(store.anames())
asyncio.run(store.asave(Agent(), "b"))
sys.stdout.flush()
child = os.fork()
if child == 0:
    try:
        asyncio.run(store.asave(Agent(), "c"))
    except StoreClosed as error:
        print(error.code, flush=True)
    store.close()
    own = Store.open(folder, keys=key)
    print(asyncio.run(own.asave(Agent(), "c")).number, flush=True)
    own.close()
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
