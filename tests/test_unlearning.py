"""Agents take back what a source taught, go back, and say what weighed in a choice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dachi_fast import KeyFile, LmdbMemoryProvider, Store
from dachi_fast.errors import Conflict, LearningError, UnlearnIncomplete
from dachi_fast.learning import (
    Experience,
    Learner,
    LinTS,
    LinUCB,
    NeuralLearningMixin,
    SoftmaxPolicy,
)

ACTIONS = ["a", "b", "c"]


class Guide(NeuralLearningMixin):
    """An agent of no class in particular."""

    agent_id: str


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key"), witness=None) as store:
        yield store


def placed(store: Store, learner: Learner | None = None, name: str = "guide") -> Guide:
    agent = Guide()
    agent.neural_store, agent.agent_id = store, name
    agent.learner = LinUCB() if learner is None else learner
    return agent


def mind(agent: Guide) -> Any:
    """Gives an agent's learner, whichever that is."""
    return agent.learner.adapted


def live(agent: Guide, steps: range, *, sources: list[str | None] | None = None) -> None:
    """Lets an agent choose and learn; who teaches it takes turns."""
    for step in steps:
        drawn = np.random.default_rng(step)
        decision = agent.choose(drawn.random(4), ACTIONS)
        taught = (sources or ["Ada", "Ben", None])[step % 3 if sources is None else 0]
        agent.update_weights(float(drawn.random()), decision=decision, source=taught)


async def replayed(agent: Guide, fresh: Learner, *, without: str) -> Any:
    """Gives the reference: the same log, without the source, while time goes on."""
    fresh.offer(ACTIONS, dimension=4)
    for one in (await agent.experiences(limit=None))[::-1]:
        if one.source != without:
            fresh.learn(
                one.context,
                one.action,
                one.reward,
                propensity=one.propensity,
                actions=one.actions,
            )
        else:
            fresh.learned += 1
    return fresh


def same(found: Any, expected: Any, *names: str) -> None:
    for name in names:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9)


async def test_what_a_source_taught_is_taken_back_in_one_commit(store: Store) -> None:
    agent = placed(store)
    live(agent, range(60))
    await agent.save_neural_state()
    reference = await replayed(agent, LinUCB(), without="Ada")
    gone = await agent.unlearn("Ada", justification="Ada was wrong")
    assert (gone.version.number, gone.experiences) == (2, 20)
    learner = mind(agent)
    same(learner, reference, "gram", "moment", "weights", "learned")
    assert {one.source for one in await agent.experiences()} == {"Ben", None}
    ordered = [e for e in store.ledger() if e.justification == "Ada was wrong"][::-1]
    assert [(e.operation, e.memory_type) for e in ordered] == [
        ("unlearn", "neural_experience"),
        ("store", "neural_unlearning"),
        ("store", "state"),
    ]
    again = placed(store)
    await again.restore_neural_state()
    same(mind(again), learner, "gram", "weights")
    left = {name for held in mind(again).shares.values() for name in held}
    assert left == {None, "Ben"}


async def test_what_was_not_saved_yet_is_taken_back_too(store: Store) -> None:
    agent = placed(store)
    live(agent, range(30))
    await agent.save_neural_state()
    live(agent, range(30, 60))
    gone = await agent.unlearn("Ada")
    assert gone.experiences == 20
    assert len(await agent.experiences()) == 40
    assert "Ada" not in {one.source for one in await agent.experiences()}


async def test_sums_survive_the_experiences_that_were_not_kept(store: Store) -> None:
    agent, whole = placed(store, LinTS(discount=0.98)), placed(store, LinTS(discount=0.98), "whole")
    agent.experience_limit = 3
    for each in (agent, whole):
        live(each, range(60))
        await each.save_neural_state()
    reference = await replayed(whole, LinTS(discount=0.98), without="Ben")
    assert (await agent.unlearn("Ben")).experiences == 1
    learner = mind(agent)
    fades = [0.98 ** (reference.aged[row] - learner.aged[row]) for row in range(3)]
    for name in ("gram", "moment"):
        found, expected = getattr(learner, name), getattr(reference, name)
        for row in range(3):
            np.testing.assert_allclose(found[row] * fades[row], expected[row], rtol=1e-9)


