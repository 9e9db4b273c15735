"""Agents that learn and last: the mixin beside any class, and what it refuses."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import Attr, BaseModule, KeyFile, MigrationReport, Param, Store, migration
from dachi_fast.errors import (
    Conflict,
    IntegrityError,
    LearningError,
    MigrationError,
    SpecError,
    StoreClosed,
    UnknownName,
)
from dachi_fast.learning import (
    EpsilonGreedy,
    Experience,
    LinTS,
    LinUCB,
    NeuralLearningMixin,
    SoftmaxPolicy,
)

ACTIONS = ["left", "right"]


class Meta(type):
    """A metaclass of somebody's own."""


class Rigid(metaclass=Meta):
    """A base that passes nothing on, has slots, and is equal to whatever it likes."""

    __slots__ = ("started",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, started: int) -> None:
        self.started = started

    def __init_subclass__(cls) -> None:
        pass

    def __eq__(self, other: object) -> bool:
        return True


class Beside(Rigid, NeuralLearningMixin):
    """The mixin behind a base that asks for arguments."""


class Before(NeuralLearningMixin, Rigid):
    """The mixin in front of it."""


class Module(BaseModule, NeuralLearningMixin):
    """An agent that is a module."""

    mood: str = Param(default="calm")
    tasks: int = Attr(default=0)


class Reversed(NeuralLearningMixin, BaseModule):
    """The same, the other way round."""

    tasks: int = Attr(default=0)


