"""What an agent has experienced: found again, replayed, explained, taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dachi_fast.errors import LearningError, StateTypeError
from dachi_fast.learning._experiences import Life
from dachi_fast.learning._influence import influences
from dachi_fast.learning._late import run, written
from dachi_fast.learning._learner import checked_source
from dachi_fast.learning._linear import Linear
from dachi_fast.learning._memory import Memory, More, Saving, default_limit, memory_of
from dachi_fast.learning._search import Search, Wish
from dachi_fast.learning._unlearn import Kept, Order, Unlearned

if TYPE_CHECKING:
    from dachi_fast.adapt import AdaptModule
    from dachi_fast.learning._decision import Decision, Experience
    from dachi_fast.learning._influence import Influence
    from dachi_fast.learning._learner import Learner
    from dachi_fast.learning._near import Seen
    from dachi_fast.learning._saved import Restored
    from dachi_fast.learning._search import By, Related
    from dachi_fast.module import BaseModule
    from dachi_fast.store import Store, Version
    from dachi_fast.transaction._lmdb import LmdbSession


class Recall:
    """What an agent has experienced, which `NeuralLearningMixin` builds on."""

    experience_limit: int | None

    if TYPE_CHECKING:
        learner: AdaptModule[Learner]

        def _neural_root(self) -> BaseModule: ...
        def _name(self) -> str: ...
        def _store(self) -> Store: ...
        async def restore_neural_state(self) -> Restored: ...
        async def save_neural_state(self, *, justification: str = "") -> Version: ...

    async def experiences(
        self,
        *,
        by: By = "recency",
        like: Any = None,
        source: str | None = None,
        limit: int | None = 100,
    ) -> list[Experience]:
        """Gives what the agent experienced and saved.

        Args:
            by: which come first. ``"recency"``: the newest. ``"similarity"``: those in contexts
                nearest to `like`; `Experience.similarity` is the cosine. ``"importance"``: those
                whose rewards are furthest from what the learner expects today.
            like: a text, a dict or a vector, which is compared with its like.
            source: only what this source taught; None for all.
            limit: how many at most, from 1 on; None for all.

        Raises:
            ValueError: `by` is none of these, or `limit` is none.
            LearningError: `like` is no context, is missing or not asked for (``context``).
            DachiError: what reading a store raises.

        Complexity:
            By recency it reads what it gives, with a source all that are newer; by similarity a
            search among the vectors; by importance all experiences, an expectation each.
        """
        wish = Wish(by, like, source, limit)
        return await run(lambda: self._search().found(wish))

    async def replay(
        self,
        *,
        into: Learner | None = None,
        by: By = "recency",
        like: Any = None,
        source: str | None = None,
        limit: int | None = 100,
    ) -> int:
        """Learns from experiences once more, or lets another learner learn from them.

        A `SoftmaxPolicy` weighs each by the clipped ratio of its probability today and when it was
        chosen, and leaves out those without a propensity. What an agent's own learner replays is no
        new experience: `unlearn` cannot take it back from a policy, and says so.

        Args:
            into: the learner; None for the agent's own.
            by: as for `experiences`. The newest are replayed in the order in which they were made.
            like: as for `experiences`.
            source: as for `experiences`.
            limit: as for `experiences`.

        Returns:
            How many were learned.

        Raises:
            LearningError: a linear learner would count its own experiences twice (``replay``), or
                as `Learner.replay` and `experiences` raise.
        """
        learner = self.learner.adapted if into is None else into
        if into is None and isinstance(learner, Linear):
            what = "its sums hold its own experiences already: replay them into another learner"
            raise LearningError("replay", what)
        found = await self.experiences(by=by, like=like, source=source, limit=limit)
        if by == "recency":
            found.reverse()
        with self._memory().lock:
            for one in found:
                size = learner.features(one.context).size
                learner.offer(one.actions or [one.action], dimension=size)
            return learner.replay(found)

    async def influence(
        self, decision: Decision | str, *, limit: int | None = 10
    ) -> list[Influence]:
        """Gives the experiences that weigh most in what is expected of a choice.

        Each comes with how much of the expected reward is due to it, as the learner is now; their
        sum is what the learner expects, if all that it learned of the action is kept.

        Args:
            decision: the choice; or its id, while it waits for its reward.
            limit: how many at most, from 1 on; None for all.

        Returns:
            The largest first, whatever their sign.

        Raises:
            LearningError: the decision is not known (``decision``), or the learner's expectations
                are no sums (``influence``).

        Complexity:
            Reads all experiences; O(d) for each of the action.
        """
        learner = self.learner.adapted
        held = learner.pending.get(decision) if isinstance(decision, str) else decision
        if held is None:
            raise LearningError("decision", f"decision {decision!r} does not wait for its reward")
        kept = await run(self._kept, log=True)
        life = Life(learner)
        log = (one for one in kept.log if life.has(one.stretch, one.step))
        return influences(learner, held, log)[:limit]

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
            Conflict: another agent saved under this id.
            DachiError: what else a save raises. As after a `Conflict`, the store is as it was, and
                the learner, too, unless it has learned something meanwhile: then restore it.
        """
        if checked_source(source) is None:
            raise LearningError("source", "what nobody taught cannot be told apart")
        memory, learner = self._memory(), self.learner.adapted
        before = tuple(memory.fresh)
        kept = await run(self._kept, log=not isinstance(learner, Linear))
        order = Order(source, justification, self._name())
        with memory.lock:
            snapshot, learned, elsewhere = learner.snapshot(), learner.learned, memory.elsewhere
            kept.take_back(learner, source, (*before, *memory.fresh))
            learner.unlearned = [*learner.unlearned, order.id]
            taken = memory.without(source)
            if taken:
                number = self._store()._mark(self._neural_root(), self._name()).number
                stretch = memory.stretch(learner, self._name(), number)
                order.steps[stretch] = [one.step or 0 for one in taken]
            saving = memory.saved(self._saving(justification, order))
        try:
            version = await written(saving)
        except Exception:
            if learner.learned == learned:
                learner.restore(snapshot)
                memory.elsewhere = elsewhere
                memory.put_back(taken)
            raise
        return Unlearned(version, order.deleted)

    async def rollback_neural_state(
        self, to: int | str, *, with_memory: bool = False, justification: str = ""
    ) -> Restored:
        """Goes back to an earlier version: a new version equal to it, which the agent restores.

        What was experienced since is kept, and `experiences` still gives it: it happened. The
        learner has not learned it any more, and `unlearn` and `influence` pass it.

        Args:
            to: the version's number or tag.
            with_memory: whether it is out of sight, too. It is not deleted: going back to a version
                that has learned it shows it again. This makes one more version.
            justification: why, for the ledger and the history.

        Returns:
            What was restored.

        Raises:
            UnknownName: no such version; nothing is changed.
            DachiError: what `Store.rollback` and `restore_neural_state` raise.
        """
        await run(self._memory().settled)
        store, name = self._store(), self._name()
        await run(store.rollback, name, to=to, justification=justification)
        restored = await self.restore_neural_state()
        if with_memory:
            self.learner.adapted.hides = True
            await self.save_neural_state(justification=justification)
        return restored

    # --- inside -----------------------------------------------------------------------------------

    def _search(self) -> Search:
        return Search(self._session(), self.learner.adapted, self._name())

    def _around(self, number: int) -> tuple[list[Seen], Related]:
        """Gives what the agent was about lately, and what is near to that.

        Nothing where an outcome is of a class that this process does not have: the state needs no
        outcomes.
        """
        search = self._search()
        try:
            recent = search.recent()
            return recent, search.related(recent, number)
        except StateTypeError:
            return [], ((), ())

    def _kept(self, *, log: bool = False) -> Kept:
        self._memory().settled()
        return Kept.of(self._session(), log=log)

    def _session(self) -> LmdbSession:
        from dachi_fast.transaction import LmdbMemoryProvider

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