async def test_a_policy_learns_the_rest_anew_or_says_that_it_cannot(store: Store) -> None:
    agent = placed(store, SoftmaxPolicy())
    live(agent, range(30))
    await agent.save_neural_state()
    live(agent, range(30, 60))
    kept = placed(store, SoftmaxPolicy(), "kept")
    live(kept, range(60))
    await kept.save_neural_state()
    reference = await replayed(kept, SoftmaxPolicy(), without="Ada")
    await agent.unlearn("Ada")
    assert mind(agent).weights.tobytes() == reference.weights.tobytes()
    # What was taken back before is no gap.
    reference = await replayed(agent, SoftmaxPolicy(), without="Ben")
    await agent.unlearn("Ben")
    assert mind(agent).learned == 60

    short = placed(store, SoftmaxPolicy(), "short")
    short.experience_limit = 10
    live(short, range(30))
    await short.save_neural_state()
    before = mind(short).weights.copy()
    with pytest.raises(UnlearnIncomplete, match="20 of the 30"):
        await short.unlearn("Ada")
    assert mind(short).weights.tobytes() == before.tobytes()
    assert (len(store.history("short")), len(await short.experiences())) == (1, 10)


async def test_an_older_version_takes_it_back_when_it_is_restored(store: Store) -> None:
    agent = placed(store)
    live(agent, range(30))
    await agent.save_neural_state()
    reference = await replayed(agent, LinUCB(), without="Ada")
    live(agent, range(30, 60))
    await agent.save_neural_state()
    await agent.unlearn("Ada")
    restored = await agent.rollback_neural_state(1)
    assert restored.unlearned == ("Ada",)
    same(mind(agent), reference, "gram", "moment", "weights")
    await agent.save_neural_state()
    assert (await agent.restore_neural_state()).unlearned == ()
    live(agent, range(60, 63))  # Ada may teach again
    await agent.save_neural_state()
    assert (await agent.restore_neural_state()).unlearned == ()
    assert "Ada" in {name for held in mind(agent).shares.values() for name in held}


async def test_a_policy_of_before_takes_it_back_from_what_is_kept(store: Store) -> None:
    agent = placed(store, SoftmaxPolicy())
    live(agent, range(30))
    await agent.save_neural_state()
    reference = await replayed(agent, SoftmaxPolicy(), without="Ada")
    live(agent, range(30, 60))
    await agent.save_neural_state()
    await agent.unlearn("Ada")
    assert (await agent.rollback_neural_state(1)).unlearned == ("Ada",)
    assert mind(agent).weights.tobytes() == reference.weights.tobytes()


async def test_a_version_that_cannot_take_it_back_is_not_restored(store: Store) -> None:
    agent = placed(store, SoftmaxPolicy())
    live(agent, range(30))
    await agent.save_neural_state()
    await agent.unlearn("Ada")
    session = LmdbMemoryProvider(store, namespace="guide").begin()
    one = next(session.each(0, "neural_experience"))
    session.delete(0, "neural_experience", one.id, agent_id="guide", justification="")
    session.commit()
    before = mind(agent).weights.copy()
    with pytest.raises(UnlearnIncomplete, match="1 of the 30"):
        await agent.restore_neural_state(version=1)
    assert mind(agent).weights.tobytes() == before.tobytes()
    live(agent, range(30, 31))
    assert (await agent.save_neural_state()).number == 3


async def test_a_fork_takes_it_back_when_it_is_restored_next(store: Store) -> None:
    agent = placed(store)
    live(agent, range(30))
    await agent.save_neural_state()
    store.fork("guide", "trial")
    await agent.unlearn("Ada")
    trial = placed(store, name="trial")
    assert (await trial.restore_neural_state()).unlearned == ("Ada",)
    same(mind(trial), mind(agent), "gram", "weights")


async def test_taking_back_what_cannot_be_saved_changes_nothing(store: Store) -> None:
    agent, other = placed(store), placed(store)
    live(agent, range(30))
    await agent.save_neural_state()
    await other.restore_neural_state()
    live(other, range(30, 33))
    await other.save_neural_state()
    live(agent, range(33, 36))
    before = mind(agent).gram.copy()
    with pytest.raises(Conflict):
        await agent.unlearn("Ada")
    assert mind(agent).gram.tobytes() == before.tobytes()
    assert mind(agent).unlearned == []
    assert [one.step for one in agent._memory().fresh] == [30, 31, 32]


