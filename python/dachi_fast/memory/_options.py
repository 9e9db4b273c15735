"""What callers may say beside what they must."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Required, TypedDict

if TYPE_CHECKING:
    from dachi_fast.embed import Calibration
    from dachi_fast.memory._trust import Hidden, SourceLimit, Trust
    from dachi_fast.types import Embedder

Duplicates = Literal["keep", "link", "merge"]
"""What becomes of a memory that says what another one says."""


class MemoryOptions(TypedDict, total=False):
    """How a handle remembers; `MemoryStore` says what each means."""

    embedder: Embedder | None
    calibration: Calibration | None
    indexes: Sequence[str | Sequence[str]]
    most_trust: Trust
    limits: Mapping[Trust, SourceLimit]
    duplicates: Duplicates
    duplicate_cosine: float


class TaskOptions(TypedDict, total=False):
    """What may be said of a task; `MemoryStore.store_task` says what each means."""

    text: str | None
    source: str | None
    trust: Trust | None
    ttl_s: float | None
    signature: bytes | None


class NewTask(TaskOptions, total=False):
    """A task to be stored."""

    task_envelope: Required[Mapping[str, Any]]
    result: Required[Any]


class RecallOptions(TypedDict, total=False):
    """What may be asked of a recall; `MemoryStore.retrieve_similar_tasks` says what each means."""

    min_similarity: float | None
    min_cosine: float | None
    min_trust: Trust
    include: Iterable[Hidden]
    where: Mapping[str, Any] | None
    explain: bool
