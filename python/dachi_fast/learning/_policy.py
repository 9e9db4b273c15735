"""A softmax policy that follows the gradient of its rewards."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dachi_fast._core import learn as _core
from dachi_fast.errors import LearningError, UnlearnIncomplete
from dachi_fast.learning._learner import Learner, Pick
from dachi_fast.module import Attr, Param

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from dachi_fast.learning._decision import Experience, Vector


class SoftmaxPolicy(Learner):
    """Draws actions with probabilities that it learns by policy gradient.

    The probability of an action is the softmax of its weights times the context, and its
    propensity. A reward moves the weights along the gradient of the log-probability of what was
    chosen, by how much better than usual the reward was (Williams, Machine Learning 8, 1992,
    section 6: REINFORCE with a baseline). A choice whose probability has changed since counts by
    the ratio of the two, at most `clip`; `replay` needs propensities for that, and leaves out what
    has none.

    Args:
        rate: how far one step goes, above 0. Default 0.1, the best of 0.02 to 1 on the digits of
            `benches/learning.py`; contexts with small numbers want more.
        baseline_rate: how fast the baseline follows the rewards, above 0 and at most 1. Default
            0.05; the first rewards are averaged.
        clip: the highest ratio, at least 1. Default 10.

    Example:
        >>> from dachi_fast.learning import SoftmaxPolicy
        >>> policy = SoftmaxPolicy(rate=0.5)
        >>> for _ in range(200):
        ...     decision = policy.choose([1.0], ["left", "right"])
        ...     _ = policy.update(decision, decision.action == "left")
        >>> policy.probabilities([1.0])["left"] > 0.9
        True
    """

    rate: float = Param(default=0.1)
    baseline_rate: float = Param(default=0.05)
    clip: float = Param(default=10.0)

    weights: np.ndarray = Attr(default_factory=lambda: np.zeros((0, 0)))
    baseline: float = Attr(default=0.0)
    """What a reward is compared with: a running mean."""

    def probabilities(self, context: Any) -> dict[Any, float]:
        """Gives how probable each known action is, without choosing.

        Raises:
            LearningError: the context cannot be read, or has another dimension (``context``).
        """
        found = _core.probabilities(self.weights, list(self.rows.values()), self.features(context))
        return dict(zip(self.rows, found, strict=True))

    def resize(self, dimension: int) -> None:
        """Reads contexts with more features from now on, whose weights are 0.

        Raises:
            LearningError: the dimension is smaller than it was (``context``): weights were learned
                together, so that what is left would be no policy for what is left of a context.
        """
        if dimension < self.dimension:
            raise LearningError(
                "context",
                f"a SoftmaxPolicy of {self.dimension} features cannot do with {dimension}: its "
                f"weights were learned together; replay() experiences into a new one",
            )
        more = dimension - self.dimension
        self.weights = np.pad(self.weights, ((0, 0), (0, more)))
        self.dimension = dimension
        for decision in self.pending.values():
            object.__setattr__(decision, "features", np.pad(decision.features, (0, more)))

    def unlearn(
        self, source: str, log: Iterable[Experience] = (), *, gone: Collection[int] = ()
    ) -> None:
        """Takes back what a source taught: learns all the others taught anew, from the log.

        Each step went by the policy as it was, so nothing less gives what would have come of the
        others alone. The log needs each step since the policy was made, with actions that are known
        still.

        Raises:
            UnlearnIncomplete: it lacks some (``unlearn``); nothing is changed.
        """
        told = list(log)
        left = [one for one in told if one.source != source]
        self._check_log({one.step for one in told}.union(gone), left, source)
        weights, baseline, learned = self.weights, self.baseline, self.learned
        self.weights, self.baseline = np.zeros_like(weights), 0.0
        try:
            for one in left:
                self.learned = one.step or 0
                x, offered = self._reread(one.context), one.actions or tuple(self.rows)
                self._learn(x, one.action, one.reward, one.propensity, offered)
        except BaseException:
            self.weights, self.baseline = weights, baseline
            raise
        finally:
            self.learned = learned

    def _check_log(self, steps: set[Any], left: list[Experience], source: str) -> None:
        missing = self.learned - len(steps.intersection(range(self.learned)))
        dropped = {repr(one.action) for one in left if one.action not in self.rows}
        if not missing and not dropped:
            return
        why = f"{missing} of the {self.learned} rewards that it learned are not kept any more"
        if dropped:
            why = f"it has dropped {', '.join(sorted(dropped)[:3])}"
        what = f"what {source!r} taught cannot be taken back from a SoftmaxPolicy: {why}"
        raise UnlearnIncomplete("unlearn", what, source=source, missing=missing)

    def surprise(self, experience: Experience) -> float:
        """Gives how far an experience's reward is from the baseline, times how unlikely it was.

        That is how far its step would move the action's logit, but for rate and context.
        """
        if experience.action not in self.rows:
            return 0.0
        now = self.probabilities(self._reread(experience.context))[experience.action]
        return abs(experience.reward - self.baseline) * (1 - now)

    # --- what a learner is ------------------------------------------------------------------------

    def _pick(self, x: Vector, rows: list[int]) -> Pick:
        scores = _core.probabilities(self.weights, rows, x)
        left = self._uniform()
        # Rounding may leave a little behind the last one.
        at = max(range(len(scores)), key=scores.__getitem__)
        for place, probability in enumerate(scores):
            if left < probability:
                at = place
                break
            left -= probability
        return Pick(at, scores[at], scores)

    def _learn(
        self,
        x: Vector,
        action: Any,
        reward: float,
        propensity: float | None,
        offered: tuple[Any, ...],
    ) -> None:
        known = [one for one in offered if one in self.rows]  # others were dropped since
        rows, chosen = [self.rows[one] for one in known], known.index(action)
        now = _core.probabilities(self.weights, rows, x)
        weight = 1.0 if propensity is None else min(now[chosen] / propensity, self.clip)
        step = self.rate * weight * (reward - self.baseline)
        _core.ascend(self.weights, rows, x, now, chosen, step)
        self.baseline += max(self.baseline_rate, 1 / (self.learned + 1)) * (reward - self.baseline)

    def _check(self) -> None:
        self._need(0 < self.rate < math.inf, "rate", "above 0 and finite")
        self._need(0 < self.baseline_rate <= 1, "baseline_rate", "above 0 and at most 1")
        self._need(self.clip >= 1, "clip", "at least 1")

    def _can_replay(self, experience: Experience) -> bool:
        return experience.propensity is not None

    def _grow(self, count: int, dimension: int) -> None:
        more = np.zeros((count, dimension))
        self.weights = np.concatenate([self.weights, more]) if self.rows else more

    def _remove(self, row: int) -> None:
        self.weights = np.delete(self.weights, row, axis=0)