MAKERS: dict[str, Any] = {
    "beside": lambda: Beside(7),
    "before": lambda: Before(7),
    "module": Module,
    "reversed": Reversed,
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        yield store


def placed(agent: Any, store: Store, name: str = "agent") -> Any:
    agent.neural_store, agent.agent_id = store, name
    return agent


def lesson(agent: Any, best: str = "left") -> str:
    decision = agent.choose([1.0, 0.5], ACTIONS)
    agent.update_weights(decision.action == best)
    return str(decision.action)


# --- beside any class -----------------------------------------------------------------------------


@pytest.mark.parametrize("made", MAKERS)
async def test_an_agent_of_any_class_goes_on_with_what_it_learned(made: str, store: Store) -> None:
    agent = placed(MAKERS[made](), store)
    assert not await agent.restore_neural_state()
    for _ in range(15):
        lesson(agent)
    version = await agent.save_neural_state(justification="enough for today")
    assert version.justification == "enough for today"

    again = placed(MAKERS[made](), store)
    restored = await again.restore_neural_state()
    assert (restored.version, restored.migrated, bool(restored)) == (version, False, True)
    unbroken = [lesson(agent) for _ in range(20)]
    assert [lesson(again) for _ in range(20)] == unbroken


def test_the_learner_of_a_module_is_a_field_of_it() -> None:
    agent = Module(mood="bold", learner=LinTS(seed=2))  # type: ignore[call-arg]
    assert agent.learner.adapted.seed == 2
    assert "learner._adapted.gram" in agent.state_dict()
    again = Module.from_spec(agent.spec())
    assert (again.mood, type(again.learner.adapted)) == ("bold", LinTS)


@pytest.mark.parametrize("made", MAKERS)
def test_a_learner_is_replaced_by_assigning_another(made: str) -> None:
    agent = MAKERS[made]()
    agent.learner = SoftmaxPolicy(seed=3)
    assert (agent.learner.adapted.seed, type(agent.learner.adapted)) == (3, SoftmaxPolicy)
    lesson(agent)


def test_the_name_of_its_class_is_an_agent_s_id_unless_it_has_one(store: Store) -> None:
    agent = Beside(1)
    agent.neural_store = store
    asyncio.run(agent.save_neural_state())
    asyncio.run(placed(Module(), store, "module 1").save_neural_state())
    assert store.names() == ["Beside", "module 1"]


# --- what came of it ------------------------------------------------------------------------------


def learned(agent: Any) -> int:
    return int(agent.learner.adapted.learned)


@pytest.mark.parametrize(
    "outcome",
    [0.5, True, {"reward": 0.5, "outcome": "success"}, Experience("left", [1.0], "done", 0.5)],
    ids=repr,
)
def test_an_outcome_is_a_number_a_bool_a_mapping_or_an_experience(outcome: Any) -> None:
    agent = Beside(1)
    agent.choose([1.0], ACTIONS)
    assert agent.update_weights(outcome)
    assert learned(agent) == 1


def test_an_outcome_belongs_to_this_task_s_last_choice_unless_it_says_of_which() -> None:
    agent, other = Beside(1), Beside(2)
    first, second = agent.choose([1.0], ACTIONS), agent.choose([2.0], ACTIONS)
    other.choose([1.0], ACTIONS)
    assert agent.update_weights(1.0)
    assert list(agent.learner.adapted.pending) == [first.id]
    assert not agent.update_weights(1.0, decision=second)
    assert agent.update_weights({"reward": 0.0}, decision=first.id)
    assert list(other.learner.adapted.pending) != []


async def test_tasks_that_choose_at_once_do_not_take_each_other_s_rewards() -> None:
    agent = Module()
    both = asyncio.Barrier(2)

    async def task(context: list[float], reward: float) -> float:
        decision = agent.choose(context, ["only"])
        await both.wait()
        agent.update_weights(reward)
        return float(agent.learner.adapted.pending.get(decision.id) is None)

    settled = await asyncio.gather(task([1.0, 0.0], 1.0), task([0.0, 1.0], 0.0))
    assert list(settled) == [1.0, 1.0]
    assert agent.learner.adapted.state_dict()["moment"].tolist() == [[1.0, 0.0]]


def test_an_experience_settles_the_choice_that_led_to_it() -> None:
    agent = Beside(1)
    decision = agent.choose({"goal": "sea"}, ACTIONS)
    told = agent.record_experience(decision.action, {"goal": "sea"}, "arrived", 1.0, source="Ada")
    assert told == Experience(
        decision.action, {"goal": "sea"}, "arrived", 1.0, decision.id, 0.5, tuple(ACTIONS), "Ada"
    )
    assert not agent.update_weights({"outcome": "arrived", "reward": 1.0})
    assert not agent.update_weights(told)
    assert learned(agent) == 1


def test_an_experience_of_somebody_else_s_choice_is_a_lesson_of_its_own() -> None:
    agent = Beside(1)
    decision = agent.choose({"goal": "sea"}, ACTIONS)
    other = ACTIONS[decision.action == "left"]
    told = agent.record_experience(other, {"goal": "sea"}, "lost", False, propensity=0.2)
    assert (told.reward, told.propensity, told.id != decision.id) == (0.0, 0.2, True)
    assert not agent.update_weights(0.0)  # this task's last one is the experience now
    assert agent.update_weights(1.0, decision=decision)
    assert learned(agent) == 2


def test_a_durable_decision_is_on_disk_before_it_is_given(store: Store) -> None:
    agent = placed(Beside(1), store)
    decision = agent.choose([1.0], ACTIONS, decide="durable")
    found = store.load("agent")
    assert found.learner.adapted.pending == {decision.id: decision}

    async def later() -> None:
        again = placed(Beside(2), store)
        await again.restore_neural_state()
        assert again.update_weights(1.0, decision=decision.id)
        await again.achoose([1.0], ACTIONS, decide="durable")

    asyncio.run(later())
    assert store.load("agent").learner.adapted.learned == 1


def test_a_decision_that_cannot_be_made_durable_is_withdrawn(store: Store) -> None:
    agent = placed(Beside(1), store)
    asyncio.run(placed(Beside(2), store).save_neural_state())
    with pytest.raises(Conflict):
        agent.choose([1.0], ACTIONS, decide="durable")
    with pytest.raises(Conflict):
        asyncio.run(agent.achoose([1.0], ACTIONS, decide="durable"))
    assert agent.learner.adapted.pending == {}


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("made", MAKERS)
@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (math.nan, "reward"),
        (math.inf, "reward"),
        (2.0, "reward"),
        ("good", "reward"),
        (None, "reward"),
        ({"outcome": "success"}, "reward"),
        ({"reward": math.nan}, "reward"),
        (Experience("up", [1.0], None, 1.0), "actions"),
        (Experience("left", [1.0, 2.0], None, 1.0), "context"),
        (Experience("left", [1.0], None, 1.0, id="9-0123456789abcdef"), "decision"),
    ],
    ids=repr,
)
def test_an_outcome_that_cannot_be_learned_changes_nothing(
    made: str, outcome: Any, code: str
) -> None:
    agent = MAKERS[made]()
    decision = agent.choose([1.0], ACTIONS)
    with pytest.raises(LearningError) as raised:
        agent.update_weights(outcome)
    assert raised.value.code == code
    assert (learned(agent), list(agent.learner.adapted.pending)) == (0, [decision.id])


