"""JSON Schema of blueprints: of a whole tree, for who validates specs or writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, Union

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError, to_jsonable_python

from dachi_fast.errors import SpecError
from dachi_fast.module._fields import UNSET
from dachi_fast.spec._fields import SpecField, spec_fields
from dachi_fast.spec._place import ModuleSpec
from dachi_fast.spec._registry import full_kind_of, kind_of, registry
from dachi_fast.spec._schema import spec_type
from dachi_fast.spec._survey import allowed_classes

Schema = dict[str, Any]
_REF = "#/$defs/"


def json_schema(
    cls: type,
    kinds: Iterable[type | str] | None = None,
    *,
    dialect: Literal["full", "strict"] = "full",
) -> Schema:
    """Gives the JSON Schema (2020-12) of the blueprints of a class and of all that may be in them.

    Args:
        cls: what is at the root: of `kinds` those derived from it, itself where there is none.
        kinds: the classes, or their names, that may stand anywhere in the tree; None for every
            registered one. Pass the same as `allow` to `from_spec`.
        dialect: "full" is what `from_spec` reads. "strict" keeps to what services for structured
            output of language models accept: an object at the root, every field required with null
            for its default, no free keys (a dict is an array of `key` and `value`), JSON as text
            where a field takes anything, and no keyword but type, properties, required,
            additionalProperties, items, anyOf, enum, const, description, $defs and $ref. Read what
            the model wrote with `from_spec(..., dialect="strict")`.

    Returns:
        A schema in which each kind and each type appears once, under `$defs`.

    Raises:
        SpecError: a required field asks for a module, and none of the kinds may stand there. A
            field that may be left out must be then; of a Union the other members remain.

    Example:
        >>> from dachi_fast import BaseModule, Param, json_schema
        >>> class Bulb(BaseModule):
        ...     watts: int = Param(default=60)
        >>> json_schema(Bulb)["properties"]["watts"]
        {'type': 'integer', 'default': 60}
        >>> json_schema(Bulb, dialect="strict")["properties"]["watts"]
        {'anyOf': [{'type': 'integer'}, {'type': 'null'}]}
    """
    from dachi_fast.spec._strict import strict_object

    given = _every_kind() if kinds is None else allowed_classes(tuple(kinds))
    known = sorted(given, key=full_kind_of)
    is_strict = dialect == "strict"
    document = Document(_Kinds(known, wraps=not is_strict), strict_object if is_strict else _object)
    roots = [c for c in known if issubclass(c, cls)] or [cls]
    if len(roots) == 1:
        root = document.make(roots[0], None)
    elif is_strict:
        place = {"spec": document.choice(roots)}
        root = closed_object(place)
    else:
        root = document.choice(roots)
    return document.with_root(root)


def adapt_schema(cls: type, kinds: Mapping[type, Sequence[type]]) -> Schema:
    """Gives the JSON schema of a class's blueprints.

    Args:
        cls: the module class at the root.
        kinds: placeholder class -> the classes that may stand where it is asked for. Order and
            repetition do not matter.

    Returns:
        A JSON schema; each class appears once, under `$defs`.
    """
    allowed = {base: sorted(set(found), key=full_kind_of) for base, found in kinds.items()}
    every = sorted({c for found in allowed.values() for c in found}, key=full_kind_of)
    document = Document(_Placeholders(allowed), _object)
    root = document.make(cls, None)
    if getattr(cls, "__adapts__", False):
        root["properties"]["_adapted_param"] = document.choice(every)
    for each in every:
        document.reference(each, None)
    return document.with_root(root)


def _every_kind() -> frozenset[type]:
    return frozenset(c for kind in list(registry._kinds) for c in registry.candidates(kind))


# --- what may stand where -------------------------------------------------------------------------


class _Kinds:
    """Of a list of classes, those that a place asks for."""

    def __init__(self, known: list[type], *, wraps: bool) -> None:
        from dachi_fast.adapt import AdaptModule

        self._bare = [c for c in known if not getattr(c, "__adapts__", False)]
        self._wrappers = [c for c in known if getattr(c, "__adapts__", False)]
        self._always: list[type] = [AdaptModule] if wraps else []  # as spec() writes what it holds

    def at(self, place: ModuleSpec) -> list[tuple[type, ModuleSpec | None]] | None:
        bare = [(c, None) for c in self._bare if issubclass(c, place.wanted)]
        if not bare:
            return []
        wrappers = dict.fromkeys(self._wrappers + self._always)
        return bare + [(c, ModuleSpec(place.wanted)) for c in wrappers]


class _Placeholders:
    """The classes that somebody lists for each class that a place may ask for."""

    def __init__(self, allowed: Mapping[type, Sequence[type]]) -> None:
        self._allowed = allowed

    def at(self, place: ModuleSpec) -> list[tuple[type, ModuleSpec | None]] | None:
        listed = [self._allowed[c] for c in place.wanted if c in self._allowed]
        found = dict.fromkeys(c for classes in listed for c in classes)
        return [(c, None) for c in sorted(found, key=full_kind_of)] if listed else None


# --- the document -------------------------------------------------------------------------------


class Document:
    """A JSON Schema in the making: each class and type once under `$defs`, if referred to."""

    def __init__(
        self, kinds: _Kinds | _Placeholders, make: Callable[[type, Any, Document], Schema]
    ) -> None:
        self._kinds = kinds
        self._make = make
        self._names: dict[Hashable, str] = {}
        self._waiting: list[tuple[str, Callable[[], Schema]]] = []

    def make(self, cls: type, bound: ModuleSpec | None) -> Schema:
        """Gives the schema of the specs of one class, in the dialect."""
        return self._make(cls, bound, self)

    def with_root(self, root: Schema) -> Schema:
        """Gives the whole: a root with all it leads to."""
        definitions: Schema = {}
        while self._waiting:
            name, make = self._waiting.pop()
            definitions[name] = make()
        return {**root, "$defs": dict(sorted(definitions.items()))}

    def define(self, key: Hashable, name: str, make: Callable[[], Schema]) -> Schema:
        """Gives a reference to a definition, which is made once for each key."""
        if key not in self._names:
            name = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
            while name in self._names.values():
                name += "_"
            self._names[key] = name
            self._waiting.append((name, make))
        return {"$ref": _REF + self._names[key]}

    def reference(self, cls: type, bound: ModuleSpec | None) -> Schema:
        """Gives a reference to the specs of a class."""
        wanted = () if bound is None else bound.wanted
        name = "_".join([kind_name(cls), *map(kind_of, wanted)])
        return self.define((cls, wanted), name, lambda: self.make(cls, bound))

    def choice(self, classes: Iterable[type]) -> Schema:
        """Gives a schema for the spec of a module of any of some classes."""
        return {"anyOf": [self.reference(cls, None) for cls in classes]}

    def place(self, place: ModuleSpec, where: str, *, held: bool = False) -> Schema:
        """Gives a schema for a place where the spec of a module stands.

        Args:
            place: the place.
            where: the class and field, for the error.
            held: whether it is in an AdaptModule, so that another one has no sense.

        Raises:
            SpecError: nothing may stand there.
        """
        found = self._kinds.at(place)
        if found is None:
            return {
                "type": "object",
                "properties": {"kind": {"type": "string"}},
                "required": ["kind"],
            }
        if not found:
            raise SpecError(
                "no-kind",
                f"{where} asks for a {place.text}, and none of the kinds is one: add one that may "
                f"stand there",
                path=where,
            )
        choices = [(cls, bound) for cls, bound in found if not (held and bound)]
        return {"anyOf": [self.reference(cls, bound) for cls, bound in choices]}


def kind_name(cls: type) -> str:
    """Gives the short kind of a class, the full one where the short one is not clear."""
    return kind_of(cls) if registry.named(kind_of(cls)) == [cls] else full_kind_of(cls)


def possible(makers: Iterable[Callable[[], Schema]]) -> list[Schema]:
    """Gives those schemas of a choice in which something may stand.

    Raises:
        SpecError: there is none.
    """
    made: list[Schema] = []
    error: SpecError | None = None
    for make in makers:
        try:
            made.append(make())
        except SpecError as nothing:
            error = nothing
    if error is not None and not [each for each in made if each != {"type": "null"}]:
        raise error
    return made


def closed_object(properties: Mapping[str, Schema], **more: Any) -> Schema:
    """Gives the schema of an object with exactly these keys."""
    return {
        "type": "object",
        **more,
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def about(cls: type) -> Schema:
    """Gives the first paragraph of a class's own docstring as a description."""
    text = (cls.__dict__.get("__doc__") or "").strip().partition("\n\n")[0]
    return {"description": " ".join(text.split())} if text else {}


