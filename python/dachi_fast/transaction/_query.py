"""What `find` is asked: checked, and turned into the part of an index that answers it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dachi_fast.errors import QueryError
from dachi_fast.transaction._order import ABSENT, UNORDERED, behind, component

Indexes = list[list[str]]

_OPERATORS: Final = ("==", "<", "<=", ">", ">=", "in")


@dataclass(frozen=True)
class Condition:
    """What a field must be: one of some values, or between two, as bytes that compare.

    Attributes:
        values: ascending; None where bounds are meant.
        start: the first that belongs.
        end: the first behind that does not.
    """

    values: tuple[bytes, ...] | None
    start: bytes = b""
    end: bytes = b""

    def holds(self, key: bytes) -> bool:
        """Whether a field with these bytes meets it."""
        if self.values is not None:
            return key in self.values
        return self.start <= key < self.end


Conditions = Mapping[str, Condition]


@dataclass(frozen=True)
class Scan:
    """Parts of an index, and whether it gives documents in the order that is wanted."""

    index: int | None
    ranges: tuple[tuple[bytes, bytes | None], ...]
    in_order: bool


@dataclass(frozen=True)
class Ordering:
    """By which field, None for when it was stored, and from which side."""

    field: str | None
    descending: bool


def conditions(where: Mapping[str, Any] | None) -> Conditions:
    """Checks a `where`.

    Raises:
        QueryError: an operator that there is not, or a value that has no order.
    """
    if where is not None and not isinstance(where, Mapping):
        raise QueryError("query", f"where= takes a dict of fields, not {type(where).__name__}")
    return {field: _condition(field, wanted) for field, wanted in (where or {}).items()}


def _condition(field: str, wanted: Any) -> Condition:
    if not isinstance(field, str):
        raise QueryError("query", f"where= names fields with str, not {type(field).__name__}")
    if not isinstance(wanted, Mapping):
        return Condition((_key(field, wanted),))
    unknown = [str(name) for name in wanted if name not in _OPERATORS]
    if unknown or not wanted:
        told = ", ".join(_OPERATORS)
        what = f"{field!r}: {', '.join(unknown) or 'nothing'} is no operator; there are {told}"
        raise QueryError("query", what, field=field)
    if len(wanted) > 1 and not wanted.keys() <= {"<", "<=", ">", ">="}:
        what = f"{field!r}: '==' and 'in' stand alone"
        raise QueryError("query", what, field=field)
    if "in" in wanted:
        if isinstance(wanted["in"], str | bytes) or not isinstance(wanted["in"], Iterable):
            raise QueryError("query", f"{field!r}: 'in' takes a list of values", field=field)
        return Condition(tuple(sorted({_key(field, value) for value in wanted["in"]})))
    if "==" in wanted:
        return Condition((_key(field, wanted["=="]),))
    return _between(field, wanted)


def _between(field: str, wanted: Mapping[str, Any]) -> Condition:
    keys = {operator: _key(field, value) for operator, value in wanted.items()}
    kinds = {key[:1] for key in keys.values()}
    if len(kinds) > 1:
        what = f"{field!r}: the two bounds are of kinds that do not compare"
        raise QueryError("query", what, field=field)
    [kind] = kinds
    starts, ends = [kind], [behind(kind)]
    for operator, key in keys.items():
        bounds = starts if operator in {">", ">="} else ends
        bounds.append(behind(key) if operator in {">", "<="} else key)
    return Condition(None, max(starts), min(ends))


def _key(field: str, value: Any) -> bytes:
    key = component(value)
    if key == UNORDERED:
        what = f"{field!r}: {type(value).__name__} {value!r:.40} does not compare with others"
        raise QueryError("query", what, field=field)
    return key


def ordering(order: object) -> Ordering:
    """Checks an `order`.

    Raises:
        QueryError: it is none.
    """
    if isinstance(order, str):
        if order in {"oldest", "newest"}:
            return Ordering(None, order == "newest")
        if order[:1] in {"+", "-"} and order[1:]:
            return Ordering(order[1:], order[0] == "-")
    what = f"order= is 'oldest', 'newest', '+field' or '-field', not {order!r}"
    raise QueryError("query", what)


def check_limit(limit: object) -> None:
    """Checks a `limit`.

    Raises:
        QueryError: it is none.
    """
    if limit is None or (isinstance(limit, int) and not isinstance(limit, bool) and limit > 0):
        return
    raise QueryError("query", f"limit= is a number from 1 on, or None for all, not {limit!r}")


def field_key(content: Mapping[str, Any], field: str) -> bytes:
    """Gives the bytes that a field of a document compares by; dots lead into dicts."""
    if field in content:
        return component(content[field])
    inner: Any = content
    for name in field.split("."):
        if not isinstance(inner, Mapping) or name not in inner:
            return ABSENT
        inner = inner[name]
    return component(inner)


def matches(content: Mapping[str, Any], where: Conditions) -> bool:
    """Whether a document meets all conditions."""
    return all(wanted.holds(field_key(content, field)) for field, wanted in where.items())


def entries(content: Mapping[str, Any], indexes: Indexes) -> list[tuple[int, bytes]]:
    """Gives where indexes have a document: their numbers, and its bytes there.

    It is in those whose first field compares: no condition on that field asks for others.
    """
    found = []
    for number, fields in enumerate(indexes):
        keys = [field_key(content, field) for field in fields]
        if keys[0] not in {ABSENT, UNORDERED}:
            found.append((number, b"".join(keys)))
    return found


def planned(where: Conditions, order: Ordering, indexes: Indexes) -> Scan:
    """Chooses the index that narrows a search most; without one all documents are looked at."""
    best, most = Scan(None, ((b"", None),), order.field is None), 0
    for number, fields in enumerate(indexes):
        used, scan = _scan(number, fields, where, order)
        # Of two that narrow alike, the one that gives the order saves reading them all.
        if (used, scan.in_order) > (most, best.in_order) and used:
            best, most = scan, used
    return best


def _scan(
    number: int, fields: Sequence[str], where: Conditions, order: Ordering
) -> tuple[int, Scan]:
    prefix, used = b"", 0
    ranges: tuple[tuple[bytes, bytes | None], ...] = ()
    for field in fields:
        wanted = where.get(field)
        if wanted is None:
            break
        used += 1
        if wanted.values is None:
            ranges = ((prefix + wanted.start, prefix + wanted.end),)
            return used, Scan(number, ranges, order.field == field)
        if len(wanted.values) != 1:
            ranges = tuple((prefix + value, prefix + behind(value)) for value in wanted.values)
            return used, Scan(number, ranges, in_order=False)
        prefix += wanted.values[0]
    following = fields[used] if used < len(fields) else None
    ranges = ((prefix, behind(prefix)),) if prefix else ()
    return used, Scan(number, ranges, order.field == following)
