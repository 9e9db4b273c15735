"""A memory for scripts and threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar, Unpack

from dachi_fast._core import codec
from dachi_fast.embed import StaticEmbedder
from dachi_fast.errors import Conflict, TransactionError
from dachi_fast.memory import _write
from dachi_fast.memory._namespace import INDEXES, Place
from dachi_fast.memory._options import MemoryOptions, NewTask, RecallOptions, TaskOptions
from dachi_fast.memory._recall import Question, answer, asked
from dachi_fast.memory._records import KIND, Memory, Ready, Recall, memory_of
from dachi_fast.memory._reembed import Advance, reembed
from dachi_fast.memory._trust import check_key, check_within, message
from dachi_fast.memory._where import Where
from dachi_fast.memory._write import rules_of
from dachi_fast.store._handle import check_text
from dachi_fast.transaction import LmdbMemoryProvider
from dachi_fast.transaction._lmdb import LmdbSession
from dachi_fast.transaction._query import check_limit

if TYPE_CHECKING:
    from dachi_fast.embed import Calibration
    from dachi_fast.store import Store
    from dachi_fast.transaction import SyncTransaction, Transaction
    from dachi_fast.types import Embedder

T = TypeVar("T")

# Whoever stores from one limited source at once waits for the others in turn.
_ATTEMPTS: Final = 64


class SyncMemory:
    """A memory for scripts and threads; `MemoryStore.sync` gives it.

    Each method does what that of `MemoryStore` does: arguments, results and errors alike.
    """

    def __init__(
        self, store: Store | None, namespace: str, principal: str | None, options: MemoryOptions
    ) -> None:
        embedder, given = options.get("embedder"), options.get("indexes", ())
        indexes = {**INDEXES, KIND: [*INDEXES[KIND], *given]}
        self._provider: Final = LmdbMemoryProvider(store, namespace=namespace, indexes=indexes)
        self._principal: Final = namespace if principal is None else principal
        check_text(self._principal)
        self._rules = rules_of(StaticEmbedder() if embedder is None else embedder, options)
        self._calibration = _meaning(self.embedder, options.get("calibration"))

    @property
    def namespace(self) -> str:
        """The namespace that it sees."""
        return self._provider.namespace

    @property
    def principal(self) -> str:
        """Who uses it."""
        return self._principal

    @property
    def embedder(self) -> Embedder:
        """What makes vectors of texts."""
        return self._rules.embedder

    # --- storing -------------------------------------------------------------------------------

    def store_task(
        self,
        task_envelope: Mapping[str, Any],
        result: Any,
        *,
        justification: str = "",
        within: SyncTransaction | None = None,
        **options: Unpack[TaskOptions],
    ) -> str:
        """Stores a task and what came of it; gives its id."""
        task = NewTask(task_envelope=task_envelope, result=result, **options)
        [memory_id] = self.store_tasks([task], justification=justification, within=within)
        return memory_id

    def store_tasks(
        self,
        tasks: Iterable[NewTask],
        *,
        justification: str = "",
        within: SyncTransaction | None = None,
    ) -> list[str]:
        """Stores tasks in one commit; gives their ids."""
        return self._store(self._ready(tasks), justification, within)

    def supersede(
        self,
        memory_id: str,
        task_envelope: Mapping[str, Any],
        result: Any,
        *,
        justification: str = "",
        **options: Unpack[TaskOptions],
    ) -> str:
        """Stores a task in the place of an older one; gives its id."""
        task = NewTask(task_envelope=task_envelope, result=result, **options)
        return self._supersede(memory_id, self._ready([task]), justification)

    def forget(self, memory_id: str, *, justification: str = "") -> None:
        """Deletes a memory with its vector."""
        self._write(lambda place: _write.forget(place, memory_id, self._rules), justification)

    def _ready(self, tasks: Iterable[NewTask]) -> list[Ready]:
        return [_write.ready(task, self._rules, self._principal) for task in tasks]

    def _store(
        self,
        items: list[Ready],
        justification: str,
        within: SyncTransaction | Transaction | None = None,
    ) -> list[str]:
        if not items:
            return []
        for item in items if within is not None else ():
            codec.encode(item.content)  # what cannot be stored leaves the transaction as it was
        vectors = self.embedder.embed([item.content["text"] for item in items])
        return self._write(
            lambda place: _write.store(place, items, vectors, self._rules), justification, within
        )

    def _supersede(self, memory_id: str, items: list[Ready], justification: str) -> str:
        [item] = items
        [vector] = self.embedder.embed([item.content["text"]])
        return self._write(
            lambda place: _write.supersede(place, memory_id, item, vector, self._rules),
            justification,
        )

    # --- reading -------------------------------------------------------------------------------

    def retrieve_similar_tasks(
        self,
        query: str,
        *,
        limit: int = 5,
        justification: str = "",
        **options: Unpack[RecallOptions],
    ) -> Recall:
        """Gives the memories that are nearest to a text in meaning."""
        return self._answer(asked(self._calibration, query, limit, options), justification)

    def _answer(self, question: Question, justification: str) -> Recall:
        [vector] = self.embedder.embed([question.query])
        place = self._reading(justification)
        found = answer(place, place.serving(self.embedder), vector, question)
        place.note_read()
        return found

    def get(self, memory_id: str, *, justification: str = "") -> Memory:
        """Gives a memory, whatever its state."""
        place = self._reading(justification)
        found = _write.there(place, memory_id)
        place.note_read()
        return memory_of(found, place.session.now_ns())

    def find(
        self,
        *,
        where: Mapping[str, Any] | None = None,
        order: str = "newest",
        limit: int | None = None,
        justification: str = "",
    ) -> list[Memory]:
        """Gives the memories that meet all conditions, whatever their state."""
        wanted = Where(where)
        check_limit(limit)
        place = self._reading(justification)
        found = wanted.find(place, order, limit)
        place.note_read()
        now_ns = place.session.now_ns()
        return [memory_of(document, now_ns) for document in found]

    # --- trust ---------------------------------------------------------------------------------

    def quarantine(self, memory_id: str, *, justification: str = "") -> None:
        """Leaves a memory out of recall until it is released."""
        self._write(
            lambda place: _write.move(place, memory_id, self._rules, quarantined=True),
            justification,
        )

    def release(self, memory_id: str, *, justification: str = "") -> None:
        """Lets a quarantined memory be recalled."""
        self._write(
            lambda place: _write.move(place, memory_id, self._rules, quarantined=False),
            justification,
        )

    def register_source(
        self, source: str, public_key: bytes | None, *, justification: str = ""
    ) -> None:
        """Says by which key a source signs what it says; None for no longer."""
        if public_key is not None:
            check_key(public_key)
        what = "only a handle that users trust registers sources"
        check_within("user", self._rules.most_trust, what)
        self._write(lambda place: place.set_key(source, public_key), justification)

    def to_sign(
        self, task_envelope: Mapping[str, Any], result: Any, **options: Unpack[TaskOptions]
    ) -> bytes:
        """Gives the bytes that a source signs, for `store_task` to be given the signature."""
        [item] = self._ready([NewTask(task_envelope=task_envelope, result=result, **options)])
        return message(self.namespace, item.content)

    # --- embedders -----------------------------------------------------------------------------

    def reembed(
        self,
        embedder: Embedder,
        *,
        calibration: Calibration | None = None,
        progress: Advance | None = None,
    ) -> int:
        """Moves all memories into another embedder's space; gives how many vectors it made."""
        made = reembed(self, embedder, progress)
        self._rules = replace(self._rules, embedder=embedder)
        self._calibration = _meaning(embedder, calibration)
        return made

    # --- transactions --------------------------------------------------------------------------

    def _grant(self, principals: Sequence[str]) -> None:
        check_text(*principals)
        self._write(lambda place: place.grant(principals), f"granted to {', '.join(principals)}")

    def _check_granted(self) -> None:
        self._reading("")

    def _reading(self, justification: str) -> Place:
        """Gives the namespace as it is now; nothing is made of one that is not there."""
        check_text(justification)
        store, namespace = self._provider.database, self.namespace
        session = LmdbSession(store, store._core.transaction([namespace]))
        place = Place(session, 0, namespace, self._principal, justification)
        place.check_granted()
        return place

    def _write(
        self,
        work: Callable[[Place], T],
        justification: str,
        within: SyncTransaction | Transaction | None = None,
    ) -> T:
        check_text(justification)
        if within is not None:
            return work(self._place_in(within, justification))
        for left in reversed(range(_ATTEMPTS)):
            session = self._provider.begin()
            place = Place(session, 0, self.namespace, self._principal, justification)
            try:
                place.check_granted()
                done = work(place)
                session.commit()
                return done
            except Conflict:
                if not left:
                    raise
            finally:
                session.rollback()
        raise AssertionError

    def _place_in(self, within: SyncTransaction | Transaction, justification: str) -> Place:
        session = within._session
        for at, provider in enumerate(within._providers):
            if (
                isinstance(session, LmdbSession)
                and isinstance(provider, LmdbMemoryProvider)
                and provider.namespace == self.namespace
                and provider.database is self._provider.database
            ):
                why = justification or within._justification
                place = Place(session, at, self.namespace, self._principal, why)
                place.check_granted()
                return place
        what = f"the transaction was not begun over {self.namespace!r} of this store"
        raise TransactionError("nested", what)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.namespace!r} as {self._principal!r}>"


def _meaning(embedder: Embedder, given: Calibration | None) -> Calibration | None:
    """Gives what an embedder's cosines mean, if that is known."""
    return given or getattr(embedder, "calibration", None)
