"""How agents and learners look to type checkers."""

from __future__ import annotations

from typing import assert_type

from dachi_fast import (
    AdaptModule,
    BaseAgent,
    Decision,
    Experience,
    Learner,
    LinTS,
    LinUCB,
    NeuralLearningMixin,
    Version,
)
from dachi_fast.learning import (
    Influence,
    PastState,
    Restored,
    SyncAgent,
    SyncLearning,
    Unlearned,
)


class Framework:
    """A base class of somebody else's."""


class Beside(Framework, NeuralLearningMixin):
    agent_id = "beside"


class Agent(BaseAgent):
    mood: str = "calm"


async def life() -> None:
    beside = Beside()
    beside.learner = LinTS(alpha=0.5, seed=3)
    assert_type(beside.learner, AdaptModule[Learner])
    assert_type(await beside.restore_neural_state(), Restored)
    assert_type(await beside.save_neural_state(justification="why"), Version)

    assert_type(beside.sync, SyncLearning[Beside])
    assert_type(await beside.experiences(by="similarity", like="a text"), list[Experience])
    assert_type(await beside.replay(into=LinUCB()), int)
    assert_type(await beside.unlearn("Ada"), Unlearned)
    assert_type((await beside.rollback_neural_state(1)).states, tuple[PastState, ...])

    async with Agent(agent_id="agent", mood="bold") as agent:
        assert_type(agent, Agent)
        decision = agent.choose({"goal": "sea"}, ["north", "south"])
        assert_type(decision, Decision)
        assert_type(decision.propensity, float | None)
        assert_type(agent.update_weights(True, decision=decision), bool)
        told = agent.record_experience("north", {"goal": "sea"}, "lost", 0.0)
        assert_type(told, Experience)


def script() -> None:
    agent = Agent(agent_id="agent")
    agent.experience_limit = 100
    with agent.sync as life:
        assert_type(life, SyncAgent)
        decision = agent.choose([1.0], ["north", "south"])
        assert_type(life.influence(decision), list[Influence])
        life.on_task_complete(1.0)


def learner() -> float:
    made = LinUCB(alpha=0.5, reward_range=(-1.0, 1.0))
    return made.reward_of(True)
