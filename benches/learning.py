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
from dachi_fast.learning import EpsilonGreedy, Learner, LinTS, LinUCB, SoftmaxPolicy

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


@pytest.mark.parametrize("saved", ["never", "without sync", "with sync"])
@pytest.mark.parametrize("size", LARGE)
def bench_saved_step(benchmark: Any, tmp_path: Path, size: str, saved: str) -> None:
    """A step of 10 actions, and a save behind each."""
    make, features = LARGE[size]
    who = {"never": "step alone"}.get(saved, f"dachi_fast, saved each step {saved}")
    describe(benchmark, workload=f"step and save, {size}", who=who, base=saved == "never")
    learner, contexts = make(), np.random.default_rng(0).random((32, features)) / features**0.5
    player, shown = Ours(learner, 10), itertools.cycle(contexts)
    keys = KeyFile(tmp_path / "key")
    folder = tmp_path / "store"
    store = unsynced(folder, keys) if saved == "without sync" else Store.open(folder, keys=keys)

    def step() -> None:
        context = next(shown)
        player.learn(context, player.choose(context), 0.5)
        if saved != "never":
            store.save(learner, "learner")

    with store:
        benchmark.pedantic(step, rounds=60, warmup_rounds=5)
        if saved != "never":
            assert store.load("learner").learned == learner.learned
