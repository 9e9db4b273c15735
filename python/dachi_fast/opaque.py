"""Values of classes that this process does not know, to be looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dachi_fast.errors import Malformed, SpecError, StateError


@dataclass(frozen=True, slots=True, eq=False)
class Opaque:
    """What was saved of a value whose class is not registered here, or does not take it.

    `Store.state` and `Store.diff` give it; `Store.load` raises instead. It cannot be saved.

    Attributes:
        kind: the class, ``module:qualname``; of a value that went through a converter its name.
        fields: name -> value. Of a named tuple the names are positions (``"0"``), of an enum it is
            its member's ``name``, or the ``value`` of combined flags.
    """

    kind: str
    fields: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Opaque({self.kind!r}, {dict(self.fields)!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Opaque):
            return NotImplemented
        try:
            return self.kind == other.kind and bool(self.fields == other.fields)
        except ValueError:  # arrays: two values are one only if they are
            return self is other

    # Its class may have been hashable: it must do as a key or an element.
    def __hash__(self) -> int:
        return hash(self.kind)


def shown(tag: str, payload: object) -> object:
    """Puts a value together as `values.raised` does; one that this process lacks is an `Opaque`.

    Raises:
        Malformed: the tag is unknown, or the payload is not one of its kind.
    """
    from dachi_fast.values import raised

    try:
        return raised(tag, payload)
    except (SpecError, StateError):
        return opaque(tag, payload)
    except Malformed:
        # Nobody's code expects what only stands for a part.
        if not _holds_opaque(payload):
            raise
        return opaque(tag, payload)


def opaque(tag: str, payload: Any) -> Opaque:
    """Gives a value as it was taken apart by `values.lower`."""
    match tag, payload:
        case "dataclass", [str() as kind, dict() as fields]:
            return Opaque(kind, fields)
        case "model", [str() as kind, dict() as fields, _, extra, private]:
            return Opaque(kind, {**fields, **(extra or {}), **(private or {})})
        case "namedtuple", [str() as kind, list() as elements]:
            return Opaque(kind, _numbered(elements))
        case "enum", [str() as kind, key]:
            return Opaque(kind, {"name" if isinstance(key, str) else "value": key})
        case "module", [{"kind": str() as kind} as spec, dict() as state]:
            own = {name: value for name, value in spec.items() if name not in {"kind", "id"}}
            return Opaque(kind, {**own, **state})
        case "foreign", [str() as kind, value]:
            return Opaque(kind, {"value": value})
    # A member of no class: a time zone, say, that this machine lacks.
    return Opaque(tag, _numbered(payload if isinstance(payload, list) else [payload]))


def _numbered(elements: Iterable[Any]) -> dict[str, Any]:
    return {str(at): element for at, element in enumerate(elements)}


def _holds_opaque(value: object) -> bool:
    if isinstance(value, dict):
        return any(_holds_opaque(part) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple | set | frozenset):
        return any(map(_holds_opaque, value))
    return isinstance(value, Opaque)