def test_an_outcome_without_a_choice_is_refused() -> None:
    agent = Beside(1)
    with pytest.raises(LearningError, match="nothing was chosen in this task") as raised:
        agent.update_weights(1.0)
    assert raised.value.code == "decision"


def test_an_experience_of_an_action_that_was_never_offered_is_refused() -> None:
    with pytest.raises(LearningError, match="never offered"):
        Beside(1).record_experience("fly", [1.0], "crashed", 0.0)


def test_words_that_mean_nothing_are_refused(store: Store) -> None:
    agent: Any = placed(Beside(1), store)
    with pytest.raises(ValueError, match="'memory' or 'durable'"):
        agent.choose([1.0], ACTIONS, decide="soon")
    with pytest.raises(ValueError, match="'same', 'saved' or 'carry'"):
        asyncio.run(agent.restore_neural_state(learner="other"))


async def test_two_agents_with_one_id_are_a_conflict(store: Store) -> None:
    one, other = placed(Beside(1), store), placed(Beside(2), store)
    await one.save_neural_state()
    with pytest.raises(Conflict):
        await other.save_neural_state()
    await other.restore_neural_state()
    lesson(other)
    await other.save_neural_state()
    lesson(one)
    with pytest.raises(Conflict):
        await one.save_neural_state()


async def test_nothing_is_saved_into_a_store_that_is_closed(store: Store) -> None:
    agent = placed(Beside(1), store)
    saving = asyncio.create_task(agent.save_neural_state())
    await asyncio.sleep(0)  # it is on its way
    await store.aclose()
    assert (await saving).number == 1
    with pytest.raises(StoreClosed):
        await agent.save_neural_state()
    with pytest.raises(StoreClosed):
        await agent.restore_neural_state()


async def test_the_state_of_another_agent_is_refused(store: Store) -> None:
    await placed(Beside(1), store).save_neural_state()
    await placed(Module(), store, "module").save_neural_state()
    agent = placed(Before(1), store)
    lesson(agent)
    with pytest.raises(MigrationError, match="Beside") as raised:
        await agent.restore_neural_state()
    assert raised.value.code == "another-agent"
    with pytest.raises(SpecError):
        await placed(Reversed(), store, "module").restore_neural_state()
    with pytest.raises(SpecError):
        await placed(Module(), store).restore_neural_state()
    assert learned(agent) == 1


async def test_a_version_that_does_not_exist_is_no_fresh_start(store: Store) -> None:
    agent = placed(Beside(1), store)
    with pytest.raises(UnknownName):
        await agent.restore_neural_state(version=3)


async def test_a_corrupt_state_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        agent = placed(Beside(1), store)
        for _ in range(3):
            lesson(agent)
        await agent.save_neural_state()
    data = tmp_path / "store" / "data.mdb"
    held = bytearray(data.read_bytes())
    for at in range(2 * 4096 + 64, len(held), 512):  # behind the meta pages, in every record
        held[at] ^= 1
    data.write_bytes(held)
    agent = placed(Beside(1), agent.neural_store)
    lesson(agent)

    async def restored() -> None:
        with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
            agent.neural_store = store
            await agent.restore_neural_state()

    with pytest.raises(IntegrityError):
        await restored()
    assert learned(agent) == 1


# --- other classes, other learners ----------------------------------------------------------------


