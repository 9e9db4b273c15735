"""An agent's experiences and past states, found again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from dachi_fast.errors import LearningError
from dachi_fast.learning._experiences import EXPERIENCE, STATE, Life, read
from dachi_fast.learning._near import RECENT, Seen, mean, seen

if TYPE_CHECKING:
    from dachi_fast.learning._decision import Experience
    from dachi_fast.learning._learner import Learner
    from dachi_fast.transaction._lmdb import LmdbSession
    from dachi_fast.types import Document

By: TypeAlias = Literal["recency", "similarity", "importance"]

# Experiences and states that a restore gives.
_RELATED: Final = 5


@dataclass(frozen=True)
class Wish:
    """Which experiences are wanted; see `NeuralLearningMixin.experiences`."""

    by: By
    like: Any
    source: str | None
    limit: int | None

    def __post_init__(self) -> None:
        if self.by not in {"recency", "similarity", "importance"}:
            what = f"by is 'recency', 'similarity' or 'importance', not {self.by!r}"
            raise ValueError(what)
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit is a number from 1 on, or None for all, not {self.limit!r}")
        if (self.like is not None) != (self.by == "similarity"):
            what = "like= is what by='similarity' compares with, and goes with nothing else"
            raise LearningError("context", what)


@dataclass(frozen=True, slots=True)
class PastState:
    """A state that an agent was in.

    Attributes:
        agent: the agent's id, or that of a fork.
        version: which version of it.
        learned: how many rewards it had learned.
        similarity: the cosine of what it was about then to what the agent is about now.
    """

    agent: str
    version: int
    learned: int
    similarity: float


Related: TypeAlias = "tuple[tuple[Experience, ...], tuple[PastState, ...]]"


class Search:
    """A look at what an agent keeps, as of one moment.

    Args:
        session: a transaction over its namespace.
        learner: its learner.
        name: its id.
    """

    def __init__(self, session: LmdbSession, learner: Learner, name: str) -> None:
        self._session = session
        self._learner = learner
        self._name = name
        self._life = Life(learner)

    def found(self, wish: Wish) -> list[Experience]:
        """Gives the experiences that are wanted."""
        if wish.by == "similarity":
            about = seen(self._learner, self._learner.readable(wish.like))
            return [] if about is None else self._nearest(about, wish)
        self._session.note_read(0, EXPERIENCE)
        found = (one for one in self._newest() if wish.source in {None, one.source})
        if wish.by == "recency":
            return list(islice(found, wish.limit))
        return sorted(found, key=self._learner.surprise, reverse=True)[: wish.limit]

    def recent(self) -> list[Seen]:
        """Gives the contexts of the newest experiences, oldest first."""
        newest = list(islice(self._newest(), RECENT))
        contexts = [seen(self._learner, one.context) for one in reversed(newest)]
        return [one for one in contexts if one is not None]

    def related(self, recent: list[Seen], number: int) -> Related:
        """Gives the experiences and the states nearest to what an agent is about.

        Args:
            recent: its newest contexts, oldest first.
            number: the version that it is, which is none of the past ones.
        """
        about = mean(recent)
        if about is None:
            return (), ()
        experiences = self._nearest(about, Wish("similarity", recent, None, _RELATED))
        near = self._session.similar(0, f"{STATE} {about.space}", about.vector, _RELATED + 1)
        states = []
        for key, cosine in near:
            one = self._session.retrieve(0, STATE, key)
            held = {} if one is None else one.content
            if held and (held["agent"], held["version"]) != (self._name, number):
                states.append(PastState(**held, similarity=cosine))
        return tuple(experiences), tuple(states[:_RELATED])

    def _newest(self) -> Iterator[Experience]:
        every = self._session.each(0, EXPERIENCE, newest=True)
        return (read(one) for one in every if self._has(one))

    def _has(self, document: Document) -> bool:
        """Whether the agent sees it: its own, unless that was hidden, and what led to its state."""
        content = document.content
        mine = content["agent"] == self._name and not self._learner.hides
        return mine or self._life.has(content["stretch"], content["step"])

    def _nearest(self, about: Seen, wish: Wish) -> list[Experience]:
        """Looks at more of the nearest until enough of them are wanted."""
        every = self._session.count(0, EXPERIENCE)
        wanted = every if wish.limit is None else min(wish.limit, every)
        most = wanted
        while True:
            near = self._session.similar(0, f"{EXPERIENCE} {about.space}", about.vector, most)
            found = list(islice(self._wanted(near, wish), wanted))
            if len(found) == wanted or most >= every:
                return found
            most = min(most * 4, every)

    def _wanted(self, near: list[tuple[str, float]], wish: Wish) -> Iterator[Experience]:
        for key, cosine in near:
            one = self._session.retrieve(0, EXPERIENCE, key)
            if one is not None and self._has(one) and wish.source in {None, one.content["source"]}:
                yield replace(read(one), similarity=cosine)
