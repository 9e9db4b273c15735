"""Blueprints of modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dachi_fast._core.state import describe
from dachi_fast.errors import SpecError
from dachi_fast.module._base import new_id
from dachi_fast.module._copy import ATOMS, copied
from dachi_fast.module._fields import Item
from dachi_fast.module._state import innermost, is_module
from dachi_fast.module._views import plain_class
from dachi_fast.spec._fields import DATA, spec_fields, spec_values
from dachi_fast.spec._place import looks_like_spec
from dachi_fast.spec._registry import full_kind_of, kind_of
from dachi_fast.spec._schema import schema_of

if TYPE_CHECKING:
    from dachi_fast.module._base import BaseModule
    from dachi_fast.spec._spec import BaseSpec


class _Reader:
    """One run of `spec_of`: what was visited, and which ids are taken."""

    __slots__ = ("above", "done", "full", "ids")

    def __init__(self, full: bool) -> None:  # noqa: FBT001
        self.full = full
        self.done: dict[int, BaseSpec] = {}
        self.above: set[int] = set()
        self.ids: dict[str, BaseModule] = {}

    def spec(self, module: BaseModule) -> BaseSpec:
        key = id(module)
        done = self.done.get(key)
        if done is not None:
            return done
        if key in self.above:
            raise SpecError("cycle", f"a {kind_of(plain_class(type(module)))} contains itself")
        self.above.add(key)
        cls = plain_class(type(module))
        while self.ids.setdefault(module.id, module) is not module:
            module._module_id = new_id()
        schema = schema_of(cls)
        values: dict[str, Any] = {
            "kind": full_kind_of(cls) if self.full else kind_of(cls),
            "id": module.id,
        }
        inner, fields = schema.inner_names_, spec_fields(cls)
        for name, value in spec_values(module, cls):
            held = value if type(value) in ATOMS else self.value(value, fields[name].untyped)
            values[inner.get(name, name)] = held
        made = schema.model_construct(**values) if not inner else _constructed(schema, values)
        self.above.discard(key)
        self.done[key] = made
        return made

    def value(self, value: Any, untyped: bool) -> Any:  # noqa: FBT001
        if type(value) in ATOMS:
            return value
        if isinstance(value, Item):
            value = innermost(value, "")[1]
        if is_module(value):
            return self.spec(value)
        kind = type(value)
        if kind is list or kind is tuple:
            new = [v if type(v) in ATOMS else self.value(v, untyped) for v in value]
            return new if kind is list else tuple(new)
        if kind is dict:
            made = {k: v if type(v) in ATOMS else self.value(v, untyped) for k, v in value.items()}
            if untyped and (looks_like_spec(value) or value.keys() == {DATA}):
                return {DATA: made}
            return made
        return copied(value)


def _constructed(schema: type[BaseSpec], values: dict[str, Any]) -> BaseSpec:
    made = schema.__new__(schema)
    for name, value in {
        "__dict__": values,
        "__pydantic_fields_set__": set(values),
        "__pydantic_extra__": None,
        "__pydantic_private__": None,
    }.items():
        object.__setattr__(made, name, value)
    return made


def spec_of(module: BaseModule) -> BaseSpec:
    """Gives the blueprint of a module.

    Raises:
        SpecError: a module contains itself.
    """
    made: BaseSpec | None = describe(module)
    return _Reader(full=False).spec(module) if made is None else made


def spec_dict(module: BaseModule, *, full_kinds: bool = False) -> dict[str, Any]:
    """Gives the blueprint of a module as a dict.

    Args:
        module: the root of a tree.
        full_kinds: whether kinds are written as `module:qualname`, for a store.

    Raises:
        SpecError: a module contains itself.
    """
    made: dict[str, Any] | None = describe(module, full_kinds=full_kinds, to_dict=True)
    return _Reader(full_kinds).spec(module).model_dump() if made is None else made


def described_class(
    cls: type,
    full_kinds: bool,  # noqa: FBT001 - compiled code calls it
    to_dict: bool,  # noqa: FBT001
) -> tuple[str, type[BaseSpec], list[tuple[str, str]]] | None:
    """Gives what `describe` needs of a class.

    Returns:
        Its kind, the pydantic class of its blueprints, and the name of each field with that which
        it has there; None where what is in the fields does not tell the blueprint.
    """
    cls = plain_class(cls)
    fields = spec_fields(cls)
    if hasattr(cls, "_spec_values") or any(field.source != "attr" for field in fields.values()):
        return None
    schema = schema_of(cls)
    if to_dict and not _dumps_as_is(schema):
        return None
    inner = schema.inner_names_
    kind = full_kind_of(cls) if full_kinds else kind_of(cls)
    return kind, schema, [(name, inner.get(name, name)) for name in fields]


def _dumps_as_is(schema: type[BaseSpec]) -> bool:
    """Gives whether plain values in a blueprint are what `model_dump` makes of them."""
    found = schema.__dict__.get("__dumps_as_is__")
    if found is None:
        found = not _serializes(schema.__pydantic_core_schema__)
        type.__setattr__(schema, "__dumps_as_is__", found)
    return bool(found)


def _serializes(schema: Any) -> bool:
    """Gives whether a core schema of pydantic has a serializer of its own anywhere."""
    if isinstance(schema, dict):
        return "serialization" in schema or any(map(_serializes, schema.values()))
    return isinstance(schema, (list, tuple)) and any(map(_serializes, schema))


def spec_value(value: Any) -> Any:
    """Gives a value as it stands in a blueprint: modules as specs, containers copied."""
    return _Reader(full=False).value(value, False)


def kinds_in(module: BaseModule) -> dict[str, str]:
    """Gives short kind -> `module:qualname` of every class in a tree.

    Raises:
        SpecError: two classes of the tree have one short kind.

    Example:
        >>> from dachi_fast import BaseModule
        >>> class Root(BaseModule):
        ...     pass
        >>> list(kinds_in(Root()))
        ['Root']
    """
    found: dict[str, str] = {}
    for each in module.modules():
        cls = plain_class(type(each))
        full = full_kind_of(cls)
        if found.setdefault(kind_of(cls), full) != full:
            raise SpecError(
                "ambiguous-kind",
                f"{full} and {found[kind_of(cls)]} have one short kind: rename one",
                kind=kind_of(cls),
            )
    return found
