"""What an agent has experienced since its last save, and how that is saved with what it did.

Saves of one agent run one after the other, each with the state and the experiences of the moment it
was asked for. What a save is to write beside them is found when its turn comes, in a transaction
that is begun anew when somebody else changes the same documents.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from dachi_fast._core import state as _core_state
from dachi_fast.errors import Conflict
from dachi_fast.learning._experiences import EXPERIENCE, STATE, written
from dachi_fast.learning._near import RECENT, STATES, Seen, mean, seen

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Future

    from dachi_fast._core.state import Capture
    from dachi_fast._core.store import Mark
    from dachi_fast.learning._decision import Experience
    from dachi_fast.learning._learner import Learner
    from dachi_fast.module import BaseModule
    from dachi_fast.store import Store
    from dachi_fast.store._queue import Done
    from dachi_fast.store._records import Row
    from dachi_fast.transaction._lmdb import LmdbSession

# How often a transaction is begun anew because others changed the same documents.
_ATTEMPTS: Final = 16
# Numbers of contexts that are kept where nobody says how many experiences: 64 MB.
_NUMBERS: Final = 1 << 23
_MOST: Final = 10_000

More = Callable[["LmdbSession"], object]


def default_limit(dimension: int) -> int:
    """Gives how many experiences are kept of contexts with so many numbers.

    10,000, some 10 MB of 64 features each; but no more than 64 MB of numbers.
    """
    return min(_MOST, max(_NUMBERS // max(dimension, 1), 1))


@dataclass(frozen=True)
class Saving:
    """What is to be saved.

    Attributes:
        store: where.
        root: what.
        name: under which name.
        justification: why.
        learner: the root's learner.
        limit: how many experiences are kept; None: all.
        more: what else is to be done in the same transaction, before its commit.
    """

    store: Store
    root: BaseModule
    name: str
    justification: str
    learner: Learner
    limit: int | None
    more: More | None = None


class Memory:
    """What an agent has experienced and not saved yet, and its saves.

    Attributes:
        lock: held while a reward is learned and noted, and while a state is taken, so that no state
            has learned what is not among its experiences.
        fresh: what was not saved yet, oldest first.
        elsewhere: whether the state came from another place than the agent's last version, so that
            what it learns next begins another stretch.
        begun: whether a learner of this agent's had a stretch before, so that one that has none yet
            is another.
        recent: the contexts that were saved last, oldest first.
    """

    def __init__(self) -> None:
        self.lock: Final = threading.RLock()
        self.fresh: deque[Experience] = deque()
        self.elsewhere = False
        self.begun = False
        self.recent: deque[Seen] = deque(maxlen=RECENT)
        self._last: Future[Row] | None = None

    def note(self, experience: Experience, limit: int | None) -> None:
        """Keeps an experience for the next save; the oldest beyond the limit go."""
        self.fresh.append(experience)
        while limit is not None and len(self.fresh) > limit:
            self.fresh.popleft()

    def settled(self) -> None:
        """Waits until what was asked for is saved or has failed."""
        last = self._last
        if last is not None:
            last.exception()

    def without(self, source: str) -> list[Experience]:
        """Takes what a source taught out of what was not saved yet, and gives it."""
        taken = [one for one in self.fresh if one.source == source]
        self.fresh = deque(one for one in self.fresh if one.source != source)
        return taken

    def put_back(self, experiences: Iterable[Experience]) -> None:
        """Has experiences saved with the next save, after all."""
        with self.lock:
            every = sorted((*experiences, *self.fresh), key=lambda one: one.step or 0)
            self.fresh = deque(every)

    def clear(self, learner: Learner, *, elsewhere: bool) -> None:
        """Lets go of what was not saved: the state is another one now."""
        self.fresh.clear()
        self.recent.clear()
        self.elsewhere = elsewhere
        self.begun = bool(learner.lineage)

    def stretch(self, learner: Learner, name: str, number: int) -> str:
        """Gives the stretch of life in which what was not saved yet was learned.

        The first one has the same name however often the agent was saved before: an agent that was
        killed and goes on comes to the same state as one that was not.
        """
        if self.elsewhere or not learner.lineage:
            first = self.fresh[0].step if self.fresh else learner.learned
            after = number if self.elsewhere or self.begun else 0
            learner.lineage = [*learner.lineage, (f"{name}@{after}", first or 0)]
        self.elsewhere, self.begun = False, True
        return learner.lineage[-1][0]

    def saved(self, saving: Saving) -> Future[Row]:
        """Does what `save` does; gives what will be the version's row."""
        from concurrent.futures import Future

        from dachi_fast.store._queue import settle

        future: Future[Row] = Future()

        def done(row: Row | None, error: Exception | None) -> None:
            settle(future, row, error)

        self.save(saving, done)
        return future

    def save(self, saving: Saving, done: Done, *, skip_equal: bool = False) -> None:
        """Takes the state and what was experienced now, and saves both; `done` hears of the end."""
        store, root, name, why = saving.store, saving.root, saving.name, saving.justification
        with self.lock:
            mark, _ = store._wanted(root, name, why, "auto")
            stretch = ""
            if self.fresh or (self.elsewhere and saving.learner.lineage):
                stretch = self.stretch(saving.learner, name, mark.number)
            behind = self._last is not None and not self._last.done()
            if not (self.fresh or behind or saving.more):
                store._queue(root, name, why, "auto", done, skip_equal=skip_equal)
                return
            capture = _core_state.capture(root, copy_arrays=True)
            learned = saving.learner.learned
            job = _Job(saving, mark, capture, stretch, learned, tuple(self.fresh), self.recent)
            self.fresh.clear()
            self._chain(job, done)

    def _chain(self, job: _Job, done: Done) -> None:
        """Runs a job in a thread when those before it have ended."""
        # Where used, as all of the store: who only learns does not import it.
        from concurrent.futures import Future

        from dachi_fast.store._off_loop import submit
        from dachi_fast.store._queue import settle

        future: Future[Row] = Future()
        before, self._last = self._last, future
        job.saving.store._await_at_close(future)

        def work() -> None:
            row, error = None, None
            try:
                row = job.run()
            except Exception as raised:  # noqa: BLE001 - whoever asked for the save hears of it
                error = raised
                self.put_back(job.experiences)
            settle(future, row, error)
            with contextlib.suppress(Exception):  # whoever waited went away
                done(row, error)

        def begin() -> None:
            try:
                submit(work)
            except RuntimeError:  # the interpreter ends, and there are no threads any more
                work()

        if before is None or before.done():
            begin()
        else:
            before.add_done_callback(lambda _: begin())


