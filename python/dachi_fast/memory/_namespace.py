"""What a namespace knows beside its memories: who may use it, its sources, its spaces.

| memory type | document |
|---|---|
| `memory_grant` | `principal`: one that may use the namespace's memory |
| `memory_source` | `source`, its `public_key` if it signs, and since when it stored how many |
| `memory_move` | `done`: up to which id memories are in the next space, too |
| `memory_todo` | `id`: a memory that was written while they are moved |

A space is called ``task_memory/`` and a number. There is one, or two while memories are moved: the
one with the lower number serves, the other one is filled.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from dachi_fast.errors import EmbedderMismatch, NotGranted, SourceLimitReached
from dachi_fast.memory._records import KIND

if TYPE_CHECKING:
    from dachi_fast.memory._trust import SourceLimit
    from dachi_fast.transaction._lmdb import LmdbSession
    from dachi_fast.types import Document, Embedder, Space

GRANT: Final = "memory_grant"
SOURCE: Final = "memory_source"
MOVE: Final = "memory_move"
TODO: Final = "memory_todo"

INDEXES: Final[dict[str, list[str | Sequence[str]]]] = {
    KIND: [["source", "timestamp"]],
    SOURCE: ["source"],
}

_SPACE: Final = f"{KIND}/"


class Place:
    """One namespace in a transaction, and who uses it.

    Args:
        session: the transaction.
        place: which of its namespaces.
        namespace: its name.
        principal: who uses it.
        why: for the ledger.
    """

    def __init__(
        self, session: LmdbSession, place: int, namespace: str, principal: str, why: str = ""
    ) -> None:
        self.session: Final = session
        self.at: Final = place
        self.namespace: Final = namespace
        self.principal: Final = principal
        self.why: Final = why

    # --- documents -----------------------------------------------------------------------------

    def add(self, kind: str, content: dict[str, Any], ttl_ns: int | None = None) -> str:
        """Stores a document; gives its id."""
        return self.session.store(
            self.at,
            kind,
            content,
            agent_id=self.principal,
            justification=self.why,
            ttl_ns=ttl_ns,
        )

    def replace(self, found: Document, content: dict[str, Any], ttl_ns: int | None = None) -> None:
        """Replaces a document."""
        self.session.replace(
            self.at,
            found.memory_type,
            found.id,
            content,
            agent_id=self.principal,
            justification=self.why,
            ttl_ns=ttl_ns,
        )

    def delete(self, kind: str, document_id: str) -> bool:
        """Deletes a document; False if it is not there."""
        return self.session.delete(
            self.at, kind, document_id, agent_id=self.principal, justification=self.why
        )

    def look(self, kind: str, limit: int | None = None, **where: Any) -> list[Document]:
        """Gives documents, which is no entry of the ledger."""
        return self.session.look(self.at, kind, where=where, order="oldest", limit=limit)

    def after(self, kind: str, document_id: str, limit: int) -> list[Document]:
        """Gives the documents behind an id, "" for from the first on, which is no entry either."""
        return self.session.look_after(self.at, kind, document_id, limit)

    def note_read(self) -> None:
        """Puts a read of memories into the ledger."""
        self.session.note_read(self.at, KIND, self.principal, self.why)

    # --- who may use it ------------------------------------------------------------------------

    def check_granted(self) -> None:
        """Refuses a principal that this is not for.

        Raises:
            NotGranted: it is neither the namespace's own, nor was it granted to.
        """
        mine = self.principal == self.namespace
        if not mine and self.principal not in {found.content["principal"] for found in self._all()}:
            what = f"the memory of {self.namespace!r} was not granted to {self.principal!r}"
            raise NotGranted(
                "not-granted", what, namespace=self.namespace, principal=self.principal
            )

    def _all(self) -> list[Document]:
        return self.look(GRANT)

    def grant(self, principals: Collection[str]) -> None:
        """Lets these principals use it, and no others."""
        there = {found.content["principal"]: found.id for found in self._all()}
        for principal, found in there.items():
            if principal not in principals:
                self.delete(GRANT, found)
        for principal in dict.fromkeys(principals):
            if principal not in there:
                self.add(GRANT, {"principal": principal})

    # --- sources -------------------------------------------------------------------------------

    def source(self, source: str) -> Document | None:
        """Gives what is known of a source."""
        found = self.look(SOURCE, 1, source=source)
        return found[0] if found else None

    def set_key(self, source: str, public_key: bytes | None) -> None:
        """Says by which key a source signs; None for no longer."""
        found = self.source(source)
        if found is None:
            self.add(SOURCE, {"source": source, "public_key": public_key})
        else:
            self.replace(found, {**found.content, "public_key": public_key})

    def count(self, source: str, count: int, limit: SourceLimit) -> None:
        """Counts memories of a source.

        Raises:
            SourceLimitReached: they are more than it may store by now.
        """
        now_ns, period_ns = self.session.now_ns(), round(limit.period_s * 1e9)
        found = self.source(source)
        content = {} if found is None else found.content
        since_ns, so_far = content.get("since_ns", now_ns), content.get("count", 0)
        # A clock that was set back is no new period, or setting it back were a way around.
        if now_ns - since_ns >= period_ns:
            since_ns, so_far = now_ns, 0
        if so_far + count > limit.count:
            wait_s = max((since_ns + period_ns - now_ns) / 1e9, 0.0)
            what = (
                f"{source!r} has stored {so_far} memories, of {limit.count} that it may in "
                f"{limit.period_s:g} s; {count} more are refused for {wait_s:.0f} s"
            )
            raise SourceLimitReached("source-limit", what, source=source, retry_after_s=wait_s)
        counted = {"since_ns": since_ns, "count": so_far + count}
        if found is None:
            self.add(SOURCE, {"source": source, "public_key": None, **counted})
        else:
            self.replace(found, {**content, **counted})

    # --- spaces --------------------------------------------------------------------------------

    @cached_property
    def spaces(self) -> dict[str, Space]:
        """Its spaces by name, the one that serves first."""
        found = self.session.spaces(self.at)
        mine = [name for name in found if name.startswith(_SPACE)]
        return {name: found[name] for name in sorted(mine, key=_number)}

    def is_of(self, space: str, embedder: Embedder) -> bool:
        """Whether a space holds what an embedder makes."""
        held = self.spaces[space]
        return (held.model, held.dimension) == (embedder.name, embedder.dimension)

    def serving(self, embedder: Embedder) -> str | None:
        """Gives the space that serves; None before the first memory.

        Raises:
            EmbedderMismatch: it is of another embedder.
        """
        name = next(iter(self.spaces), None)
        if name is None or self.is_of(name, embedder):
            return name
        held = self.spaces[name].model
        what = (
            f"the memories of {self.namespace!r} were embedded by {held!r}, and cannot be compared "
            f"with {embedder.name!r}: use that one, or reembed them"
        )
        raise EmbedderMismatch("embedder-mismatch", what, space=held, embedder=embedder.name)

    def declare(self, embedder: Embedder) -> str:
        """Makes a space behind those that are there."""
        name = f"{_SPACE}{max(map(_number, self.spaces), default=0) + 1}"
        self.session.declare_space(self.at, name, model=embedder.name, dimension=embedder.dimension)
        self.__dict__.pop("spaces", None)  # read anew when next asked for
        return name

    def drop(self, space: str) -> None:
        """Removes a space with its vectors."""
        self.session.drop_space(self.at, space)
        self.__dict__.pop("spaces", None)  # read anew when next asked for

    def written(self, memory_id: str) -> None:
        """Notes that a memory has a new vector in the space that serves."""
        if len(self.spaces) > 1:
            self.add(TODO, {"id": memory_id})


def _number(space: str) -> int:
    return int(space.removeprefix(_SPACE))
