"""Which experiences weighed most in a choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dachi_fast._core import learn as _core
from dachi_fast.errors import LearningError
from dachi_fast.learning._linear import Linear
from dachi_fast.spec import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dachi_fast.learning._decision import Decision, Experience
    from dachi_fast.learning._learner import Learner


@dataclass(frozen=True, slots=True)
class Influence:
    """What one experience does to the reward that is expected of a choice.

    Attributes:
        experience: the experience; its `key` and `id` name it.
        weight: how much of the expected reward is due to it, in units of reward. All of an action's
            together are what is expected of it.
    """

    experience: Experience
    weight: float


def influences(learner: Learner, decision: Decision, log: Iterable[Experience]) -> list[Influence]:
    """Gives what experiences do to the reward that is expected of a decision, largest first.

    A ridge regression is a linear smoother (Hastie, Tibshirani, Friedman, The Elements of
    Statistical Learning, second edition, section 5.4.1): what it expects in a context x is the sum
    over what it learned of x' inverse x_i reward_i, each faded as the sums are. So a part of it is
    due to each experience, exactly; what influence functions approximate for other models (Koh,
    Liang, arXiv 1703.04730).

    Raises:
        LearningError: the learner has no such sum (``influence``).
    """
    if not isinstance(learner, Linear):
        what = f"what a {kind_of(type(learner))} learned is no sum of what it experienced"
        raise LearningError("influence", what)
    row = learner.rows.get(decision.action)
    if row is None:
        return []
    reach = learner.inverse[row] @ learner._reread(decision.features)
    found = []
    for one in log:
        if one.action == decision.action and one.step is not None:
            x = learner._reread(one.context)
            [fade] = _core.faded(learner.discount, [max(learner.aged[row] - one.step, 0)])
            found.append(Influence(one, float(reach @ x) * one.reward * fade))
    return sorted(found, key=lambda part: -abs(part.weight))
