"""What a source taught, taken back: from the weights and from what is kept of it."""

from __future__ import annotations

import secrets
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dachi_fast.learning._experiences import EXPERIENCE, UNLEARNED, Life, read

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dachi_fast.learning._decision import Experience
    from dachi_fast.learning._learner import Learner
    from dachi_fast.store import Version
    from dachi_fast.transaction._lmdb import LmdbSession


@dataclass(frozen=True, slots=True)
class Unlearned:
    """What was taken back.

    Attributes:
        version: the agent's first version without it.
        experiences: how many experiences were deleted.
    """

    version: Version
    experiences: int


@dataclass
class Order:
    """One order to take back what a source taught; carried out in a transaction.

    Attributes:
        source: whose lessons.
        justification: why.
        agent: whose ledger entry it is.
        id: names it: states that carried it out list it.
        steps: of lessons that were never saved, by stretch of life.
        deleted: how many experiences were, so far.
    """

    source: str
    justification: str
    agent: str
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    steps: dict[str, list[int]] = field(default_factory=dict)
    deleted: int = 0

    def __call__(self, session: LmdbSession) -> None:
        """Deletes the experiences and notes the order, for states of before."""
        ids, steps = [], defaultdict(list, {name: list(n) for name, n in self.steps.items()})
        for one in session.each(0, EXPERIENCE):
            if one.content["source"] == self.source:
                ids.append(one.id)
                steps[one.content["stretch"]].append(one.content["step"])
        self.deleted = len(ids) + sum(map(len, self.steps.values()))
        why = self.justification or f"take back what {self.source!r} taught"
        told: Any = {"agent_id": self.agent, "justification": why}
        session.remove_all(0, EXPERIENCE, ids, operation="unlearn", **told)
        content = {"order": self.id, "source": self.source, "steps": dict(steps)}
        session.store(0, UNLEARNED, content, ttl_ns=None, **told)


@dataclass(frozen=True)
class Kept:
    """What is kept of an agent's life, as of one moment.

    Attributes:
        log: what was learned; empty where nobody needs it.
        orders: what was taken back, oldest first.
    """

    log: tuple[Experience, ...]
    orders: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, session: LmdbSession, *, log: bool = False) -> Kept:
        """Reads it: the log if it is asked for, or if there is an order that may need it."""
        orders = tuple(one.content for one in session.each(0, UNLEARNED))
        log = log or bool(orders)
        if log:
            session.note_read(0, EXPERIENCE)
        return cls(tuple(map(read, session.each(0, EXPERIENCE))) if log else (), orders)

    def take_back(self, learner: Learner, source: str, fresh: Iterable[Experience] = ()) -> None:
        """Lets a learner unlearn a source.

        Raises:
            UnlearnIncomplete: it cannot; nothing is changed.
        """
        life = Life(learner)
        gone = life.steps(order["steps"] for order in self.orders)
        told = {one.step: one for one in self.log if life.has(one.stretch, one.step)}
        told |= {one.step: one for one in fresh}
        learner.unlearn(source, sorted(told.values(), key=lambda one: one.step or 0), gone=gone)

    def carry_out(self, learner: Learner) -> tuple[str, ...]:
        """Takes back what was ordered and a state of before still holds; gives the sources.

        Raises:
            UnlearnIncomplete: the learner cannot; some may have been carried out.
        """
        left = [order for order in self.orders if order["order"] not in learner.unlearned]
        for order in left:
            self.take_back(learner, order["source"])
            learner.unlearned = [*learner.unlearned, order["order"]]
        return tuple(dict.fromkeys(order["source"] for order in left))