# --- the fields of a class ------------------------------------------------------------------------


class FieldSchemas(NamedTuple):
    """What pydantic says of the fields of a class.

    Attributes:
        fields: name -> JSON schema, with the ModuleSpec under "x-module" where a module stands.
        definitions: what `$ref` in them refers to.
    """

    fields: dict[str, Schema]
    definitions: dict[str, Schema]


def field_schemas(cls: type) -> FieldSchemas:
    """Gives the JSON schemas of the fields of a class's blueprint; made once."""
    found: FieldSchemas | None = cls.__dict__.get("__field_schemas__")
    if found is None:
        adapters = {name: _adapter(field) for name, field in spec_fields(cls).items()}
        made, whole = TypeAdapter.json_schemas(
            [(name, "validation", a) for name, a in adapters.items() if a is not None]
        )
        fields = {name: _plain(made.get((name, "validation"), {})) for name in adapters}
        found = FieldSchemas(fields, _plain(whole.get("$defs", {})))
        type.__setattr__(cls, "__field_schemas__", found)
    return found


def _adapter(field: SpecField) -> TypeAdapter[Any] | None:
    """Gives what pydantic makes of a field; None where it makes nothing of it."""
    annotation = spec_type(field.annotation)
    if field.default is None:
        annotation = Union[annotation, None]  # noqa: UP007 - made of values
    try:
        made: TypeAdapter[Any] = TypeAdapter(annotation)
        made.json_schema()
    except Exception:  # noqa: BLE001 - a type of somebody's own may raise anything: it is untyped then
        return None
    return made


