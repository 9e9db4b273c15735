"""Recall by meaning: what is asked, what is found, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from dachi_fast.errors import QueryError
from dachi_fast.memory._options import RecallOptions
from dachi_fast.memory._records import (
    KIND,
    Considered,
    Explanation,
    Recall,
    Recalled,
    Verdict,
    checked_text,
    fields_of,
)
from dachi_fast.memory._trust import EVERYTHING, TIERS, check_hidden, check_trust, visible
from dachi_fast.memory._where import Where
from dachi_fast.transaction._query import check_limit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dachi_fast.embed import Calibration
    from dachi_fast.memory._namespace import Place
    from dachi_fast.memory._trust import Hidden, Trust
    from dachi_fast.transaction._lmdb import DocumentRow

# Beside those recalled, an explanation tells of as many more.
_MORE: Final = 10
_OPTIONS: Final = frozenset(RecallOptions.__annotations__)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked, checked."""

    query: str
    limit: int
    min_similarity: float | None
    min_cosine: float | None
    min_trust: Trust
    include: tuple[Hidden, ...]
    where: Where
    classes: frozenset[int]
    explain: bool
    calibration: Calibration | None

    def similarities(self, cosines: Sequence[float]) -> Sequence[float | None]:
        """Gives the probabilities that cosines mean."""
        if self.calibration is None:
            return [None] * len(cosines)
        means: list[float] = self.calibration.probability(np.array(cosines)).tolist()
        return means

    def is_near(self, one: _Near) -> bool:
        """Whether it is as near as was asked for."""
        if self.min_cosine is not None and one.cosine < self.min_cosine:
            return False
        if self.min_similarity is None:
            return True
        return one.similarity is not None and one.similarity >= self.min_similarity

    @property
    def least_cosine(self) -> float | None:
        """The least cosine that counts."""
        least = [] if self.min_cosine is None else [self.min_cosine]
        if self.min_similarity is not None and self.calibration is not None:
            least.append(self.calibration.cosine(self.min_similarity))
        return max(least, default=None)


def asked(
    calibration: Calibration | None, query: str, limit: int, options: RecallOptions
) -> Question:
    """Checks a question; `MemoryStore.retrieve_similar_tasks` says what it may be."""
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        raise TypeError(f"a recall takes no {unknown[0]}=; it takes {', '.join(sorted(_OPTIONS))}")
    checked_text(query)
    if limit is None:
        raise QueryError("query", "limit= is a number from 1 on: there is no recall of everything")
    check_limit(limit)
    min_similarity, min_cosine = options.get("min_similarity"), options.get("min_cosine")
    _check_between("min_similarity", min_similarity, 0)
    _check_between("min_cosine", min_cosine, -1)
    if min_similarity is not None and calibration is None:
        what = (
            "this embedder is not calibrated, so nobody knows what its cosines mean: ask with "
            "min_cosine=, or give the memory store a calibration="
        )
        raise QueryError("query", what)
    min_trust = check_trust(options.get("min_trust", TIERS[-1]))
    include = check_hidden(options.get("include", ()))
    return Question(
        query=query,
        limit=limit,
        min_similarity=min_similarity,
        min_cosine=min_cosine,
        min_trust=min_trust,
        include=include,
        where=Where(options.get("where")),
        classes=visible(min_trust, include),
        explain=options.get("explain", False),
        calibration=calibration,
    )


