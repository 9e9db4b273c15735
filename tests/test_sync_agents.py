"""Agents in scripts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dachi_fast import Attr, BaseAgent, KeyFile, Store
from dachi_fast.learning import LinTS, NeuralLearningMixin


class Guide(NeuralLearningMixin):
    agent_id = "guide"


class Worker(BaseAgent):
    """Counts what it is told; begins and ends."""

    done: int = Attr(default=0)
    lives: list[str] = Attr(default_factory=list)

    async def on_start(self) -> None:
        await super().on_start()
        self.lives = [*self.lives, "start"]

    async def on_task_complete(self, outcome: object) -> None:
        await super().on_task_complete(outcome)  # type: ignore[arg-type]
        self.done += 1

    async def on_stop(self) -> None:
        self.lives = [*self.lives, "stop"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key"), witness=None) as store:
        yield store


def guide(store: Store) -> Guide:
    made = Guide()
    made.neural_store = store
    return made


def worker(store: Store) -> Worker:
    made = Worker(agent_id="worker")
    made.neural_store = store
    return made


def test_a_script_does_all_that_a_loop_does(store: Store) -> None:
    agent = guide(store)
    assert not agent.sync.restore_neural_state()
    for number in range(6):
        decision = agent.choose({"goal": "sea"}, ["north", "south"])
        agent.update_weights(decision.action == "south", source=["Ada", None][number % 2])
    version = agent.sync.save_neural_state(justification="by hand")
    assert (version.number, version.justification) == (1, "by hand")
    assert len(agent.sync.experiences(by="similarity", like={"goal": "sea"})) == 6
    assert agent.sync.replay(into=LinTS()) == 6
    assert len(agent.sync.influence(decision)) > 0
    assert agent.sync.unlearn("Ada").experiences == 3
    assert agent.sync.rollback_neural_state(1).unlearned == ("Ada",)
    assert repr(agent.sync) == "<sync view of Guide 'guide'>"


def test_a_life_of_a_script_restores_and_saves(store: Store) -> None:
    for lives in (1, 2):
        agent = worker(store)
        with agent.sync as life:
            agent.choose([1.0], ["rock", "paper"])
            with life.hold():
                life.on_task_complete(1.0)
        saved = store.load("worker")
        assert (saved.done, saved.lives) == (lives, ["start", "stop"] * lives)
    assert len(worker(store).sync.experiences()) == 2
    with pytest.raises(RuntimeError, match="hold"):
        worker(store).sync.hold()


def test_what_ends_a_life_by_an_error_is_saved_all_the_same(store: Store) -> None:
    agent = worker(store)

    def life() -> None:
        with agent.sync as life:
            agent.choose([1.0], ["rock", "paper"])
            life.on_task_complete(1.0)
            raise OSError("no network")

    with pytest.raises(OSError, match="no network"):
        life()
    assert store.load("worker").done == 1
    assert "OSError" in store.version("worker").justification


def test_no_state_is_taken_between_a_reward_and_its_experience(store: Store) -> None:
    agent, stop = guide(store), threading.Event()

    def saves() -> None:
        while not stop.is_set():
            agent.sync.save_neural_state()

    saver = threading.Thread(target=saves)
    saver.start()
    try:
        for _ in range(200):
            agent.choose([1.0], ["rock", "paper"])
            agent.update_weights(1.0)
    finally:
        stop.set()
        saver.join()
    agent.sync.save_neural_state()
    kept = [one.followed or 0 for one in agent.sync.experiences(limit=None)]
    for version in store.history("guide"):
        learned = store.load("guide", version=version.number).learner.adapted.learned
        assert sum(followed < version.number for followed in kept) == learned


async def test_a_loop_is_told_to_await(store: Store) -> None:
    with pytest.raises(RuntimeError, match="await the agent's own method"):
        guide(store).sync.experiences()
