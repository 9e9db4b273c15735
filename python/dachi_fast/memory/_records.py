"""What is remembered, as documents hold it and as users see it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from dachi_fast.errors import EmptyText, StateTypeError, TextTooLong
from dachi_fast.store._records import time_of

if TYPE_CHECKING:
    from dachi_fast.memory._trust import Hidden, Trust
    from dachi_fast.transaction._lmdb import DocumentRow
    from dachi_fast.types import Document

KIND: Final = "task_memory"
"""The memory type of the documents."""

# A vector of more says little of any part of it.
LONGEST_TEXT_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """A task that is remembered.

    Attributes:
        id: names it.
        text: what it is found by.
        task_envelope: what was to be done, as it was stored; a dict of the caller's own.
        result: what came of it.
        source: where it comes from.
        trust: how far that is trusted.
        principal: who stored it.
        created: when it was stored, UTC.
        age_s: seconds since then, never below 0.
        expires: when it ceases to be there, UTC; None for never.
        quarantined: whether recall leaves it out until it is released.
        supersedes: the id of the one that it took the place of.
        superseded_by: the id of the one that took its place; recall leaves it out.
        duplicate_of: the id of the one that it says the same as, if it was linked.
        times: how often it was stored; above 1 if others were merged into it.
        signed: whether its source signed it.
    """

    id: str
    text: str
    task_envelope: dict[str, Any]
    result: Any
    source: str
    trust: Trust
    principal: str
    created: datetime.datetime
    age_s: float
    expires: datetime.datetime | None
    quarantined: bool
    supersedes: str | None
    superseded_by: str | None
    duplicate_of: str | None
    times: int
    signed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled(Memory):
    """A memory that was found by meaning.

    Attributes:
        rank: 1 for the nearest.
        cosine: of its text and the query, -1 to 1.
        similarity: the probability that both are about the same thing, 0 to 1; None where the
            embedder is not calibrated.
        also: ids of farther ones that were linked as duplicates of the same.
    """

    rank: int
    cosine: float
    similarity: float | None
    also: tuple[str, ...] = ()


Verdict = Literal[
    "recalled",
    "duplicate",
    "quarantined",
    "superseded",
    "not trusted enough",
    "filtered out",
    "not similar enough",
    "beyond the limit",
]


@dataclass(frozen=True, slots=True)
class Considered:
    """What a recall made of one memory.

    Attributes:
        rank: 1 for the nearest of all, hidden ones included.
        id: of the memory.
        cosine: of its text and the query.
        similarity: as in `Recalled`.
        source: where it comes from.
        trust: how far that is trusted.
        verdict: ``"recalled"``, or the first reason to leave it out.
    """

    rank: int
    id: str
    cosine: float
    similarity: float | None
    source: str
    trust: Trust
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a recall gave what it gave.

    Attributes:
        query: what was asked.
        embedder: name of the space that was searched.
        limit: how many were wanted.
        min_similarity: the least probability, if one was asked for.
        min_cosine: the least cosine that counted, from either threshold; None for any.
        min_trust: the lowest tier that was looked at.
        include: what was not left out although it usually is.
        where: the conditions on fields.
        considered: the nearest of all, as far as they were looked at, the nearest first.
    """

    query: str
    embedder: str
    limit: int
    min_similarity: float | None
    min_cosine: float | None
    min_trust: Trust
    include: tuple[Hidden, ...]
    where: Mapping[str, Any]
    considered: tuple[Considered, ...]

    def __str__(self) -> str:
        asked = [f"{self.limit} nearest to {self.query!r} by {self.embedder}"]
        asked += [f"cosine >= {self.min_cosine:.4f}"] if self.min_cosine is not None else []
        asked += [f"trust >= {self.min_trust}", *(f"with {word} ones" for word in self.include)]
        asked += [f"where {dict(self.where)!r}"] if self.where else []
        lines = [
            f"{one.rank:4} {one.id} {one.cosine:7.4f} {one.trust:6} {one.verdict}"
            for one in self.considered
        ]
        return "\n".join([", ".join(asked), *lines])


class Recall(list[Recalled]):
    """What was found, the nearest first: a list that may tell why.

    Attributes:
        explanation: why; None unless it was asked for with ``explain=True``.
    """

    def __init__(
        self, found: Iterable[Recalled] = (), explanation: Explanation | None = None
    ) -> None:
        super().__init__(found)
        self.explanation = explanation


@dataclass(slots=True)
class Ready:
    """A memory that was checked and is to be stored."""

    content: dict[str, Any]
    ttl_ns: int | None


def text_of(envelope: object, text: str | None) -> str:
    """Gives what a memory is found by: what is said, or the envelope's description.

    Raises:
        StateTypeError: the envelope is no dict.
        EmptyText: there is none.
        TextTooLong: it has more than 65,536 bytes.
    """
    if not isinstance(envelope, Mapping):
        what = f"a task envelope is a dict, not {type(envelope).__name__}"
        raise StateTypeError("unsupported-type", what, path="task_envelope")
    if text is None:
        text = envelope.get("description")
    if not isinstance(text, str) or not text.strip():
        what = "nothing says what this is about: give the envelope a 'description', or text="
        raise EmptyText("empty-text", what)
    return checked_text(text)


def checked_text(text: str) -> str:
    """Gives a text back that may be embedded.

    Raises:
        TypeError: it is none.
        TextTooLong: it has more than 65,536 bytes.
    """
    if not isinstance(text, str):
        raise TypeError(f"a text is a str, not {type(text).__name__}")
    size_bytes = len(text.encode("utf-8", "surrogatepass"))
    if size_bytes > LONGEST_TEXT_BYTES:
        what = (
            f"a text of {size_bytes:,} bytes is too long to be found by meaning, which takes "
            f"{LONGEST_TEXT_BYTES:,}: give a summary as text=, and keep the whole beside it"
        )
        raise TextTooLong("text-too-long", what, size_bytes=size_bytes)
    return text


def hidden_of(content: Mapping[str, Any]) -> list[Hidden]:
    """Gives the reasons to leave a memory out."""
    hidden: list[Hidden] = ["quarantined"] if content["quarantined"] else []
    return [*hidden, "superseded"] if content.get("superseded_by") else hidden


def fields_of(memory_id: str, row: DocumentRow, now_ns: int) -> dict[str, Any]:
    """Gives the attributes of a `Memory` from what the core gives of its document."""
    created_ns, _, expires_ns, content = row
    return {
        **_said(content),
        "id": memory_id,
        "created": time_of(created_ns),
        "age_s": max(now_ns - created_ns, 0) / 1e9,
        "expires": time_of(expires_ns) if expires_ns else None,
    }


def memory_of(found: Document, now_ns: int) -> Memory:
    """Gives a memory from its document."""
    return Memory(
        **_said(found.content),
        id=found.id,
        created=found.created,
        age_s=max(now_ns / 1e9 - found.created.timestamp(), 0.0),
        expires=found.expires,
    )


def _said(content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "text": content["text"],
        "task_envelope": content["task_envelope"],
        "result": content["result"],
        "source": content["source"],
        "trust": content["trust"],
        "principal": content["agent_id"],
        "quarantined": content["quarantined"],
        "supersedes": content.get("supersedes"),
        "superseded_by": content.get("superseded_by"),
        "duplicate_of": content.get("duplicate_of"),
        "times": content.get("times", 1),
        "signed": "signature" in content,
    }