@pytest.mark.parametrize("made", MAKERS)
async def test_the_state_of_another_learner_is_taken_as_one_says(made: str, store: Store) -> None:
    agent = placed(MAKERS[made](), store)
    for _ in range(15):
        lesson(agent)
    await agent.save_neural_state()
    expected = agent.learner.adapted.expectations([1.0, 0.5])

    other = placed(MAKERS[made](), store)
    other.learner = LinTS(seed=5)
    with pytest.raises(MigrationError, match="learner='carry'") as raised:
        await other.restore_neural_state()
    assert (raised.value.code, learned(other)) == ("another-learner", 0)

    carried = await other.restore_neural_state(learner="carry")
    assert (carried.migrated, carried.changes) == (True, MigrationReport(converted=("learner",)))
    assert (type(other.learner.adapted), other.learner.adapted.seed) == (LinTS, 5)
    assert other.learner.adapted.expectations([1.0, 0.5]) == pytest.approx(expected)
    await other.save_neural_state()
    assert [entry.operation for entry in store.ledger()].count("migrate") == 1
    assert type(store.load("agent", version=1).learner.adapted) is LinUCB  # stays readable

    third = placed(MAKERS[made](), store)
    third.learner = EpsilonGreedy()
    await third.restore_neural_state(learner="saved")
    assert type(third.learner.adapted) is LinTS


async def test_a_learner_that_cannot_go_on_says_why_and_nothing_changes(store: Store) -> None:
    agent = placed(Module(), store)
    lesson(agent)
    await agent.save_neural_state()
    other = placed(Module(), store)
    other.learner = SoftmaxPolicy()
    lesson(other)
    with pytest.raises(MigrationError, match="replay"):
        await other.restore_neural_state(learner="carry")
    assert (type(other.learner.adapted), learned(other)) == (SoftmaxPolicy, 1)


async def test_an_older_agent_is_restored_into_a_newer_class(store: Store) -> None:
    class Worker(BaseModule, NeuralLearningMixin):
        done: int = Attr(default=0)

    old = placed(Worker(), store)
    old.done = 4
    for _ in range(5):
        lesson(old)
    await old.save_neural_state()

    class Worker(BaseModule, NeuralLearningMixin):  # type: ignore[no-redef]
        __schema_version__ = 2
        finished: int = Attr(default=0)
        mood: str = Param(default="calm")

        @migration(1, 2)
        @staticmethod
        def renamed(spec: Any, state: Any) -> Any:
            state["finished"] = state.pop("done")
            return spec, state

    new = placed(Worker(), store)
    restored = await new.restore_neural_state()
    assert restored.migrated
    assert [(m.before, m.after) for m in restored.changes.migrated] == [(1, 2)]
    assert (new.finished, learned(new)) == (4, 5)
    new.choose([1.0, 0.5], ["left", "up", "down"])  # another set of actions
    with pytest.raises(LearningError, match=r"resize\(3\)"):
        new.choose([1.0, 0.5, 0.1], ACTIONS)
    new.learner.adapted.resize(3)
    new.choose([1.0, 0.5, 0.1], ACTIONS)
    await new.save_neural_state()
    assert "migrate" in {entry.operation for entry in store.ledger()}


async def test_a_migration_that_raises_changes_nothing(store: Store) -> None:
    class Clerk(BaseModule, NeuralLearningMixin):
        done: int = Attr(default=0)

    await placed(Clerk(), store).save_neural_state()

    class Clerk(BaseModule, NeuralLearningMixin):  # type: ignore[no-redef]
        __schema_version__ = 2
        done: int = Attr(default=0)

        @migration(1, 2)
        @staticmethod
        def broken(_spec: Any, _state: Any) -> Any:
            raise RuntimeError("no idea")

    agent = placed(Clerk(), store)
    lesson(agent)
    with pytest.raises(MigrationError, match="no idea"):
        await agent.restore_neural_state()
    assert learned(agent) == 1


async def test_a_missing_migration_is_named(store: Store) -> None:
    class Scribe(BaseModule, NeuralLearningMixin):
        __schema_version__ = 2

    await placed(Scribe(), store).save_neural_state()

    class Scribe(BaseModule, NeuralLearningMixin):  # type: ignore[no-redef]
        __schema_version__ = 4

        @migration(3, 4)
        @staticmethod
        def last(spec: Any, state: Any) -> Any:
            return spec, state

    with pytest.raises(MigrationError, match="no migration from 2") as raised:
        await placed(Scribe(), store).restore_neural_state()
    assert raised.value.code == "migration-gap"


async def test_an_agent_whose_class_was_renamed_says_what_it_was_called(store: Store) -> None:
    await placed(Beside(1), store).save_neural_state()

    class Renamed(NeuralLearningMixin):
        __aliases__ = (f"{__name__}:Beside",)

    assert await placed(Renamed(), store).restore_neural_state()
