"""How values of one JSON schema are written in the strict dialect.

Bounds and formats, which not all services accept, become part of the description; `from_spec`
checks them all the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from dachi_fast.errors import SpecError
from dachi_fast.module._fields import UNSET
from dachi_fast.spec._json import closed_object, possible
from dachi_fast.spec._limits import path_text

if TYPE_CHECKING:
    from dachi_fast.spec._json import Document, Schema

Path = tuple[str | int, ...]
Types = tuple[str, str]  # JSON type in a spec and in the dialect

_NULL: Schema = {"type": "null"}


class Form:
    """How values of one JSON schema are written in the strict dialect; as they are, unless said.

    Attributes:
        full: the JSON types that such values have in a spec.
        strict: those that they have in the dialect.
        same: whether they are the same in both.
    """

    full: frozenset[str] = frozenset()
    strict: frozenset[str] = frozenset()
    same = True

    def schema(self, document: Document, where: str) -> Schema:
        """Gives the schema in the dialect."""
        raise NotImplementedError

    def read(self, value: Any, path: Path) -> Any:  # noqa: ARG002
        """Gives what the dialect says as a spec says it; UNSET for what is left out."""
        return value

    def write(self, value: Any, path: Path) -> Any:  # noqa: ARG002
        """Gives what a spec says as the dialect says it."""
        return value


class Plain(Form):
    """A text, a number, a truth value, null, or one of a few of them."""

    def __init__(self, schema: Schema) -> None:
        kept = {k: v for k, v in schema.items() if k in ("type", "enum", "const")}
        values = schema.get("enum", [schema["const"]] if "const" in schema else [])
        types = {schema["type"]} if "type" in schema else {json_type(v) for v in values}
        if "type" not in kept and len(types) == 1:
            kept = {"type": next(iter(types)), **kept}
        said = [schema["description"]] if "description" in schema else []
        said += [f"{word}: {schema[word]}" for word in _BOUNDS if word in schema]
        self._schema = kept | ({"description": "; ".join(map(str, said))} if said else {})
        self.full = self.strict = frozenset(types)

    def schema(self, document: Document, where: str) -> Schema:  # noqa: ARG002
        return dict(self._schema)


_BOUNDS = (
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength",
    "maxLength", "pattern", "format",
)  # fmt: skip


class Text(Form):
    """A value of any type, as a text with JSON."""

    full = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
    strict = frozenset({"string"})
    same = False

    def schema(self, document: Document, where: str) -> Schema:  # noqa: ARG002
        return {"type": "string", "description": "JSON"}

    def read(self, value: Any, path: Path) -> Any:
        if not isinstance(value, str):
            raise misfit(path, "a text with JSON", value)
        try:
            return json.loads(value)
        except (ValueError, RecursionError) as error:
            raise SpecError(
                "not-strict", f"{path_text(path)}: not JSON: {error}", path=path_text(path)
            ) from None

    def write(self, value: Any, path: Path) -> Any:
        try:
            return json.dumps(value, ensure_ascii=False)
        except (TypeError, ValueError) as error:
            raise SpecError(
                "not-strict", f"{path_text(path)} has no JSON: {error}", path=path_text(path)
            ) from None


class Array(Form):
    """A list."""

    full = strict = frozenset({"array"})

    def __init__(self, element: Form) -> None:
        self._element = element
        self.same = element.same

    def schema(self, document: Document, where: str) -> Schema:
        return {"type": "array", "items": self._element.schema(document, where)}

    def read(self, value: Any, path: Path) -> Any:
        return [self._element.read(v, (*path, i)) for i, v in enumerate(an_array(value, path))]

    def write(self, value: Any, path: Path) -> Any:
        return [self._element.write(v, (*path, i)) for i, v in enumerate(an_array(value, path))]


class Table(Form):
    """A dict with keys that nobody knows before."""

    full = frozenset({"object"})
    strict = frozenset({"array"})
    same = False

    def __init__(self, element: Form) -> None:
        self._element = element

    def schema(self, document: Document, where: str) -> Schema:
        value = self._element.schema(document, where)
        row = closed_object({"key": {"type": "string"}, "value": value})
        return {"type": "array", "items": row}

    def read(self, value: Any, path: Path) -> Any:
        read: dict[str, Any] = {}
        for index, row in enumerate(an_array(value, path)):
            here = (*path, index)
            if an_object(row, here).keys() != {"key", "value"} or not isinstance(row["key"], str):
                raise misfit(here, "an object with a key and a value", row)
            if row["key"] in read:
                raise SpecError(
                    "not-strict",
                    f"{path_text((*here, 'key'))}: the same key twice",
                    path=path_text((*here, "key")),
                )
            read[row["key"]] = self._element.read(row["value"], (*path, row["key"]))
        return read

    def write(self, value: Any, path: Path) -> Any:
        return [
            {"key": str(k), "value": self._element.write(v, (*path, k))}
            for k, v in an_object(value, path).items()
        ]


class Row(Form):
    """An object with known keys, or a tuple of fixed length, which has its places as keys."""

    strict = frozenset({"object"})

    def __init__(self, fields: dict[str, Form], *, is_tuple: bool, said: Schema) -> None:
        self._fields = fields
        self._is_tuple = is_tuple
        self._said = said
        self.full = frozenset({"array" if is_tuple else "object"})
        self.same = not is_tuple and all(form.same for form in fields.values())

    def schema(self, document: Document, where: str) -> Schema:
        fields = {name: form.schema(document, where) for name, form in self._fields.items()}
        return closed_object(fields, **self._said)

    def read(self, value: Any, path: Path) -> Any:
        given = an_object(value, path)
        read = {
            name: self._fields[name].read(v, (*path, name)) if name in self._fields else v
            for name, v in given.items()
        }
        if not self._is_tuple:
            return {name: v for name, v in read.items() if v is not UNSET}
        if read.keys() != self._fields.keys():
            raise misfit(path, f"an object with the keys {', '.join(self._fields)}", value)
        return [read[name] for name in self._fields]

    def write(self, value: Any, path: Path) -> Any:
        if self._is_tuple:
            values = an_array(value, path)
            if len(values) != len(self._fields):
                raise misfit(path, f"{len(self._fields)} values", value)
            value = dict(zip(self._fields, values, strict=True))
        given = an_object(value, path)
        return {n: f.write(given.get(n, UNSET), (*path, n)) for n, f in self._fields.items()}


class Choice(Form):
    """One of several forms, told apart by the JSON type."""

    def __init__(self, forms: list[Form]) -> None:
        self._forms = forms
        self.full = frozenset().union(*(form.full for form in forms))
        self.strict = frozenset().union(*(form.strict for form in forms))
        self.same = all(form.same for form in forms)

    def schema(self, document: Document, where: str) -> Schema:
        made = possible(partial(form.schema, document, where) for form in self._forms)
        return {"anyOf": [s for one in made for s in one.get("anyOf", [one])]}

    def read(self, value: Any, path: Path) -> Any:
        form = next((f for f in self._forms if json_type(value) in f.strict), None)
        return value if form is None else form.read(value, path)

    def write(self, value: Any, path: Path) -> Any:
        form = next((f for f in self._forms if json_type(value) in f.full), None)
        return value if form is None else form.write(value, path)


class Optional(Form):
    """A field that may be left out: null says so."""

    same = False
    full = frozenset({"null"})
    strict = frozenset({"null"})

    def __init__(self, form: Form) -> None:
        self._form = form

    def schema(self, document: Document, where: str) -> Schema:
        try:
            made = self._form.schema(document, where)
        except SpecError:  # then it is always left out
            return dict(_NULL)
        choices = made["anyOf"] if made.keys() == {"anyOf"} else [made]
        return {"anyOf": [*choices, *([] if _NULL in choices else [_NULL])]}

    def read(self, value: Any, path: Path) -> Any:
        return UNSET if value is None else self._form.read(value, path)

    def write(self, value: Any, path: Path) -> Any:
        return None if value is UNSET else self._form.write(value, path)


def optional(form: Form, default: Any) -> Form:
    if "null" in form.strict and default is not None:
        return Optional(Text())  # null is taken, and None is not the default
    return Optional(form)


class Reference(Form):
    """A definition of its own, which may refer to itself."""

    same = False

    def __init__(self, name: str, types: Iterable[Types], resolve: Callable[[], Form]) -> None:
        self._name = name
        self._resolve = resolve
        self.full = frozenset(full for full, _ in types)
        self.strict = frozenset(strict for _, strict in types)

    def schema(self, document: Document, where: str) -> Schema:
        form = self._resolve()
        return document.define(form, self._name, lambda: form.schema(document, where))

    def read(self, value: Any, path: Path) -> Any:
        return self._resolve().read(value, path)

    def write(self, value: Any, path: Path) -> Any:
        return self._resolve().write(value, path)


def json_type(value: Any) -> str:
    for cls, name in _JSON_TYPES:
        if isinstance(value, cls):
            return name
    return "object" if isinstance(value, Mapping) else "any"


_JSON_TYPES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (type(None), "null"),
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    ((list, tuple), "array"),
)


def an_object(value: Any, path: Path) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise misfit(path, "an object", value)
    return value


def an_array(value: Any, path: Path) -> list[Any] | tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise misfit(path, "an array", value)
    return value


def misfit(path: Path, wanted: str, found: Any) -> SpecError:
    text = path_text(path)
    return SpecError("not-strict", f"{text}: {wanted} is wanted, not {json_type(found)}", path=text)
