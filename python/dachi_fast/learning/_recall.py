"""What an agent has experienced: found again, replayed, taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from dachi_fast.errors import LearningError
from dachi_fast.learning._experiences import EXPERIENCE, Life, read
from dachi_fast.learning._learner import checked_source
from dachi_fast.learning._linear import Linear
from dachi_fast.learning._memory import Memory, More, Saving, default_limit, memory_of
from dachi_fast.learning._unlearn import Kept, Order, Unlearned
from dachi_fast.store._off_loop import run
from dachi_fast.store._queue import settle
from dachi_fast.store._records import version_of
from dachi_fast.transaction import LmdbMemoryProvider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from dachi_fast.adapt import AdaptModule
    from dachi_fast.learning._decision import Experience
    from dachi_fast.learning._learner import Learner
    from dachi_fast.module import BaseModule
    from dachi_fast.store import Store
    from dachi_fast.store._records import Row
    from dachi_fast.transaction._lmdb import LmdbSession
    from dachi_fast.types import Document

By: TypeAlias = Literal["recency", "similarity", "importance"]


class Recall:
    """What an agent has experienced, which `NeuralLearningMixin` builds on."""

    experience_limit: int | None

    if TYPE_CHECKING:
        learner: AdaptModule[Learner]

        def _neural_root(self) -> BaseModule: ...
        def _name(self) -> str: ...
        def _store(self) -> Store: ...

    async def experiences(
        self, *, by: By = "recency", source: str | None = None, limit: int | None = 100
    ) -> list[Experience]:
        """Gives what the agent experienced and saved.

        Args:
            by: which come first. ``"recency"``: the newest.
            source: only what this source taught; None for all.
            limit: how many at most; None for all.
        """
        return await run(self._experiences, by, source, limit)

    async def unlearn(self, source: str, *, justification: str = "") -> Unlearned:
        """Takes back what a source taught: its experiences, and what they did to the weights.

        The learner is then as if the source's rewards had been left out of the log: time has passed
        all the same, and what was chosen stays chosen. State and experiences go in one commit, with
        one entry ``unlearn`` in the ledger. Versions of before still hold it, as history: whichever
        is restored takes it back again. So do forks, when they are restored next.

        Args:
            source: who or what taught it.
            justification: why, for the ledger and the history.

        Returns:
            The version without it, and how many experiences were deleted.

        Raises:
            UnlearnIncomplete: the learner must learn the rest anew, and not all of that is kept;
                nothing is changed.
            Conflict: another agent saved under this id; nothing is changed.
            DachiError: what else a save raises; nothing is changed.
        """
        from asyncio import shield, wrap_future

        if checked_source(source) is None:
            raise LearningError("source", "what nobody taught cannot be told apart")
        memory, learner = self._memory(), self.learner.adapted
        before = tuple(memory.fresh)
        kept = await run(self._kept, log=not isinstance(learner, Linear))
        order = Order(source, justification, self._name())
        with memory.lock:
            snapshot, learned = learner.snapshot(), learner.learned
            kept.take_back(learner, source, (*before, *memory.fresh))
            learner.unlearned = [*learner.unlearned, order.id]
            taken = memory.without(source)
            if taken:
                number = self._store()._mark(self._neural_root(), self._name()).number
                stretch = memory.stretch(learner, self._name(), number)
                order.steps[stretch] = [one.step or 0 for one in taken]
            future = self._saved(justification, order)
        try:
            row = await shield(wrap_future(future))
        except Exception:
            if learner.learned == learned:
                learner.restore(snapshot)
                memory.put_back(taken)
            raise
        return Unlearned(version_of(row), order.deleted)

    # --- inside -----------------------------------------------------------------------------------

    def _experiences(self, by: By, source: str | None, limit: int | None) -> list[Experience]:
        found = []
        for one in self._visible(self._session()):
            if source is None or one.content["source"] == source:
                found.append(read(one))
                if len(found) == limit:
                    break
        return found

    def _visible(self, session: LmdbSession) -> Iterator[Document]:
        """Gives the documents of its experiences, newest first."""
        life, name = Life(self.learner.adapted), self._name()
        for one in session.each(0, EXPERIENCE, newest=True):
            content = one.content
            if content["agent"] == name or life.has(content["stretch"], content["step"]):
                yield one

    def _kept(self, *, log: bool = False) -> Kept:
        self._memory().settled()
        return Kept.of(self._session(), log=log)

    def _saved(self, justification: str, more: More | None = None) -> Future[Row]:
        """Takes what there is to save; gives what will be the version's row."""
        from concurrent.futures import Future

        future: Future[Row] = Future()

        def done(row: Row | None, error: Exception | None) -> None:
            settle(future, row, error)

        self._memory().save(self._saving(justification, more), done)
        return future

    def _session(self) -> LmdbSession:
        return LmdbMemoryProvider(self._store(), namespace=self._name()).begin()

    def _memory(self) -> Memory:
        return memory_of(self._neural_root())

    def _limit(self) -> int:
        given = self.experience_limit
        return default_limit(self.learner.adapted.dimension) if given is None else given

    def _saving(self, justification: str, more: More | None = None) -> Saving:
        return Saving(
            self._store(),
            self._neural_root(),
            self._name(),
            justification,
            self.learner.adapted,
            self._limit(),
            more,
        )
