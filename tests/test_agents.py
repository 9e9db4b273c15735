"""Agents with a lifetime: they start with what they knew and save however they end."""

from __future__ import annotations

import asyncio
import copy
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import Attr, BaseAgent, KeyFile, Store
from dachi_fast.errors import Conflict
from tests.children import Child, started


class Worker(BaseAgent):
    done: int = Attr(default=0)
    heard: list[str] = Attr(default_factory=list)

    async def on_start(self) -> None:
        await super().on_start()
        self.heard.append("start")

    async def on_stop(self) -> None:
        self.heard.append("stop")

    async def work(self) -> None:
        decision = self.choose([1.0], ["a", "b"])
        self.done += 1
        await self.on_task_complete({"outcome": "success", "reward": decision.action == "a"})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        yield store


def worker(store: Store, **fields: Any) -> Worker:
    agent = Worker(agent_id="worker", **fields)
    agent.neural_store = store
    return agent


async def test_a_life_starts_where_the_one_before_ended(store: Store) -> None:
    for life in range(3):
        async with worker(store) as agent:
            assert agent.done == agent.learner.adapted.learned == 2 * life
            await agent.work()
            await agent.work()
    found = store.load("worker")
    assert (found.done, found.heard) == (6, ["start", "stop"] * 3)


async def test_a_life_that_ends_by_an_error_is_saved(store: Store) -> None:
    async def life() -> None:
        async with worker(store) as agent:
            await agent.work()
            raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await life()
    assert store.load("worker").done == 1
    assert store.history("worker")[0].justification == "periodic save (after ValueError)"


async def test_a_life_that_is_cancelled_is_saved(store: Store) -> None:
    at_work = asyncio.Event()

    async def life() -> None:
        async with worker(store) as agent:
            await agent.work()
            at_work.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(life())
    await at_work.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (store.load("worker").done, store.load("worker").heard) == (1, ["start", "stop"])


async def test_a_life_that_is_cancelled_while_it_saves_its_last_is_saved(store: Store) -> None:
    saving = asyncio.Event()

    class Slow(Worker):
        async def on_stop(self) -> None:
            self.heard.append("stopping")
            asyncio.get_running_loop().call_soon(task.cancel)  # during the save that follows
            saving.set()

    async def life() -> None:
        agent = Slow(agent_id="worker")
        agent.neural_store = store
        async with agent:
            await agent.work()

    task = asyncio.create_task(life())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert saving.is_set()
    assert (store.load("worker").done, store.load("worker").heard) == (1, ["start", "stopping"])


async def test_a_living_agent_can_be_copied(store: Store) -> None:
    async with worker(store) as agent:
        await agent.work()
        twin = copy.deepcopy(agent)
        await agent.work()
    assert (twin.done, twin.learner.adapted.learned, twin.neural_store) == (1, 1, store)


async def test_an_agent_that_cannot_start_does_not_live(store: Store) -> None:
    class Broken(Worker):
        async def on_start(self) -> None:
            raise OSError("no network")

    agent = Broken(agent_id="worker")
    agent.neural_store = store
    with pytest.raises(OSError, match="no network"):
        await agent.__aenter__()
    assert store.names() == []
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


async def test_what_stops_an_agent_from_stopping_does_not_stop_its_save(store: Store) -> None:
    class Broken(Worker):
        async def on_stop(self) -> None:
            raise OSError("no network")

    async def life() -> None:
        agent = Broken(agent_id="worker")
        agent.neural_store = store
        async with agent:
            await agent.work()

    with pytest.raises(OSError, match="no network"):
        await life()
    assert store.load("worker").done == 1


async def test_two_lives_at_once_under_one_id_are_a_conflict(store: Store) -> None:
    one = await worker(store).__aenter__()
    async with worker(store) as other:
        await other.work()
    await one.work()
    with pytest.raises(Conflict):
        await one.__aexit__(None, None, None)
    assert store.load("worker").heard == ["start", "start", "stop"]


async def test_a_process_that_listens_to_sigterm_itself_goes_on_doing_so(store: Store) -> None:
    heard: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        async with worker(store):
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert heard == [signal.SIGTERM]


async def test_sigterm_means_again_what_it_meant_when_the_last_agent_has_ended(
    store: Store,
) -> None:
    async with worker(store):
        other = Worker(agent_id="other")
        other.neural_store = store
        async with other:
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


class Told(Worker):
    """Is told to end a second time while its last save is on its way."""

    async def on_stop(self) -> None:
        await super().on_stop()
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)


LIFE = """
import asyncio, os, signal, sys
from dachi_fast import KeyFile, Store
from tests.test_agents import Told, Worker

async def life(store, name):
    made = {"at work": Worker, "while it saves": Told}[sys.argv[2]]
    agent = made(agent_id=name, save_every_s=0.001)
    agent.neural_store = store
    async with agent:
        while True:
            await agent.work()
            if agent.done == 20:
                print("at work", flush=True)
            await asyncio.sleep(0)

async def main(store):
    await asyncio.gather(life(store, "one"), life(store, "two"))

with Store.open(sys.argv[1] + "/store", keys=KeyFile(sys.argv[1] + "/key")) as store:
    asyncio.run(main(store))
"""


def ended(child: Child) -> int:
    for _ in range(2):
        assert child.stdout.readline() == "at work\n", child.stderr.read()
    child.process.send_signal(signal.SIGTERM)
    child.process.communicate()
    return child.process.returncode


@pytest.mark.parametrize("when", ["at work", "while it saves"])
def test_sigterm_ends_a_process_after_its_agents_have_saved(when: str, tmp_path: Path) -> None:
    # Agents save every millisecond here, so that the signal comes in the middle of saves, too.
    assert ended(started(LIFE, str(tmp_path), when)) == -signal.SIGTERM
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        for name in ("one", "two"):
            agent = store.load(name)
            assert agent.heard == ["start", "stop"]
            assert agent.done == agent.learner.adapted.learned >= 20
            agent.neural_store = store
            assert len(agent.sync.experiences(limit=None)) == agent.done
        store.verify()
