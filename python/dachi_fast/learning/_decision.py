"""What was chosen, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Decision:
    """One choice; `Learner.update` learns what it brought.

    Attributes:
        id: names it among all decisions of a learner. A step that is done again from a saved state
            gives the same id, a different step another.
        action: what was chosen.
        actions: what could be chosen.
        propensity: how probable the choice was, above 0 and at most 1; None where that is not
        known.
        scores: what the choice went by, one for each of `actions`: upper bounds, samples, expected
            rewards or probabilities, as the learner says.
        features: the context as the learner saw it: float64, shape `(d,)`.
        context: the context if it was a text or a dict; None for a vector.
    """

    id: str
    action: Any
    actions: tuple[Any, ...]
    propensity: float | None
    scores: tuple[float, ...] = field(compare=False)
    features: Vector = field(compare=False, repr=False)
    context: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Experience:
    """What an action in a context brought.

    Attributes:
        action: what was done.
        context: in which situation: a vector, a dict or a text, as for `Learner.choose`.
        outcome: what came of it; kept for people and for search, never learned from.
        reward: how good that was, within the learner's `reward_range`.
        id: of the decision that led to it, or of the experience itself; None before it was learned.
        propensity: how probable the action was when it was chosen; None where that is not known.
        actions: what could be chosen then; None: everything that the learner knows.
        source: who or what taught it, for whoever is to take it back.
        step: which of the learner's rewards it was, from 0 on; None before it was learned.
        stretch: of which stretch of the agent's life; None before it is saved. A new one begins
            where an agent goes on from a rollback or a fork.
        followed: after which version of the agent it was made; None before it is saved.
        key: the id of the document that it is kept as; None before it is saved.
        similarity: its context's cosine to what was asked for; None where nothing was.
    """

    action: Any
    context: Any
    outcome: Any
    reward: float
    id: str | None = None
    propensity: float | None = None
    actions: tuple[Any, ...] | None = None
    source: str | None = None
    step: int | None = field(default=None, compare=False)
    stretch: str | None = field(default=None, compare=False)
    followed: int | None = field(default=None, compare=False)
    key: str | None = field(default=None, compare=False)
    similarity: float | None = field(default=None, compare=False)