async def test_a_stretch_that_could_not_be_saved_begins_with_the_next_save(store: Store) -> None:
    agent, other = placed(store), placed(store)
    live(agent, range(3))
    await agent.save_neural_state()
    await agent.rollback_neural_state(1)
    await other.restore_neural_state()
    await other.save_neural_state()
    live(agent, range(3, 6))
    with pytest.raises(Conflict):
        await agent.unlearn("Ada")
    assert agent._memory().elsewhere
    assert len(mind(agent).lineage) == 1


async def test_a_source_that_taught_nothing_is_an_entry_all_the_same(store: Store) -> None:
    agent = placed(store)
    live(agent, range(3), sources=["Ben"])
    await agent.save_neural_state()
    before = mind(agent).gram.copy()
    assert (await agent.unlearn("nobody")).experiences == 0
    assert mind(agent).gram.tobytes() == before.tobytes()
    assert "unlearn" in {entry.operation for entry in store.ledger()}
    for source in ("", None, 3):
        with pytest.raises(LearningError):
            await agent.unlearn(source)  # type: ignore[arg-type]


async def test_a_source_is_taken_back_while_the_agent_goes_on(store: Store) -> None:
    agent = placed(store)
    live(agent, range(30))
    saving = asyncio.create_task(agent.save_neural_state())
    taking = asyncio.create_task(agent.unlearn("Ada"))
    await asyncio.sleep(0)
    live(agent, range(30, 36))
    await asyncio.gather(saving, taking)
    await agent.save_neural_state()
    reference = await replayed(agent, LinUCB(), without="Ada")
    learned = {one.step for one in await agent.experiences(limit=None)}
    assert learned <= set(range(36))
    assert mind(agent).learned == 36
    expected = sum(len(held) for held in [learned])
    assert len(await agent.experiences()) == expected
    np.testing.assert_allclose(
        mind(agent).gram.sum(),
        reference.gram.sum(),
        rtol=1e-9,
    )


# --- going back -----------------------------------------------------------------------------------


async def test_a_rollback_keeps_what_happened_or_hides_it(store: Store) -> None:
    agent = placed(store)
    for first in (0, 3, 6):
        live(agent, range(first, first + 3))
        await agent.save_neural_state()
    restored = await agent.rollback_neural_state(1, justification="a bad day")
    assert restored.version is not None
    assert (restored.version.restores, mind(agent).learned) == (1, 3)
    assert len(await agent.experiences()) == 9
    live(agent, range(9, 10))
    await agent.save_neural_state()
    assert [one.step for one in await agent.experiences(limit=2)] == [3, 8]

    await agent.rollback_neural_state(1, with_memory=True)
    assert [one.step for one in await agent.experiences()] == [2, 1, 0]
    again = placed(store)
    await again.restore_neural_state()
    assert [one.step for one in await again.experiences()] == [2, 1, 0]
    live(again, range(10, 11))
    await again.save_neural_state()
    assert [one.step for one in await again.experiences()] == [3, 2, 1, 0]
    await again.rollback_neural_state(3)  # what was hidden is there
    assert len(await again.experiences()) == 11


async def test_what_a_rollback_left_behind_is_no_part_of_the_log(store: Store) -> None:
    agent = placed(store, SoftmaxPolicy())
    live(agent, range(6))
    await agent.save_neural_state()
    live(agent, range(6, 12))
    await agent.save_neural_state()
    await agent.rollback_neural_state(1)
    live(agent, range(12, 18))
    await agent.save_neural_state()
    log = await agent.experiences(limit=None)
    abandoned = {one.key for one in log if one.stretch == "guide@0" and (one.step or 0) >= 6}
    assert len(abandoned) == 6
    fresh = SoftmaxPolicy()
    fresh.offer(ACTIONS, dimension=4)
    for one in log[::-1]:
        if one.key not in abandoned and one.source != "Ada":
            told = {"propensity": one.propensity, "actions": one.actions}
            fresh.learn(one.context, one.action, one.reward, **told)  # type: ignore[arg-type]
        elif one.key not in abandoned:
            fresh.learned += 1
    await agent.unlearn("Ada")
    assert mind(agent).weights.tobytes() == fresh.weights.tobytes()


