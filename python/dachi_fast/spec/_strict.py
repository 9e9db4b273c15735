"""The strict dialect of blueprints, which services for structured output can hold a model to.

| in a spec | in the strict dialect |
|---|---|
| a field that may be left out | always there; null stands for its default |
| a dict | an array of objects with `key` and `value` |
| a tuple of fixed length | an object with the keys "0", "1", ... |
| a value of any type | a text with JSON |
| one of several kinds at the root | an object with the one key `spec` |

Each JSON schema that pydantic makes of a field is made into a `Form`, which has the schema of the
dialect and knows the way there and back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dachi_fast.errors import SpecError
from dachi_fast.module._base import BaseModule
from dachi_fast.module._fields import UNSET
from dachi_fast.spec._describe import spec_of
from dachi_fast.spec._fields import spec_fields
from dachi_fast.spec._forms import (
    Array,
    Choice,
    Form,
    Path,
    Plain,
    Reference,
    Row,
    Table,
    Text,
    Types,
    an_object,
    json_type,
    misfit,
    optional,
)
from dachi_fast.spec._json import (
    about,
    closed_object,
    field_schemas,
    is_required,
    kind_name,
)
from dachi_fast.spec._limits import path_text
from dachi_fast.spec._registry import kind_of, registry
from dachi_fast.spec._spec import BaseSpec

if TYPE_CHECKING:
    from dachi_fast.spec._json import Document, Schema
    from dachi_fast.spec._place import ModuleSpec

_REF = "#/$defs/"


def to_strict(spec: BaseModule | BaseSpec | Mapping[str, Any]) -> dict[str, Any]:
    """Gives a blueprint in the strict dialect, for instance to show a model what there is.

    Args:
        spec: a module, or its blueprint.

    Returns:
        What `from_spec(..., dialect="strict")` reads, and `json_schema(..., dialect="strict")`
        describes where the root is of one kind; where it is of several, put it under "spec".

    Raises:
        SpecError: a kind is unknown or ambiguous, or a value has no JSON.

    Example:
        >>> from dachi_fast import BaseModule, Param
        >>> from dachi_fast.spec import to_strict
        >>> class Rack(BaseModule):
        ...     sizes: dict[str, int] = Param(default_factory=dict)
        ...     label: str = Param(default="new")
        >>> to_strict({"kind": "Rack", "sizes": {"wide": 3}})
        {'kind': 'Rack', 'id': None, 'sizes': [{'key': 'wide', 'value': 3}], 'label': None}
    """
    if isinstance(spec, BaseModule):
        spec = spec_of(spec)
    values = spec.model_dump(mode="json") if isinstance(spec, BaseSpec) else dict(spec)
    return _written(values, ())


def from_strict(value: Mapping[str, Any]) -> dict[str, Any]:
    """Gives a blueprint in the full dialect; what stands in the fields is not checked.

    Args:
        value: a blueprint in the strict dialect, or an object that has one under "spec".

    Raises:
        SpecError: a kind is unknown or ambiguous, or something is not in the dialect.

    Example:
        >>> from dachi_fast import BaseModule, Param
        >>> from dachi_fast.spec import from_strict
        >>> class Pantry(BaseModule):
        ...     sizes: dict[str, int] = Param(default_factory=dict)
        >>> from_strict({"kind": "Pantry", "id": None, "sizes": [{"key": "wide", "value": 3}]})
        {'kind': 'Pantry', 'sizes': {'wide': 3}}
    """
    inner = value.get("spec") if value.keys() == {"spec"} else value
    if not isinstance(inner, Mapping):
        raise misfit(("spec",), "an object with a kind", inner)
    return _read(inner, ())


def strict_object(cls: type, bound: ModuleSpec | None, document: Document) -> Schema:
    """Gives the schema of the specs of a class in the strict dialect."""
    made: dict[str, Schema] = {}
    for name, form in forms_of(cls).items():
        where = f"{kind_of(cls)}.{name}"
        if bound is not None and name == "_adapted_param":
            made[name] = document.place(bound, where, held=True)
        else:
            made[name] = form.schema(document, where)
    kind = {"type": "string", "const": kind_name(cls)}
    either = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    return closed_object({"kind": kind, "id": either, **made}, **about(cls))


# --- modules --------------------------------------------------------------------------------------


def _forms(value: Mapping[str, Any], path: Path) -> dict[str, Form]:
    kind = value.get("kind")
    if not isinstance(kind, str):
        raise misfit((*path, "kind"), "the kind of a module", kind)
    try:
        return forms_of(registry.find_kind(kind))
    except SpecError as error:
        where = path_text(path) or "the root"
        context = {**error.context, "path": path_text(path)}
        raise SpecError(error.code, f"{where}: {error.message}", **context) from None


def _read(value: Mapping[str, Any], path: Path) -> dict[str, Any]:
    forms = _forms(value, path)
    read: dict[str, Any] = {}
    for name, given in value.items():
        form = forms.get(name)
        if form is not None:
            given = form.read(given, (*path, name))  # noqa: PLW2901
        elif name == "id" and given is None:
            given = UNSET  # noqa: PLW2901
        if given is not UNSET:
            read[name] = given
    return read


def _written(value: Mapping[str, Any], path: Path) -> dict[str, Any]:
    forms = _forms(value, path)
    extra = next((name for name in value if name not in forms and name not in ("kind", "id")), None)
    if extra is not None:
        raise SpecError("not-strict", f"{path_text((*path, extra))}: no field of its class")
    written = {"kind": value["kind"], "id": value.get("id")}
    for name, form in forms.items():
        written[name] = form.write(value.get(name, UNSET), (*path, name))
    return written


def forms_of(cls: type) -> dict[str, Form]:
    """Gives the form of each field of a class's blueprint; made once."""
    found: dict[str, Form] | None = cls.__dict__.get("__strict_forms__")
    if found is None:
        held = field_schemas(cls)
        making = _Making(held.definitions)
        found = {}
        for name, field in spec_fields(cls).items():
            form = making.form(held.fields[name])
            if not is_required(field):
                form = optional(form, UNSET if field.factory is not None else field.default)
            found[name] = form
        type.__setattr__(cls, "__strict_forms__", found)
    return found


