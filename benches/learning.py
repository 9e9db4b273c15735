"""What learners regret, how long a step takes, and what saving each step adds.

Every regret of ours is over 10 seeds: of ties and samples in the data's own order, of the order
where rows are shuffled. MABWiser, which takes some 10 s a run and draws nothing, has one.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benches import _bandits
from benches._bandits import SEEDS, Blind, Forgetful, MabWiser, Ours, Player, rewards
from benches._rows import describe, figure
from benches.compare.dachi_fast import unsynced
from dachi_fast import KeyFile, Store
from dachi_fast.learning import (
    EpsilonGreedy,
    Learner,
    LinTS,
    LinUCB,
    NeuralLearningMixin,
    SoftmaxPolicy,
)

Make = Callable[[int, int], Player]  # of a seed and a number of actions
OURS = "dachi_fast LinUCB"
PLAYERS: dict[str, Make] = {
    OURS: lambda seed, n: Ours(LinUCB(seed=seed), n),
    "dachi_fast LinTS": lambda seed, n: Ours(LinTS(seed=seed), n),
    "dachi_fast EpsilonGreedy": lambda seed, n: Ours(EpsilonGreedy(seed=seed), n),
    "dachi_fast SoftmaxPolicy": lambda seed, n: Ours(SoftmaxPolicy(seed=seed), n),
    "LinUCB that forgets every 100 steps": lambda seed, n: Forgetful(lambda: LinUCB(seed=seed), n),
    "MABWiser LinUCB, alpha 0.25": lambda seed, n: MabWiser(seed, n, 0.25),
    "MABWiser LinUCB, alpha 1": lambda seed, n: MabWiser(seed, n, 1.0),
    "any action": Blind,
}
SETS = {"digits": _bandits.digits, "segments": _bandits.segments}


@pytest.mark.parametrize("who", PLAYERS)
@pytest.mark.parametrize("order", ["own order", "shuffled"])
@pytest.mark.parametrize("data", SETS)
def bench_regret(benchmark: Any, data: str, order: str, who: str) -> None:
    """A round is a run; the rounds are the seeds."""
    bandit = SETS[data]()
    describe(benchmark, workload=f"{bandit.title}, {order}", who=who, base=who == OURS)
    seeds, regrets = itertools.cycle(SEEDS), []

    def run(seed: int) -> None:
        player = PLAYERS[who](seed, bandit.actions)
        shuffle = seed if order == "shuffled" else None
        regrets.append(len(bandit.answers) - sum(rewards(bandit, player, seed=shuffle)))

    rounds = 1 if who.startswith("MABWiser") else len(SEEDS)
    benchmark.pedantic(run, setup=lambda: ((next(seeds),), {}), rounds=rounds)
    goal = bandit.goal if who == OURS and order == "own order" else None
    figure(benchmark, f"regret, seeds: {rounds}", statistics.mean(regrets), at_most=goal)
    figure(benchmark, "regret, least", min(regrets))
    figure(benchmark, "regret, most", max(regrets))


@pytest.mark.parametrize("discount", [1.0, 0.99])
def bench_flip(benchmark: Any, discount: float) -> None:
    """Counts the steps until the mean reward of 50 steps is again what it was before the flip."""
    bandit = _bandits.digits()
    who = f"dachi_fast LinUCB, discount {discount:g}"
    describe(benchmark, workload="digits, reward flipped at half time", who=who)
    seeds, needed = itertools.cycle(SEEDS), []

    def run(seed: int) -> None:
        player = Ours(LinUCB(seed=seed, discount=discount), bandit.actions)
        got = list(rewards(bandit, player, seed=seed, flipped=True))
        half = len(got) // 2
        before = statistics.mean(got[half - 200 : half])
        means = np.convolve(got[half:], np.ones(50) / 50, "valid")
        reached = np.flatnonzero(means >= before)
        needed.append(int(reached[0]) + 50 if reached.size else half)

    benchmark.pedantic(run, setup=lambda: ((next(seeds),), {}), rounds=len(SEEDS))
    goal = 300 if discount < 1 else None
    figure(benchmark, "steps to recover, mean of 10 seeds", statistics.mean(needed), at_most=goal)
    figure(benchmark, "steps to recover, most", max(needed))


@pytest.mark.parametrize("who", [OURS, "MABWiser LinUCB, alpha 0.25"])
def bench_step(benchmark: Any, who: str) -> None:
    """One choice among 10 actions by 64 features, and its reward."""
    describe(
        benchmark,
        workload="step, 64 features, 10 actions",
        who=who,
        base=who == OURS,
        at_most_ms=0.05 if who == OURS else None,
    )
    player, contexts = PLAYERS[who](0, 10), np.random.default_rng(0).random((512, 64))
    for context in contexts[:50]:
        player.learn(context, player.choose(context), 0.5)
    shown = itertools.cycle(contexts)

    def step() -> None:
        context = next(shown)
        player.learn(context, player.choose(context), 0.5)

    benchmark.pedantic(step, rounds=2000 if who == OURS else 200, warmup_rounds=20)


LARGE: dict[str, tuple[Callable[[], Learner], int]] = {
    "64 features": (LinUCB, 64),
    "316 features: 1e6 weights in the inverses": (LinUCB, 316),
    "softmax policy of 100,000 features: 1e6 weights": (SoftmaxPolicy, 100_000),
}


SAVED = [
    "never",
    "without sync",
    "without sync, with its experience",
    "with sync",
    "with sync, with its experience",
]


class Agent(NeuralLearningMixin):
    """An agent of one learner."""

    agent_id = "learner"


@pytest.mark.parametrize("saved", SAVED)
@pytest.mark.parametrize("size", LARGE)
def bench_saved_step(benchmark: Any, tmp_path: Path, size: str, saved: str) -> None:
    """A step of 10 actions, and a save behind each."""
    make, features = LARGE[size]
    who = {"never": "step alone"}.get(saved, f"dachi_fast, saved each step {saved}")
    describe(benchmark, workload=f"step and save, {size}", who=who, base=saved == "never")
    contexts = np.random.default_rng(0).random((32, features)) / features**0.5
    shown, keys, folder = itertools.cycle(contexts), KeyFile(tmp_path / "key"), tmp_path / "store"
    slow = saved.startswith("with sync")
    agent = Agent()
    agent.learner = make()
    with Store.open(folder, keys=keys) if slow else unsynced(folder, keys) as store:
        agent.neural_store = store

        def step() -> None:
            decision = agent.choose(next(shown), range(10))
            if saved.endswith("experience"):
                agent.update_weights(0.5, decision=decision)
                agent.sync.save_neural_state()
                return
            agent.learner.adapted.update(decision, 0.5)
            if saved != "never":
                store.save(agent.learner.adapted, "learner")

        benchmark.pedantic(step, rounds=60, warmup_rounds=5)
        learned = agent.learner.adapted.learned
        if saved.endswith("experience"):
            assert len(agent.sync.experiences(limit=None)) == learned
        if saved != "never":
            saves = store.history("learner", limit=1)[0].number
            assert saves == learned


SOURCES = ["Ada", "Ben", None]


@pytest.mark.parametrize("discount", [1.0, 0.99])
def bench_unlearn(benchmark: Any, discount: float) -> None:
    """Takes back a third of 1,797 steps of digits; the rounds are the seeds."""
    bandit = _bandits.digits()
    who = f"dachi_fast LinUCB, discount {discount:g}"
    describe(benchmark, workload="unlearn a source that taught a third of digits", who=who)
    seeds, sums, solutions = itertools.cycle(SEEDS), [], []

    def made(seed: int) -> tuple[LinUCB, LinUCB]:
        learner, replay = (LinUCB(seed=seed, discount=discount) for _ in range(2))
        drawn = np.random.default_rng(seed)
        replay.offer(range(bandit.actions), dimension=bandit.contexts.shape[1])
        for context, answer in zip(bandit.contexts, bandit.answers, strict=True):
            decision, source = learner.choose(context, range(bandit.actions)), drawn.integers(3)
            reward = float(decision.action == answer)
            learner.update(decision, reward, source=SOURCES[source])
            if SOURCES[source] == "Ada":
                replay.learned += 1
            else:
                replay.learn(context, decision.action, reward)
        return learner, replay

    def run(learner: LinUCB, _: LinUCB) -> None:
        learner.unlearn("Ada")

    def checked(learner: LinUCB, replay: LinUCB) -> None:
        for row in range(bandit.actions):
            replay._solve(row)
        sums.append(max(_apart(learner, replay, "gram"), _apart(learner, replay, "moment")))
        solutions.append(_apart(learner, replay, "weights"))

    pairs = []

    def setup() -> tuple[tuple[LinUCB, LinUCB], dict[str, Any]]:
        pairs.append(made(next(seeds)))
        return pairs[-1], {}

    benchmark.pedantic(run, setup=setup, rounds=len(SEEDS))
    for learner, replay in pairs:
        checked(learner, replay)
    figure(benchmark, "sums, furthest from a replay, relative", max(sums), at_most=1e-9)
    figure(benchmark, "solution, furthest from a replay, relative", max(solutions), at_most=1e-9)


def _apart(learner: LinUCB, replay: LinUCB, name: str) -> float:
    """Gives the largest difference of an action's part, as a share of its largest number."""
    found, expected = getattr(learner, name), getattr(replay, name)
    rows = zip(found, expected, strict=True)
    return max(float(np.abs(f - e).max() / np.abs(e).max()) for f, e in rows if e.any())