# --- why ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("discount", [1.0, 0.9])
async def test_what_weighed_in_a_choice_adds_up_to_what_is_expected(
    store: Store, discount: float
) -> None:
    agent = placed(store, LinUCB(discount=discount))
    live(agent, range(40))
    await agent.save_neural_state()
    decision = agent.choose([0.2, 0.9, 0.1, 0.4], ACTIONS)
    every = await agent.influence(decision, limit=None)
    expected = mind(agent).expectations(decision.features)[decision.action]
    assert sum(one.weight for one in every) == pytest.approx(expected, rel=1e-9)
    assert {one.experience.action for one in every} == {decision.action}
    weights = [abs(one.weight) for one in every]
    assert weights == sorted(weights, reverse=True)
    most = await agent.influence(decision.id, limit=3)
    assert [one.experience.key for one in most] == [one.experience.key for one in every[:3]]


async def test_the_experience_that_taught_a_choice_weighs_most(store: Store) -> None:
    agent = placed(store)
    mind(agent).offer(ACTIONS, dimension=4)
    agent.record_experience("a", [1.0, 0, 0, 0], "far from it", 1.0)
    told = agent.record_experience("a", [0, 1.0, 0, 0], "this one", 1.0, source="Ada")
    agent.record_experience("b", [0, 1.0, 0, 0], "another action", 0.5)
    await agent.save_neural_state()
    first, *others = await agent.influence(agent.choose([0.1, 1.0, 0, 0], ["a"]))
    assert (first.experience.id, first.experience.source) == (told.id, "Ada")
    assert first.weight > 9 * others[0].weight
    assert len(others) == 1


async def test_influence_is_asked_of_sums_and_of_known_decisions(store: Store) -> None:
    agent = placed(store, SoftmaxPolicy())
    decision = agent.choose([1.0], ACTIONS)
    with pytest.raises(LearningError, match="no sum") as raised:
        await agent.influence(decision)
    assert raised.value.code == "influence"
    with pytest.raises(LearningError, match="does not wait") as raised:
        await agent.influence("7-0123456789abcdef")
    assert raised.value.code == "decision"
    linear = placed(store)
    unknown = linear.choose([1.0], ACTIONS)
    mind(linear).drop(unknown.action)
    assert await linear.influence(unknown) == []


# --- once more ------------------------------------------------------------------------------------


async def test_another_learner_learns_from_what_was_experienced(store: Store) -> None:
    agent = placed(store)
    live(agent, range(30))
    await agent.save_neural_state()
    other = LinTS()
    assert await agent.replay(into=other, limit=None) == 30
    np.testing.assert_allclose(other.gram, mind(agent).gram, rtol=1e-9)
    with pytest.raises(LearningError) as raised:
        await agent.replay()
    assert raised.value.code == "replay"


async def test_a_policy_replays_by_clipped_importance(store: Store) -> None:
    agent = placed(store, SoftmaxPolicy())
    live(agent, range(12))
    agent.record_experience("a", np.ones(4), None, 1.0)  # nobody knows how probable that was
    await agent.save_neural_state()
    learner = mind(agent)
    reference = SoftmaxPolicy.from_spec(learner.spec())
    reference.load_state_dict(learner.state_dict())
    log = (await agent.experiences())[::-1]
    assert await agent.replay() == reference.replay(log) == 12
    assert learner.weights.tobytes() == reference.weights.tobytes()
    with pytest.raises(UnlearnIncomplete):
        await agent.unlearn("Ada")


@pytest.mark.parametrize("learner", [LinUCB, SoftmaxPolicy])
async def test_the_most_telling_experiences_come_first(
    store: Store, learner: type[Learner]
) -> None:
    agent = placed(store, learner())
    mind(agent).offer(ACTIONS, dimension=1)
    for reward in (0.5, 0.5, 0.5, 1.0, 0.45):
        agent.record_experience("a", [1.0], None, reward)
    await agent.save_neural_state()
    found = await agent.experiences(by="importance")
    assert found[0].reward == 1.0
    assert [one.reward for one in await agent.experiences(by="importance", limit=1)] == [1.0]
    surprises = [mind(agent).surprise(one) for one in found]
    assert surprises == sorted(surprises, reverse=True)
    assert mind(agent).surprise(Experience("never seen", [1.0], None, 1.0)) == 0.0