class _Module(Form):
    """The spec of a module."""

    full = strict = frozenset({"object"})
    same = False

    def __init__(self, place: ModuleSpec) -> None:
        self._place = place

    def schema(self, document: Document, where: str) -> Schema:
        return document.place(self._place, where)

    def read(self, value: Any, path: Path) -> Any:
        return _read(an_object(value, path), path)

    def write(self, value: Any, path: Path) -> Any:
        return _written(an_object(value, path), path)


# --- forms of schemas -----------------------------------------------------------------------------

_ANY: Types = ("any", "string")
_HOLDING = frozenset({"array", "object"})


class _Making:
    """Makes the forms of the fields of a class.

    Args:
        definitions: what `$ref` refers to.
    """

    def __init__(self, definitions: dict[str, Schema]) -> None:
        self._definitions = definitions
        self._made: dict[str, Form] = {}

    def form(self, schema: Schema) -> Form:
        """Gives the form of values of a schema; text with JSON where nothing better is left."""
        if "x-module" in schema:
            return _Module(schema["x-module"])
        if "$ref" in schema:
            name: str = schema["$ref"].removeprefix(_REF)
            return Reference(name, self._types(schema), lambda: self._definition(name))
        branches = _branches(schema)
        if branches:
            return self._choice(branches)
        if _ANY in self._types(schema):
            return Text()
        if schema.get("type") == "array":
            if "prefixItems" in schema:
                places = enumerate(schema["prefixItems"])
                fields = {str(index): self.form(place) for index, place in places}
                return Row(fields, is_tuple=True, said={})
            return Array(self.form(schema.get("items", {})))
        if schema.get("type") == "object":
            return self._object(schema)
        return Plain(schema)

    def _definition(self, name: str) -> Form:
        if name not in self._made:
            self._made[name] = self.form(self._definitions[name])
        return self._made[name]

    def _choice(self, branches: list[Schema]) -> Form:
        if len(branches) == 1:
            return self.form(branches[0])
        types = [self._types(branch) for branch in branches]
        # Values are told apart by their JSON type, so that two lists would be one and the same.
        for place in (0, 1):
            holding = [t for found in types for t in {each[place] for each in found} & _HOLDING]
            if len(holding) != len(set(holding)):
                return Text()
        if any(_ANY in found for found in types):
            return Text()
        return Choice([self.form(branch) for branch in branches])

    def _object(self, schema: Schema) -> Form:
        if "properties" not in schema:
            patterns = list(schema.get("patternProperties", {}).values())
            inner = schema.get("additionalProperties", patterns[0] if len(patterns) == 1 else {})
            return Table(self.form(inner if isinstance(inner, dict) else {}))
        fields: dict[str, Form] = {}
        for name, inner in schema["properties"].items():
            form = self.form(inner)
            is_needed = name in schema.get("required", ())
            fields[name] = form if is_needed else optional(form, inner.get("default", UNSET))
        said = {"description": schema["description"]} if "description" in schema else {}
        return Row(fields, is_tuple=False, said=said)

    def _types(self, schema: Schema, seen: frozenset[str] = frozenset()) -> set[Types]:
        """Gives the JSON types of values of a schema."""
        if "x-module" in schema:
            return {("object", "object")}
        if "$ref" in schema:
            name = schema["$ref"].removeprefix(_REF)
            if name in seen:
                return set()
            return self._types(self._definitions[name], seen | {name})
        branches = _branches(schema)
        if branches:
            return {found for branch in branches for found in self._types(branch, seen)}
        if "enum" in schema or "const" in schema:
            values = schema.get("enum", [schema.get("const")])
            return {(json_type(v), json_type(v)) for v in values}
        kind = schema.get("type")
        if kind == "array":
            return {_of_array(schema)}
        if kind == "object":
            return {_of_object(schema)}
        return {(kind, kind)} if isinstance(kind, str) else {_ANY}


def _branches(schema: Schema) -> list[Schema]:
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            found: list[Schema] = schema[word]
            return found if word != "allOf" or len(found) == 1 else [{}]
    return []


def _of_array(schema: Schema) -> Types:
    if "prefixItems" not in schema:
        return "array", "array"
    is_closed = schema.get("maxItems") == len(schema["prefixItems"])
    return ("array", "object") if is_closed else _ANY


def _of_object(schema: Schema) -> Types:
    if "properties" not in schema:
        return "object", "array"
    return _ANY if schema.get("additionalProperties") not in (None, False) else ("object", "object")