@dataclass(frozen=True)
class _Job:
    """One save: a state that was taken, and what it had experienced since the one before."""

    saving: Saving
    mark: Mark
    capture: Capture
    stretch: str
    learned: int
    experiences: tuple[Experience, ...]
    recent: deque[Seen]

    def run(self) -> Row:
        from dachi_fast.transaction import LmdbMemoryProvider

        # Here, behind the jobs before: one of an agent's runs at a time.
        contexts = [seen(self.saving.learner, one.context) for one in self.experiences]
        self.recent.extend(one for one in contexts if one is not None)
        provider = LmdbMemoryProvider(self.saving.store, namespace=self.saving.name)
        for left in reversed(range(_ATTEMPTS)):
            session = provider.begin()
            try:
                self._write(session, contexts)
                return session.commit_rows()[0]
            except Conflict as error:
                # Another version is the latest; else somebody changed a document.
                if not left or "name" in error.context:
                    raise
        raise AssertionError

    def _write(self, session: LmdbSession, contexts: list[Seen | None]) -> None:
        saving, followed = self.saving, self.mark.number
        if self.experiences and saving.limit is not None:
            self._make_room(session, EXPERIENCE, len(self.experiences), saving.limit)
        for one, context in zip(self.experiences, contexts, strict=True):
            content = written(one, saving.name, self.stretch, followed)
            self._store(session, EXPERIENCE, content, context)
        if self.experiences and saving.limit != 0:
            self._make_room(session, STATE, 1, STATES)
            state = {"agent": saving.name, "version": followed + 1, "learned": self.learned}
            self._store(session, STATE, state, mean(self.recent))
        if saving.more is not None:
            saving.more(session)
        session.save_captured(saving.name, self.capture, self.mark, saving.justification)

    def _store(
        self, session: LmdbSession, kind: str, content: dict[str, Any], about: Seen | None
    ) -> None:
        name, why = self.saving.name, self.saving.justification
        told = {"agent_id": name, "justification": why, "ttl_ns": None}
        key = session.store(0, kind, content, **told)  # type: ignore[arg-type]
        if about is not None:
            space, size = f"{kind} {about.space}", about.vector.size
            session.declare_space(0, space, model=about.model, dimension=size)
            session.embed(0, space, key, about.vector)

    def _make_room(self, session: LmdbSession, kind: str, more: int, limit: int) -> None:
        excess = session.count(0, kind) + more - limit
        if excess > 0:
            oldest = [one.id for one in islice(session.each(0, kind, limit=excess), excess)]
            told = {"agent_id": self.saving.name, "justification": f"more than {limit}"}
            session.remove_all(0, kind, oldest, operation="delete", **told)


# By id of what is saved: it may be equal to anything, and is not to be kept alive.
_memories: Final[dict[int, tuple[weakref.ref[BaseModule], Memory]]] = {}


def memory_of(root: BaseModule) -> Memory:
    """Gives the memory of an agent, or of what stands for it."""
    held = _memories.get(id(root))
    if held is None:
        key = id(root)
        gone = weakref.ref(root, lambda _: _memories.pop(key, None))
        held = _memories.setdefault(key, (gone, Memory()))
    return held[1]
