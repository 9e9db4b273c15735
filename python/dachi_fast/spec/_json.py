"""JSON Schema of blueprints, placeholders replaced by the kinds that may stand there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError

from dachi_fast.module._fields import UNSET
from dachi_fast.spec._registry import kind_of
from dachi_fast.spec._schema import SpecField, spec_fields


def adapt_schema(cls: type, kinds: Mapping[type, Sequence[type]]) -> dict[str, Any]:
    """Gives the JSON schema of a class's blueprints.

    Args:
        cls: the module class at the root.
        kinds: placeholder class -> the classes that may stand where it is asked for. Order and
            repetition do not matter.

    Returns:
        A JSON schema; each class appears once, under `$defs`.
    """
    allowed = {base: sorted(set(found), key=kind_of) for base, found in kinds.items()}
    every = {c for found in allowed.values() for c in found}
    root = _object(cls, allowed)
    if getattr(cls, "__adapts__", False):
        root["properties"]["_adapted_param"] = _any_of(every)
    definitions = {kind_of(c): _object(c, allowed) for c in sorted(every, key=kind_of)}
    return {**root, "$defs": definitions}


def _any_of(classes: set[type] | Sequence[type]) -> dict[str, Any]:
    return {"anyOf": [{"$ref": f"#/$defs/{kind_of(c)}"} for c in sorted(classes, key=kind_of)]}


def _object(cls: type, allowed: Mapping[type, Sequence[type]]) -> dict[str, Any]:
    fields = spec_fields(cls)
    return {
        "type": "object",
        "title": f"{cls.__name__}Spec",
        "properties": {
            "kind": {"const": kind_of(cls)},
            "id": {"type": "string"},
            **{name: _field(field, allowed) for name, field in fields.items()},
        },
        "required": ["kind", *(name for name, f in fields.items() if _required(f))],
        "additionalProperties": False,
    }


def _required(field: SpecField) -> bool:
    return field.default is UNSET and field.factory is None


def _field(field: SpecField, allowed: Mapping[type, Sequence[type]]) -> dict[str, Any]:
    from dachi_fast.spec._schema import spec_type

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(spec_type(field.annotation))
        made = adapter.json_schema()
    except (PydanticUserError, PydanticInvalidForJsonSchema):
        return {}
    replaced: dict[str, Any] = _replaced(made, {kind_of(b): list(c) for b, c in allowed.items()})
    return replaced


def _replaced(schema: Any, allowed: dict[str, list[type]]) -> Any:
    if isinstance(schema, list):
        return [_replaced(s, allowed) for s in schema]
    if not isinstance(schema, dict):
        return schema
    base = schema.get("x-module")
    if isinstance(base, str):
        if base in allowed:
            return _any_of(allowed[base])
        return {k: v for k, v in schema.items() if k != "x-module"}
    return {k: _replaced(v, allowed) for k, v in schema.items()}
