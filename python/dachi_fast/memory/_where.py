"""Conditions on the fields of memories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from dachi_fast.errors import QueryError
from dachi_fast.memory._records import KIND
from dachi_fast.transaction._order import ABSENT, UNORDERED
from dachi_fast.transaction._query import conditions, field_key, matches, ordering, planned

if TYPE_CHECKING:
    from dachi_fast.memory._namespace import Place
    from dachi_fast.types import Document

# Every memory has these, or may have.
_OWN: Final = (
    *("agent_id", "timestamp", "source", "trust", "quarantined", "text"),
    *("supersedes", "superseded_by", "duplicate_of", "times"),
)
# Names that an error lists.
_TOLD: Final = 40


class Where:
    """Conditions on fields, checked.

    Args:
        given: as `SyncTransaction.find` takes them.

    Raises:
        QueryError: an operator that there is not, or a value that has no order.
    """

    def __init__(self, given: Mapping[str, Any] | None) -> None:
        self._wanted: Final = conditions(given)
        self.given: Final = dict(given or {})

    def ids(self, place: Place) -> list[str] | None:
        """Gives the ids of the memories that meet all; None where nothing is asked.

        Raises:
            QueryError: a field that no memory has.

        Complexity:
            As `SyncTransaction.find`.
        """
        if not self._wanted:
            return None
        scan = planned(self._wanted, ordering("oldest"), place.session._indexes(place.at, KIND))
        rows = place.session._rows(place.at, KIND, scan, descending=False)
        found = [key.hex() for key, row in rows if matches(row[3], self._wanted)]
        if not found:
            self.check_known(place)
        return found

    def find(self, place: Place, order: str, limit: int | None) -> list[Document]:
        """Gives memories that meet all."""
        found = place.session.look(place.at, KIND, where=self.given, order=order, limit=limit)
        if not found:
            self.check_known(place)
        return found

    def check_known(self, place: Place) -> None:
        """Refuses a field that no memory has, which is a mistake and not an answer."""
        unknown = {field for field in self._wanted if field not in _OWN}
        known: set[str] = set()
        for found in place.look(KIND) if unknown else ():
            unknown = {f for f in unknown if field_key(found.content, f) == ABSENT}
            known.update(_fields(found.content))
            if not unknown:
                return
        if not unknown or not known:
            return
        there = sorted(known | set(_OWN))
        more = f" and {len(there) - _TOLD} more" if len(there) > _TOLD else ""
        what = (
            f"no memory here has a field {min(unknown)!r}; there are "
            f"{', '.join(there[:_TOLD])}{more}"
        )
        raise QueryError("query", what, fields=there)


def _fields(content: Mapping[Any, Any], above: str = "") -> Iterator[str]:
    """Yields the paths of fields that compare."""
    for name, value in content.items():
        if not isinstance(name, str):
            continue
        if isinstance(value, Mapping):
            yield from _fields(value, f"{above}{name}.")
        elif field_key(content, name) != UNORDERED:
            yield above + name
