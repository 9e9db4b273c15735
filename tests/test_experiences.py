"""What an agent experienced: kept in the commit of the state that learned it, and found again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dachi_fast import (
    Attr,
    BaseAgent,
    KeyFile,
    LmdbMemoryProvider,
    Store,
    TransactionManager,
    registry,
)
from dachi_fast.errors import Conflict, LearningError, StateError, StoreClosed
from dachi_fast.learning import Experience, NeuralLearningMixin, SoftmaxPolicy
from dachi_fast.learning._memory import default_limit

ACTIONS = ["left", "right"]


class Guide(NeuralLearningMixin):
    """An agent of no class in particular."""


class Worker(BaseAgent):
    """An agent that is a module."""

    done: int = Attr(default=0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key"), witness=None) as store:
        yield store


def placed(store: Store, name: str = "guide", **more: Any) -> Guide:
    agent = Guide()
    agent.neural_store = store
    for field, value in {"agent_id": name, **more}.items():
        setattr(agent, field, value)
    return agent


def lesson(agent: Any, context: Any = (1.0, 0.5), *, source: str | None = None) -> str:
    decision = agent.choose(context, ACTIONS)
    outcome = {"reward": decision.action == "left", "note": "done"}
    agent.update_weights(outcome, source=source)
    return str(decision.id)


async def steps(agent: Any, **more: Any) -> list[int | None]:
    return [one.step for one in await agent.experiences(**more)]


# --- kept with the state --------------------------------------------------------------------------


async def test_experiences_are_committed_with_the_state_that_learned_them(store: Store) -> None:
    agent = placed(store)
    keys = [lesson(agent, source="Ada") for _ in range(3)]
    assert await agent.experiences() == []
    await agent.save_neural_state(justification="three tasks")
    commit = [e for e in store.ledger() if e.justification == "three tasks"]
    assert [e.memory_type for e in commit] == ["state", "neural_state", *["neural_experience"] * 3]
    found = (await agent.experiences())[::-1]
    assert [one.id for one in found] == keys
    assert [(one.step, one.followed, one.source) for one in found] == [
        (step, 0, "Ada") for step in range(3)
    ]
    one = found[0]
    assert one.context.tolist() == [1.0, 0.5]
    assert one.outcome == {"reward": one.action == "left", "note": "done"}
    assert (one.actions, one.propensity) == (("left", "right"), 0.5)


async def test_each_way_to_learn_is_an_experience(store: Store) -> None:
    agent = placed(store)
    lesson(agent, {"goal": "sea"})
    agent.record_experience("right", "which way?", "lost", False, propensity=0.25, source="Ada")
    agent.update_weights(Experience("left", {"goal": "sea"}, "found", 1.0, propensity=0.5))
    decision = agent.choose({"goal": "sea"}, ACTIONS)
    assert agent.update_weights(0.25, decision=decision)
    assert not agent.update_weights(0.25, decision=decision)
    await agent.save_neural_state()
    told = [
        (one.action, one.context, one.outcome, one.reward, one.propensity, one.actions)
        for one in (await agent.experiences())[::-1]
    ]
    both = tuple(ACTIONS)
    assert told[1:] == [
        ("right", "which way?", "lost", 0.0, 0.25, both),
        ("left", {"goal": "sea"}, "found", 1.0, 0.5, both),
        (decision.action, {"goal": "sea"}, 0.25, 0.25, decision.propensity, both),
    ]


async def test_what_changes_later_does_not_change_an_experience(store: Store) -> None:
    agent, context, outcome = placed(store), {"tags": ["x"]}, {"seen": [1]}
    agent.choose(context, ACTIONS)
    agent.record_experience("left", context, outcome, 1.0)
    context["tags"].append("y")
    outcome["seen"].append(2)
    await agent.save_neural_state()
    [found] = await agent.experiences()
    assert (found.context, found.outcome) == ({"tags": ["x"]}, {"seen": [1]})


async def test_an_outcome_that_no_state_can_hold_is_refused_and_nothing_learned(
    store: Store,
) -> None:
    agent = placed(store)
    decision = agent.choose([1.0], ACTIONS)
    for outcome in ({"reward": 1.0, "by": object()}, object()):
        with pytest.raises(StateError):
            agent.record_experience(decision.action, [1.0], outcome, 1.0)
    with pytest.raises(StateError):
        agent.update_weights({"reward": 1.0, "by": object()})
    with pytest.raises(LearningError, match="a source is a text"):
        agent.update_weights(1.0, source="")
    assert agent.learner.adapted.learned == 0
    assert list(agent.learner.adapted.pending) == [decision.id]


async def test_saves_that_are_asked_for_at_once_come_in_order(store: Store) -> None:
    agent, saves = placed(store), []
    for number in range(5):
        lesson(agent)
        saves.append(asyncio.create_task(agent.save_neural_state(justification=str(number))))
        await asyncio.sleep(0)
    versions = await asyncio.gather(*saves)
    assert [version.number for version in versions] == [1, 2, 3, 4, 5]
    assert [one.followed for one in await agent.experiences()] == [4, 3, 2, 1, 0]
    assert [store.load("guide", version=n).learner.adapted.learned for n in range(1, 6)] == [
        1,
        2,
        3,
        4,
        5,
    ]


async def test_what_could_not_be_saved_goes_with_the_next_save(store: Store) -> None:
    agent, other = placed(store), placed(store)
    await other.save_neural_state()
    lesson(agent)
    with pytest.raises(Conflict):
        await agent.save_neural_state()
    assert await agent.experiences() == []
    store._track(agent._neural_root(), "guide", 1)
    lesson(agent)
    await agent.save_neural_state()
    assert await steps(agent) == [1, 0]


async def test_a_restore_lets_go_of_what_was_not_saved(store: Store) -> None:
    agent = placed(store)
    lesson(agent)
    await agent.save_neural_state()
    lesson(agent)
    await agent.restore_neural_state()
    lesson(agent)
    await agent.save_neural_state()
    assert await steps(agent) == [1, 0]


async def test_two_agents_of_one_namespace_that_delete_the_same_do_not_conflict(
    store: Store,
) -> None:
    one = placed(store, experience_limit=4)
    for _ in range(4):
        lesson(one)
    await one.save_neural_state()
    store.fork("guide", "other")
    other = placed(store, "other", experience_limit=4)
    await other.restore_neural_state()
    for _ in range(10):
        lesson(one)
        lesson(other)
        await asyncio.gather(one.save_neural_state(), other.save_neural_state())
    assert len(await one.experiences()) + len(await other.experiences()) == 4


async def test_a_store_is_closed_when_what_was_asked_for_is_saved(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key"), witness=None) as store:
        agent = placed(store)
        saves = []
        for _ in range(3):
            lesson(agent)
            saves.append(asyncio.create_task(agent.save_neural_state()))
            await asyncio.sleep(0)
        await store.aclose()
        assert [version.number for version in await asyncio.gather(*saves)] == [1, 2, 3]
        lesson(agent)
        with pytest.raises(StoreClosed):
            await agent.save_neural_state()


async def test_a_flush_waits_for_experiences(store: Store) -> None:
    agent = placed(store)
    lesson(agent)
    saving = asyncio.create_task(agent.save_neural_state())
    await asyncio.sleep(0)
    saving.cancel()  # whoever waited went away
    await store.aflush()
    assert await steps(agent) == [0]


async def test_a_living_agent_saves_what_it_experienced(store: Store) -> None:
    worker = Worker(agent_id="worker")
    worker.neural_store = store
    async with worker:
        lesson(worker)
    assert await steps(worker) == [0]
    async with worker:
        pass
    assert len(store.history("worker")) == 2  # nothing new: nothing saved


# --- how many -------------------------------------------------------------------------------------


async def test_the_oldest_go_in_the_commit_that_makes_them_too_many(store: Store) -> None:
    agent = placed(store, experience_limit=3)
    for _ in range(5):
        lesson(agent)
        await agent.save_neural_state()
        assert len(await agent.experiences()) <= 3
    assert await steps(agent) == [4, 3, 2]
    deleted = [e for e in store.ledger() if e.operation == "delete"]
    assert [e.memory_type for e in deleted] == ["neural_experience", "neural_experience"]
    for _ in range(5):
        lesson(agent)
    await agent.save_neural_state()
    assert await steps(agent) == [9, 8, 7]


async def test_none_are_kept_with_a_limit_of_0(store: Store) -> None:
    agent = placed(store, experience_limit=0)
    lesson(agent)
    await agent.save_neural_state()
    assert await agent.experiences() == []
    assert store.load("guide").learner.adapted.learned == 1


def test_the_default_limit_bounds_the_numbers_that_are_kept() -> None:
    assert [default_limit(d) for d in (0, 64, 838, 839, 100_000, 1 << 30)] == [
        10_000,
        10_000,
        10_000,
        9_998,
        83,
        1,
    ]


# --- whose ----------------------------------------------------------------------------------------


async def test_a_fork_has_what_it_came_from_and_its_own(store: Store) -> None:
    agent = placed(store)
    lesson(agent)
    await agent.save_neural_state()
    store.fork("guide", "trial")
    lesson(agent)
    await agent.save_neural_state()
    trial = placed(store, "trial")
    await trial.restore_neural_state()
    for _ in range(2):
        lesson(trial)
        await trial.save_neural_state()
    assert await steps(agent) == [1, 0]
    found = await trial.experiences()
    assert [(one.step, one.stretch) for one in found] == [
        (2, "trial@1"),
        (1, "trial@1"),
        (0, "guide@0"),
    ]


async def test_only_what_a_source_taught_is_given_where_it_is_asked_for(store: Store) -> None:
    agent = placed(store)
    for source in ("Ada", "Ben", None, "Ada"):
        lesson(agent, source=source)
    await agent.save_neural_state()
    assert await steps(agent, source="Ada") == [3, 0]
    assert await steps(agent, source="Ada", limit=1) == [3]


async def test_experiences_can_be_read_as_documents(store: Store) -> None:
    agent = placed(store)
    lesson(agent, {"goal": "sea"}, source="Ada")
    await agent.save_neural_state()
    with TransactionManager(LmdbMemoryProvider(store, namespace="guide")).sync as tx:
        [found] = tx.find("neural_experience", where={"source": "Ada"})
    assert found.content["context"] == {"goal": "sea"}
    assert (found.content["agent"], found.content["followed"]) == ("guide", 0)


async def test_documents_of_others_in_its_namespace_are_none_of_its_experiences(
    store: Store,
) -> None:
    agent = placed(store)
    with TransactionManager(LmdbMemoryProvider(store, namespace="guide")).sync as tx:
        for kind in ("experience", "state", "note"):
            tx.store(kind, {"anything": 1})
    lesson(agent)
    await agent.save_neural_state()
    assert await steps(agent) == [0]
    assert (await agent.unlearn("Ada")).experiences == 0


async def test_looking_at_experiences_is_in_the_ledger(store: Store) -> None:
    agent = placed(store)
    lesson(agent)
    await agent.save_neural_state()
    await agent.experiences()
    await agent.save_neural_state()
    reads = [e for e in store.ledger() if e.operation == "retrieve"]
    assert "neural_experience" in {entry.memory_type for entry in reads}


async def test_an_agent_is_restored_where_the_classes_of_outcomes_are_not_known(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    @registry.value
    @dataclass(frozen=True)
    class Verdict:
        text: str

    agent = placed(store)
    agent.choose([1.0], ACTIONS)
    agent.record_experience("left", [1.0], Verdict("fine"), 1.0)
    await agent.save_neural_state()
    monkeypatch.delitem(registry.value_types, str(registry.value_name(Verdict)))
    again = placed(store)
    assert (await again.restore_neural_state()).experiences == ()
    assert again.learner.adapted.learned == 1


async def test_policies_and_arrays_are_kept_as_they_are(store: Store) -> None:
    agent = placed(store)
    agent.learner = SoftmaxPolicy()
    context = np.array([0.1, 1e-300, -2.5])
    lesson(agent, context)
    await agent.save_neural_state()
    [found] = await agent.experiences()
    assert found.context.tobytes() == context.tobytes()
    assert found.propensity == 0.5


async def test_another_learner_of_an_agent_begins_a_stretch_of_its_own(store: Store) -> None:
    agent = placed(store)
    agent.choose([1.0, 0.5], ACTIONS, decide="durable")
    for _ in range(2):
        lesson(agent)
        await agent.save_neural_state()
        agent.learner = SoftmaxPolicy()
    lesson(agent)
    await agent.save_neural_state()
    found = [(one.step, one.stretch) for one in await agent.experiences()]
    assert found == [(0, "guide@3"), (0, "guide@2"), (0, "guide@0")]
    assert (await agent.unlearn("nobody")).experiences == 0  # its log is complete


# --- found again ----------------------------------------------------------------------------------

QUESTIONS = {
    "Sort the items of a list": "left",
    "Open a file and read its lines": "right",
    "Order a sequence of numbers": "left",
    "Bake a chocolate cake": "right",
}


async def asked(store: Store, name: str = "guide") -> Guide:
    agent = placed(store, name)
    for text, action in QUESTIONS.items():
        agent.learner.adapted.offer(ACTIONS)
        agent.record_experience(action, text, "fine", 1.0, source=text[:4])
    await agent.save_neural_state()
    return agent


async def test_experiences_are_found_by_what_their_texts_mean(store: Store) -> None:
    agent = await asked(store)
    found = await agent.experiences(by="similarity", like="How do I sort a sequence?", limit=2)
    assert {one.context for one in found} == {
        "Sort the items of a list",
        "Order a sequence of numbers",
    }
    near, far = (one.similarity or 0 for one in found)
    assert 1 > near >= far > 0.2
    every = await agent.experiences(by="similarity", like="How do I sort?", limit=None)
    assert len(every) == 4
    [one] = await agent.experiences(by="similarity", like="sort", source="Bake")
    assert one.context == "Bake a chocolate cake"


@pytest.mark.parametrize(
    ("contexts", "like"),
    [
        ([{"goal": "sea"}, {"goal": "sea", "fog": True}, {"goal": "hill"}], {"goal": "sea"}),
        ([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0]], [2.0, 0.0]),
        ([np.eye(3000)[0], np.eye(3000)[0] + 1e-3, np.eye(3000)[9]], np.eye(3000)[0]),
        ([[1e49, 0.0], [1e49, 1e48], [0.0, 1e-300]], [1.0, 0.0]),
    ],
    ids=["dicts", "vectors", "long vectors", "large and small numbers"],
)
async def test_contexts_of_one_kind_are_compared(
    store: Store, contexts: list[Any], like: Any
) -> None:
    agent = placed(store)
    agent.learner = SoftmaxPolicy()
    for context in contexts:
        lesson(agent, context)
    await agent.save_neural_state()
    found = await agent.experiences(by="similarity", like=like)
    assert [one.step for one in found] == [0, 1, 2]
    assert found[0].similarity == pytest.approx(1, abs=1e-3)
    assert await agent.experiences(by="similarity", like="a text") == []


async def test_a_context_that_says_nothing_is_kept_and_not_compared(store: Store) -> None:
    agent = placed(store)
    lesson(agent, [0.0, 0.0])
    await agent.save_neural_state()
    assert await steps(agent) == [0]
    assert await agent.experiences(by="similarity", like=[1.0, 0.0]) == []
    assert await agent.experiences(by="similarity", like=[0.0, 0.0]) == []


async def test_what_a_fork_experienced_is_not_found_by_others(store: Store) -> None:
    agent = await asked(store)
    store.fork("guide", "trial")
    trial = placed(store, "trial")
    await trial.restore_neural_state()
    for number in range(20):
        trial.record_experience("left", f"Sort list number {number}", "fine", 1.0)
    await trial.save_neural_state()
    found = await agent.experiences(by="similarity", like="Sort a list", limit=4)
    assert {one.context for one in found} == set(QUESTIONS)
    assert len(await trial.experiences(by="similarity", like="Sort a list")) == 24


async def test_what_was_deleted_is_not_found(store: Store) -> None:
    agent = await asked(store)
    await agent.unlearn("Sort")
    agent.experience_limit = 3
    agent.record_experience("left", "Sort a dict", "fine", 1.0)
    await agent.save_neural_state()
    found = await agent.experiences(by="similarity", like="Sort the items of a list")
    assert {one.context for one in found} == {
        "Order a sequence of numbers",
        "Bake a chocolate cake",
        "Sort a dict",
    }


async def test_a_restore_tells_what_was_like_it_before(store: Store) -> None:
    agent = placed(store)
    for context in ([1.0, 0.0], [0.0, 1.0], [1.0, 0.1]):
        for _ in range(32):  # what a state is about are its last contexts
            lesson(agent, context)
        await agent.save_neural_state()
    again = placed(store)
    restored = await again.restore_neural_state()
    assert [(one.agent, one.version, one.learned) for one in restored.states] == [
        ("guide", 1, 32),
        ("guide", 2, 64),
    ]
    near, far = (one.similarity for one in restored.states)
    assert near == pytest.approx(0.995, abs=1e-3)
    assert far == pytest.approx(0.0995, abs=1e-3)
    assert len(restored.experiences) == 5
    assert all((one.similarity or 0) > 0.99 for one in restored.experiences)
    older = await again.restore_neural_state(version=2)
    assert {one.version for one in older.states} == {1, 3}
    lesson(again, [0.0, 1.0])
    assert not (await placed(store, "nobody").restore_neural_state()).states


async def test_the_contexts_of_a_life_before_are_part_of_what_a_state_is_about(
    store: Store,
) -> None:
    agent = placed(store)
    for _ in range(31):
        lesson(agent, [1.0, 0.0])
    await agent.save_neural_state()
    again = placed(store)
    await again.restore_neural_state()
    lesson(again, [0.0, 1.0])
    await again.save_neural_state()
    [one] = (await again.restore_neural_state()).states
    assert one.similarity > 0.99


async def test_states_are_kept_up_to_a_number(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dachi_fast.learning._memory.STATES", 3)
    agent = placed(store)
    for _ in range(5):
        lesson(agent)
        await agent.save_neural_state()
    with TransactionManager(LmdbMemoryProvider(store, namespace="guide")).sync as tx:
        assert [one.content["version"] for one in tx.find("neural_state")] == [3, 4, 5]


async def test_wishes_that_mean_nothing_are_refused(store: Store) -> None:
    agent = placed(store)
    with pytest.raises(ValueError, match="by is 'recency'"):
        await agent.experiences(by="luck")  # type: ignore[arg-type]
    for limit in (0, -1):
        with pytest.raises(ValueError, match="limit is a number"):
            await agent.experiences(limit=limit)
    for more in ({"by": "similarity"}, {"like": [1.0]}, {"by": "similarity", "like": object()}):
        with pytest.raises(LearningError) as raised:
            await agent.experiences(**more)
        assert raised.value.code == "context"
