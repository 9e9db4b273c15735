"""Data sets as bandits: a row is shown, a class is chosen, the reward is whether it was right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from dachi_fast.learning import Learner

SEEDS = range(10)


@dataclass(frozen=True)
class Bandit:
    """A data set.

    Attributes:
        title: for the table.
        contexts: one row a step.
        answers: the class of each row.
        actions: how many classes.
        goal: most that LinUCB may regret.
    """

    title: str
    contexts: np.ndarray
    answers: np.ndarray
    actions: int
    goal: float


def digits() -> Bandit:
    """scikit-learn's digits in their own order, pixels from 0 to 1."""
    from sklearn.datasets import load_digits

    contexts, answers = load_digits(return_X_y=True)
    return Bandit("digits, 1,797 steps, 10 actions", contexts / 16, answers, 10, 254)


def segments() -> Bandit:
    """river's ImageSegments in their own order, standardised, with a feature that is always 1."""
    from river.datasets import ImageSegments

    rows = list(ImageSegments())
    contexts = np.array([[float(value) for value in row.values()] for row, _ in rows])
    spread = contexts.std(axis=0)
    contexts = (contexts - contexts.mean(axis=0)) / np.where(spread > 0, spread, 1)
    contexts = np.hstack([contexts, np.ones((len(rows), 1))])
    names = sorted({name for _, name in rows})
    answers = np.array([names.index(name) for _, name in rows])
    return Bandit("ImageSegments, 2,310 steps, 7 actions", contexts, answers, 7, 335)


class Player(Protocol):
    """Who plays a bandit."""

    def choose(self, context: np.ndarray) -> int:
        """Gives the number of an action."""
        ...

    def learn(self, context: np.ndarray, action: int, reward: float) -> None:
        """Is told what the last choice brought."""
        ...


class Ours:
    """One of our learners."""

    def __init__(self, learner: Learner, actions: int) -> None:
        self.learner, self.actions = learner, list(range(actions))
        self.decision: Any = None

    def choose(self, context: np.ndarray) -> int:
        self.decision = self.learner.choose(context, self.actions)
        chosen: int = self.decision.action
        return chosen

    def learn(self, _context: np.ndarray, _action: int, reward: float) -> None:
        self.learner.update(self.decision, reward)


class Forgetful(Ours):
    """The same, but its process ends every 100 steps and nothing is saved."""

    def __init__(self, make: Callable[[], Learner], actions: int) -> None:
        super().__init__(make(), actions)
        self.make, self.steps = make, 0

    def learn(self, context: np.ndarray, action: int, reward: float) -> None:
        super().learn(context, action, reward)
        self.steps += 1
        if self.steps % 100 == 0:
            self.learner = self.make()


class MabWiser:
    """MABWiser's LinUCB."""

    def __init__(self, seed: int, actions: int, alpha: float) -> None:
        from mabwiser.mab import MAB, LearningPolicy

        self.mab = MAB(list(range(actions)), LearningPolicy.LinUCB(alpha=alpha), seed=seed)
        self.fitted = False

    def choose(self, context: np.ndarray) -> int:
        if not self.fitted:
            return 0
        return int(self.mab.predict([context]))

    def learn(self, context: np.ndarray, action: int, reward: float) -> None:
        told = [action], [reward], [context]
        self.mab.partial_fit(*told) if self.fitted else self.mab.fit(*told)
        self.fitted = True


class Blind:
    """Chooses anything."""

    def __init__(self, seed: int, actions: int) -> None:
        self.drawn, self.actions = np.random.default_rng(seed), actions

    def choose(self, _context: np.ndarray) -> int:
        return int(self.drawn.integers(self.actions))

    def learn(self, _context: np.ndarray, _action: int, _reward: float) -> None:
        pass


def rewards(
    bandit: Bandit, player: Player, *, seed: int | None = None, flipped: bool = False
) -> Iterator[float]:
    """Plays a bandit; gives the reward of each step.

    Args:
        bandit: what to play.
        player: who plays.
        seed: shuffles the rows; None for their own order.
        flipped: whether right answers are wrong, and wrong ones right, from half time on.
    """
    order = np.arange(len(bandit.answers))
    if seed is not None:
        order = np.random.default_rng(seed).permutation(order)
    for step, row in enumerate(order):
        context = bandit.contexts[row]
        action = player.choose(context)
        right = action == bandit.answers[row]
        reward = float(right != (flipped and step >= len(order) // 2))
        player.learn(context, action, reward)
        yield reward
