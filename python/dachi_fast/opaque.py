"""Values of classes that this process does not know, to be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dachi_fast.errors import Malformed, MigrationError, SpecError, StateError


@dataclass(frozen=True, slots=True, eq=False)
class Opaque:
    """What was saved of a value whose class is not registered here, or does not take it.

    `Store.state` and `Store.diff` give it; `Store.load` raises instead. It cannot be saved.

    Attributes:
        kind: the class, ``module:qualname``; of a value that went through a converter its name.
        fields: name -> value; of an enum its member's ``name``, or the ``value`` of flags.
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


# What is of a user's class, or went through a user's code.
CLASSES: Final = frozenset({"dataclass", "model", "namedtuple", "enum", "module", "foreign"})


def shown(tag: str, payload: object) -> object:
    """Puts a value together as `values.raised` does; what this process cannot is an `Opaque`.

    Raises:
        Malformed: the tag is unknown, or the payload is not one of its kind.
    """
    from dachi_fast.values import raised

    try:
        return raised(tag, payload)
    except (MigrationError, SpecError, StateError):
        return opaque(tag, payload)
    except Malformed:
        # Its class, or its converter, does not take what was saved or what stands for a part.
        if tag not in CLASSES:
            raise
        return opaque(tag, payload)


def opaque(tag: str, payload: Any) -> Opaque:
    """Gives a value as it was taken apart by `values.lower`."""
    match tag, payload:
        case "dataclass" | "namedtuple", [str() as kind, _, dict() as fields]:
            return Opaque(kind, fields)
        case "model", [str() as kind, _, dict() as fields, _, extra, private]:
            return Opaque(kind, {**fields, **(extra or {}), **(private or {})})
        case "enum", [str() as kind, _, key]:
            return Opaque(kind, {"name" if isinstance(key, str) else "value": key})
        case "module", [{"kind": str() as kind} as spec, dict() as state, *_]:
            own = {name: value for name, value in spec.items() if name not in {"kind", "id"}}
            return Opaque(kind, {**own, **state})
        case "foreign", [str() as kind, value]:
            return Opaque(kind, {"value": value})
    # A member of no class: a time zone, say, that this machine lacks.
    parts = payload if isinstance(payload, list) else [payload]
    return Opaque(tag, {str(at): part for at, part in enumerate(parts)})