def _check_between(name: str, value: object, low: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= 1:
        raise QueryError("query", f"{name}= is a number from {low} to 1, not {value!r}")


def answer(
    place: Place, space: str | None, vector: NDArray[np.float32], question: Question
) -> Recall:
    """Gives what is found."""
    if space is None:
        return Recall((), _explained(question, "", []) if question.explain else None)
    within = question.where.ids(place)
    search = _Search(place, space, vector, question)
    found = _folded(search, question, within)
    why = None
    if question.explain:
        considered = _considered(search, question, within, found)
        why = _explained(question, place.spaces[space].model, considered)
    now_ns = place.session.now_ns()
    return Recall((_recalled(rank, group, now_ns) for rank, group in enumerate(found, 1)), why)


class _Near(NamedTuple):
    """A memory that is near."""

    id: str
    row: DocumentRow
    cosine: float
    similarity: float | None

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = self.row[3]
        return content


class _Search:
    """A search that may be repeated for more, in one moment of the store."""

    def __init__(
        self, place: Place, space: str, vector: NDArray[np.float32], question: Question
    ) -> None:
        self._place = place
        self._space = space
        self._vector = vector
        self._question = question
        self._known: dict[str, DocumentRow | None] = {}

    def near(self, k: int, classes: frozenset[int], within: Sequence[str] | None) -> list[_Near]:
        """Gives the k nearest."""
        place, known = self._place, self._known
        found = place.session.near(
            place.at, self._space, self._vector, k, visible=classes, within=within
        )
        new = [one for one, _ in found if one not in known]
        known.update(zip(new, place.session.rows(place.at, KIND, new), strict=True))
        means = self._question.similarities([cosine for _, cosine in found])
        rows = [(one, known[one], cosine) for one, cosine in found]
        return [
            _Near(one, row, cosine, similarity)
            for (one, row, cosine), similarity in zip(rows, means, strict=True)
            if row is not None
        ]


def _folded(search: _Search, question: Question, within: Sequence[str] | None) -> list[list[_Near]]:
    """Gives the nearest that were asked for, those together that are linked as duplicates."""
    k = question.limit
    while True:
        near = search.near(k, question.classes, within)
        groups: dict[str, list[_Near]] = {}
        for one in near:
            if question.is_near(one):
                groups.setdefault(one.content.get("duplicate_of") or one.id, []).append(one)
        all_found = len(near) < k or not question.is_near(near[-1])
        if len(groups) >= question.limit or all_found:
            return list(groups.values())[: question.limit]
        k *= 2


def _recalled(rank: int, group: list[_Near], now_ns: int) -> Recalled:
    first, *others = group
    return Recalled(
        **fields_of(first.id, first.row, now_ns),
        rank=rank,
        cosine=first.cosine,
        similarity=first.similarity,
        also=tuple(other.id for other in others),
    )


def _considered(
    search: _Search, question: Question, within: Sequence[str] | None, found: list[list[_Near]]
) -> list[Considered]:
    recalled = {group[0].id for group in found}
    also = {one.id for group in found for one in group[1:]}
    k = len(recalled) + len(also) + _MORE
    near = search.near(k, EVERYTHING, None)
    while len(near) == k and not recalled <= {one.id for one in near}:
        k *= 2
        near = search.near(k, EVERYTHING, None)
    allowed = None if within is None else set(within)

    def verdict(one: _Near) -> Verdict:
        if one.id in recalled:
            return "recalled"
        return "duplicate" if one.id in also else _left_out(one, question, allowed)

    return [
        Considered(
            rank,
            one.id,
            one.cosine,
            one.similarity,
            one.content["source"],
            one.content["trust"],
            verdict(one),
        )
        for rank, one in enumerate(near, 1)
    ]


def _left_out(one: _Near, question: Question, allowed: set[str] | None) -> Verdict:
    if one.content["quarantined"] and "quarantined" not in question.include:
        return "quarantined"
    if TIERS.index(one.content["trust"]) > TIERS.index(question.min_trust):
        return "not trusted enough"
    if one.content.get("superseded_by") and "superseded" not in question.include:
        return "superseded"
    if allowed is not None and one.id not in allowed:
        return "filtered out"
    return "beyond the limit" if question.is_near(one) else "not similar enough"


def _explained(question: Question, embedder: str, considered: list[Considered]) -> Explanation:
    return Explanation(
        query=question.query,
        embedder=embedder,
        limit=question.limit,
        min_similarity=question.min_similarity,
        min_cosine=question.least_cosine,
        min_trust=question.min_trust,
        include=question.include,
        where=dict(question.where.given),
        considered=tuple(considered),
    )
