"""Linear models of rewards: one ridge regression an action."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from dachi_fast._core import learn as _core
from dachi_fast.errors import LearningError
from dachi_fast.learning import _shares
from dachi_fast.learning._learner import Learner, Pick
from dachi_fast.module import Attr, Param

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from dachi_fast.learning._decision import Experience, Vector

# How much of its ridge a faded inverse may lose before it is solved anew.
_LEAST_RIDGE: Final = 0.5
_COMMON: Final = ("dimension", "rows", "learned", "decided", "pending", "lineage", "unlearned")
_SUMS: Final = ("gram", "moment", "inverse", "weights", "aged", "updates", "ridge_left")
_SHARES: Final = ("shares", "share_gram", "share_moment", "share_aged")


def _empty(dimensions: int) -> Any:
    return lambda: np.zeros((0,) * dimensions)


class Linear(Learner):
    """Base of learners that expect of each action a reward linear in the context.

    Each action has a model of its own (disjoint models, arXiv 1003.0146, algorithm 1): the sums
    `gram` of x x' and `moment` of reward x, the inverse of gram + ridge I, and the weights, which
    are inverse times moment. Inverse and weights follow each reward by a rank-one update (Sherman
    and Morrison), O(d^2), and are solved from the sums anew after `resolve_every` of them, O(d^3),
    which takes away what rounding has done.

    With a discount, what was learned `n` rewards ago (of any action) counts `discount ** n`. A
    model fades when it is next used, with its ridge; when that has lost half, it is solved anew.
    Between two rewards of an action its weights stay and its certainty fades, down to that of the
    ridge alone.

    Args:
        ridge: what is added to the diagonal, above 0: certainty before the first reward. Default 1.
        discount: above 0 and at most 1. Default 1: nothing fades. 0.99 forgets half in 69 steps.
        resolve_every: after how many rewards of an action its model is solved anew. Default 1,000,
            where it adds less than a tenth to the time of a step of 64 features.
    """

    ridge: float = Param(default=1.0)
    discount: float = Param(default=1.0)
    resolve_every: int = Param(default=1000)

    gram: np.ndarray = Attr(default_factory=_empty(3))
    moment: np.ndarray = Attr(default_factory=_empty(2))
    inverse: np.ndarray = Attr(default_factory=_empty(3))
    weights: np.ndarray = Attr(default_factory=_empty(2))
    aged: list[int] = Attr(default_factory=list)
    """By row: to which of the learned rewards its sums are faded."""
    updates: list[int] = Attr(default_factory=list)
    """By row: rank-one updates since it was solved."""
    ridge_left: list[float] = Attr(default_factory=list)
    """By row: which part of the ridge is left in its inverse."""

    shares: dict[Any, dict[str | None, int]] = Attr(default_factory=dict)
    """Action -> who taught it, None for nobody -> which of the shares that is. Actions that only
    nobody taught have none: their sums say it all."""
    share_gram: np.ndarray = Attr(default_factory=_empty(2))
    """By share: its part of `gram`, the upper triangle."""
    share_moment: np.ndarray = Attr(default_factory=_empty(2))
    share_aged: list[int] = Attr(default_factory=list)

    def expectations(self, context: Any) -> dict[Any, float]:
        """Gives the reward that is expected of each known action, without choosing.

        Raises:
            LearningError: the context cannot be read, or has another dimension (``context``).
        """
        means, _ = self._scores(self.features(context), list(self.rows.values()))
        return dict(zip(self.rows, means, strict=True))

    def resize(self, dimension: int) -> None:
        """Reads contexts of another dimension from now on.

        Features that are new were never seen; those that are gone count as if they had always been
        0: both as if all had been learned from such contexts. Decisions that wait are cut or
        padded, too.

        Args:
            dimension: how many numbers, at least 1; features keep their places, so that what is
                gone or new is at the end.

        Raises:
            LearningError: that is no dimension (``context``).

        Complexity:
            O(d^3) an action.
        """
        if dimension < 1:
            raise LearningError("context", f"a dimension is at least 1, not {dimension}")
        count, kept = len(self.rows), min(dimension, self.dimension)
        gram = np.zeros((count, dimension, dimension))
        moment = np.zeros((count, dimension))
        gram[:, :kept, :kept] = self.gram[:, :kept, :kept]
        moment[:, :kept] = self.moment[:, :kept]
        self.gram, self.moment = gram, moment
        self.inverse, self.weights = np.zeros_like(gram), np.zeros_like(moment)
        _shares.resized(self, self.dimension, dimension)
        self.dimension = dimension
        for row in range(count):
            self._solve(row)
        for decision in self.pending.values():
            features = np.zeros(dimension)
            features[:kept] = decision.features[:kept]
            object.__setattr__(decision, "features", features)

    def carry(self, other: Learner) -> Self:
        """Gives a new learner with these Params, which knows what another learner learned.

        Learners with linear models have the same sums, so nothing is lost between them.

        Raises:
            MigrationError: the other has no such sums (``another-learner``).
        """
        if not isinstance(other, Linear):
            return super().carry(other)
        new = copy.deepcopy(self)
        snapshot = other.snapshot()
        for name in (*_COMMON, *_SUMS, *_SHARES):
            setattr(new, name, snapshot[name])
        for row in range(len(new.rows)):
            new._solve(row)
        return new

    def unlearn(
        self, source: str, log: Iterable[Experience] = (), *, gone: Collection[int] = ()
    ) -> None:
        """Takes back what a source taught: the sums are those of all others, as they have faded.

        They were kept apart since the source's first reward, so no log is needed.

        Complexity:
            O(d^3) for each action that it taught.
        """
        del log, gone
        _shares.without(self, source)

    def surprise(self, experience: Experience) -> float:
        """Gives how far an experience's reward is from what is expected of its action now."""
        row = self.rows.get(experience.action)
        if row is None:
            return 0.0
        [mean], _ = self._scores(self._reread(experience.context), [row])
        return abs(experience.reward - mean)

    # --- what a learner is ------------------------------------------------------------------------

    def _scores(self, x: Vector, rows: list[int]) -> tuple[list[float], list[float]]:
        """Gives expected rewards, and how unsure they are, as standard deviations of noise 1."""
        means, squares = _core.score(self.weights, self.inverse, rows, x)
        if self.discount != 1:
            fades = _core.faded(self.discount, [self.learned - self.aged[row] for row in rows])
            # Not numpy's product, whose order of summation depends on the processor.
            most = math.fsum(value * value for value in x.tolist()) / self.ridge
            squares = [
                min(square / fade, most) if fade else most
                for square, fade in zip(squares, fades, strict=True)
            ]
        return means, [math.sqrt(square) for square in squares]

    def _learn(
        self,
        x: Vector,
        action: Any,
        reward: float,
        propensity: float | None,
        offered: tuple[Any, ...],
    ) -> None:
        del propensity, offered  # who chose, and among what, says nothing about the reward
        row, fade = self.rows[action], 1.0
        if self.discount != 1:
            [fade] = _core.faded(self.discount, [self.learned - self.aged[row]])
        if self.updates[row] >= self.resolve_every or self.ridge_left[row] * fade < _LEAST_RIDGE:
            self.gram[row] *= fade
            self.moment[row] *= fade
            self._solve(row)
            fade = 1.0
        _core.observe(self._model(), row, x, reward, fade)
        self.aged[row] = self.learned
        self.updates[row] += 1
        self.ridge_left[row] *= fade

    def _teach(
        self,
        x: Vector,
        action: Any,
        reward: float,
        propensity: float | None,
        offered: tuple[Any, ...],
        source: str | None,
    ) -> None:
        apart, before = action in self.shares, None
        if source is not None and not apart:
            before = _shares.sums_of(self, self.rows[action])
        self._learn(x, action, reward, propensity, offered)
        if source is not None or apart:
            _shares.credit(self, action, source, before, x, reward)

    def _grow(self, count: int, dimension: int) -> None:
        old = len(self.rows)
        model = (np.zeros((count, dimension, dimension)), np.zeros((count, dimension)))
        gram, moment = model
        inverse = np.broadcast_to(np.eye(dimension) / self.ridge, gram.shape)
        parts = {"gram": gram, "moment": moment, "inverse": inverse, "weights": moment}
        for name, part in parts.items():
            held = getattr(self, name)
            setattr(self, name, np.concatenate([held, part]) if old else part.copy())
        self.aged += [self.learned] * count
        self.updates += [0] * count
        self.ridge_left += [1.0] * count

    def _remove(self, row: int) -> None:
        for name in ("gram", "moment", "inverse", "weights"):
            setattr(self, name, np.delete(getattr(self, name), row, axis=0))
        for held in (self.aged, self.updates, self.ridge_left):
            del held[row]

    def drop(self, action: Any) -> None:
        """Forgets an action and all that was learned about it; decisions for it are given up.

        Raises:
            LearningError: the action is not known (``actions``).
        """
        super().drop(action)
        _shares.forget_action(self, action)

    def _model(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        return self.gram, self.moment, self.inverse, self.weights

    def _solve(self, row: int) -> None:
        _core.solve(self._model(), row, self.dimension, self.ridge)
        self.updates[row], self.ridge_left[row] = 0, 1.0

    def _check(self) -> None:
        self._need(0 < self.ridge < math.inf, "ridge", "above 0 and finite")
        self._need(0 < self.discount <= 1, "discount", "above 0 and at most 1")


class LinUCB(Linear):
    """Chooses the action whose reward might be the highest: optimism where it is unsure.

    The score of an action is its expected reward and `alpha` times how unsure that is, sqrt(x'
    inverse x) (Li, Chu, Langford, Schapire, arXiv 1003.0146, algorithm 1, disjoint models). The
    propensity is 1 over the number of actions that share the highest score.

    Args:
        alpha: how much doubt counts, at least 0. Default 0.25, the best of 0.1, 0.25, 0.5 and 1 on
            digits with features from 0 to 1 (`benches/learning.py`).

    Example:
        >>> from dachi_fast.learning import LinUCB
        >>> learner = LinUCB()
        >>> for _ in range(20):
        ...     decision = learner.choose([1.0, 0.0], ["left", "right"])
        ...     _ = learner.update(decision, decision.action == "left")
        >>> learner.choose([1.0, 0.0], ["left", "right"]).action
        'left'
    """

    alpha: float = Param(default=0.25)

    def _check(self) -> None:
        super()._check()
        self._need(0 <= self.alpha < math.inf, "alpha", "at least 0 and finite")

    def _pick(self, x: Vector, rows: list[int]) -> Pick:
        means, doubts = self._scores(x, rows)
        scores = [mean + self.alpha * doubt for mean, doubt in zip(means, doubts, strict=True)]
        at, ties = self._best(scores)
        return Pick(at, 1 / ties, scores)


class LinTS(Linear):
    """Chooses an action as often as it seems to be the best one: Thompson sampling.

    The score of an action is drawn from the normal distribution of its reward: the expected one,
    and `alpha` times sqrt(x' inverse x) as its spread (Agrawal, Goyal, arXiv 1209.3352, algorithm
    1, with disjoint models: drawing the score is drawing the weights).

    Args:
        alpha: the spread, at least 0. Default 0.25, as for `LinUCB`.
        propensity_rounds: 0: the propensity of a decision is None. Above: how often the draw is
            repeated to tell it, as the share of rounds that the chosen action wins, at least one of
            them. 1,000 rounds of 10 actions take a few tenths of a millisecond.
    """

    alpha: float = Param(default=0.25)
    propensity_rounds: int = Param(default=0)

    def _check(self) -> None:
        super()._check()
        self._need(0 <= self.alpha < math.inf, "alpha", "at least 0 and finite")
        self._need(0 <= self.propensity_rounds < 2**32, "propensity_rounds", "0 or more")

    def _pick(self, x: Vector, rows: list[int]) -> Pick:
        means, doubts = self._scores(x, rows)
        spreads = [self.alpha * doubt for doubt in doubts]
        drawn, self.drawn = _core.normals(len(rows), self.seed, self.drawn)
        scores = [m + s * z for m, s, z in zip(means, spreads, drawn, strict=True)]
        at, _ = self._best(scores)
        propensity = None
        if rounds := self.propensity_rounds:
            won, self.drawn = _core.wins(means, spreads, rounds, self.seed, self.drawn)
            propensity = max(won[at], 1) / rounds
        return Pick(at, propensity, scores)


class EpsilonGreedy(Linear):
    """Chooses the action of the highest expected reward, and now and then any of them.

    Args:
        epsilon: how often any, 0 to 1, all of them equally probable. Default 0.1.
    """

    epsilon: float = Param(default=0.1)

    def _check(self) -> None:
        super()._check()
        self._need(0 <= self.epsilon <= 1, "epsilon", "from 0 to 1")

    def _pick(self, x: Vector, rows: list[int]) -> Pick:
        scores, _ = self._scores(x, rows)
        at, ties = self._best(scores)
        if self._uniform() < self.epsilon:
            at = int(self._uniform() * len(rows))
        greedy = (1 - self.epsilon) / ties if scores[at] == max(scores) else 0.0
        return Pick(at, self.epsilon / len(rows) + greedy, scores)