def _plain(schema: Any) -> Any:
    """Gives a schema without the titles that pydantic makes of names."""
    if isinstance(schema, list):
        return [_plain(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        k: {n: _plain(s) for n, s in v.items()} if k in ("properties", "$defs") else _plain(v)
        for k, v in schema.items()
        if not (k == "title" and isinstance(v, str))
    }


def is_required(field: SpecField) -> bool:
    """Gives whether a spec must have a field."""
    return field.default is UNSET and field.factory is None


def _object(cls: type, bound: ModuleSpec | None, document: Document) -> Schema:
    """Gives the schema of the specs of a class as `from_spec` reads them."""
    held = field_schemas(cls)
    fields = spec_fields(cls)
    made: dict[str, Schema] = {}
    for name, schema in held.fields.items():
        where = f"{kind_of(cls)}.{name}"
        if bound is not None and name == "_adapted_param":
            made[name] = document.place(bound, where, held=True)
            continue
        try:
            made[name] = {**_full(schema, held, document, where), **_default(fields[name])}
        except SpecError:
            if is_required(fields[name]):
                raise
    return {
        "type": "object",
        "title": f"{cls.__name__}Spec",
        **about(cls),
        "properties": {"kind": {"const": kind_name(cls)}, "id": {"type": "string"}, **made},
        "required": ["kind", *(name for name, f in fields.items() if is_required(f))],
        "additionalProperties": False,
    }


def _default(field: SpecField) -> Schema:
    if field.default is UNSET:
        return {}
    try:
        return {"default": to_jsonable_python(field.default)}
    except PydanticSerializationError:
        return {}


def _full(schema: Any, held: FieldSchemas, document: Document, where: str) -> Any:
    """Gives a field's schema with its places filled in and its definitions in the document."""
    if isinstance(schema, list):
        return [_full(s, held, document, where) for s in schema]
    if not isinstance(schema, dict):
        return schema
    if "x-module" in schema:
        return document.place(schema["x-module"], where)
    if "anyOf" in schema:
        makers = [partial(_full, each, held, document, where) for each in schema["anyOf"]]
        return {**schema, "anyOf": possible(makers)}
    made = {k: _full(v, held, document, where) for k, v in schema.items()}
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REF)
        target = held.definitions[name]
        key = name, json.dumps(target, sort_keys=True, default=id)
        made |= document.define(key, name, lambda: _full(target, held, document, where))
    return made
