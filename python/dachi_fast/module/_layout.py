"""The layout of a class, resolved at its first use because annotations resolve late."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from enum import Enum
from typing import Any, Optional, get_origin

from dachi_fast.module._annotations import Names, parts, resolve, usable
from dachi_fast.module._conform import Check, checker, shape
from dachi_fast.module._declare import Field, fields_of, type_argument
from dachi_fast.module._fields import (
    ATTR,
    CHILD,
    ITEM_ATTR,
    ITEM_PARAM,
    ITEM_SHARED,
    PARAM,
    PLAIN,
    SHARED,
    UNSET,
    WRAP,
    Layout,
    Node,
    item_bound,
)
from dachi_fast.spec._registry import registry

_PLAIN_ROLES = frozenset({PARAM, ATTR, CHILD, PLAIN})
_NEVER = (SHARED, ITEM_SHARED)
_ITEM_ROLES = {"param": ITEM_PARAM, "attr": ITEM_ATTR, "shared": ITEM_SHARED}


class LoadField:
    """What a load must know of one name of a layout."""

    __slots__ = ("annotation", "check", "name", "role", "shape", "validate")

    def __init__(self, name: str, role: int, annotation: Any) -> None:
        self.name = name
        self.role = role
        self.annotation = annotation
        self.check: Check | None = checker(annotation)
        self.shape = shape(annotation)
        self.validate: Any = UNSET  # pydantic's validator, made when a value first needs it


def layout_of(cls: type) -> Layout:
    """Gives the layout of a module class; its annotations are resolved at the first call."""
    found: Layout | None = cls.__dict__["__layout__"]
    return found if found is not None else _settle(cls)


# Name, role, whether it may be unset, description of a shape, the field itself, what the
# constructor sets when it is given nothing (in a list, as None is a value), or what makes that.
_Row = tuple[str, int, bool, object, LoadField, list[Any] | None, Callable[[], Any] | None]


def build_plan(cls: type) -> tuple[bool, list[_Row], dict[str, str]]:
    """Gives how instances of a class are built from what a store gives.

    Returns:
        Whether making one is no more than setting its fields; those fields, in the order of the
        constructor; and under which other names the state has the modules of some of them.
    """
    fields = fields_of(cls)
    rows: list[_Row] = []
    layout_of(cls)
    loaded: tuple[LoadField, ...] = cls.__dict__["__load_fields__"]
    for field in loaded:
        held = fields.get(field.name)
        default = None if held is None or held.default is UNSET else [held.default]
        factory = None if held is None else held.factory
        unset = held is not None and held.required and held.kind == "attr"
        rows.append((field.name, field.role, unset, field.shape, field, default, factory))
    return _only_sets_fields(cls, rows), rows, dict(getattr(cls, "__state_names__", {}))


def _only_sets_fields(cls: Any, rows: list[_Row]) -> bool:
    return (
        getattr(cls.__init__, "__only_sets_fields__", False)
        and cls.__new__ is object.__new__
        and cls.__setattr__ is object.__setattr__
        and type(cls).__call__ is type.__call__
        and not hasattr(cls, "__del__")
        and not inspect.isabstract(cls)
        and all(row[1] in _PLAIN_ROLES for row in rows)
        and not any(hasattr(getattr(cls, row[0], None), "__set__") for row in rows)
    )


def annotation_of(cls: type, field: Field) -> Any:
    """Gives the resolved annotation of a field; names that nobody knows become Any."""
    names = Names({**field.scope, **_body(field.owner), **_selves(cls, field)}, _registered)
    return usable(resolve(field.annotation, names))


def _body(owner: type) -> dict[str, Any]:
    # A copy: another thread that settles the same class adds to it meanwhile.
    return {k: v for k, v in owner.__dict__.copy().items() if isinstance(v, type)}


def _selves(cls: type, field: Field) -> dict[str, Any]:
    return {c.__name__: c for c in (cls, field.owner)}


def _registered(name: str) -> object:
    candidates = registry.candidates(name)
    return candidates[-1] if candidates else Any


def _settle(cls: type) -> Layout:
    names: list[str] = []
    roles: list[int] = []
    load: list[LoadField] = []
    explicit = cls.__dict__.get("__roles__") or getattr(cls, "__roles__", None)
    for name, role in (explicit or {}).items():
        names.append(name)
        roles.append(role)
        load.append(LoadField(name, role, Any))
    for name, field in fields_of(cls).items():
        annotation = annotation_of(cls, field)
        adopt_values(annotation)
        if field.kind == "initvar" or (explicit and name in explicit):
            continue
        role = _role(field, annotation)
        names.append(name)
        roles.append(role)
        if field.is_item:
            bound = item_bound(field.item) if field.item is not None else None
            annotation = bound if bound is not None else type_argument(annotation)
        elif field.default is None:
            annotation = Optional[annotation]  # noqa: UP045 - made of values
        load.append(LoadField(name, role, annotation))
    layout = Layout(tuple(names), tuple(roles))
    loaded = tuple(field for field in load if field.role not in _NEVER)
    type.__setattr__(cls, "__load_fields__", loaded)
    type.__setattr__(cls, "__layout__", layout)
    return layout


def _role(field: Field, annotation: Any) -> int:
    if field.is_item:
        return _ITEM_ROLES[field.kind]
    if field.kind == "shared":
        return SHARED
    if field.kind == "attr":
        return ATTR
    inside = list(parts(annotation))
    if any(_is_adapt(part) for part in inside[1:]):
        return WRAP
    if any(is_module_class(get_origin(part) or part) for part in inside):
        return CHILD
    return PARAM if field.kind == "param" else PLAIN


def _is_adapt(part: Any) -> bool:
    return getattr(get_origin(part) or part, "__adapts__", False) is True


def is_module_class(part: Any) -> bool:
    """Gives whether something is a subclass of BaseModule (or BaseModule)."""
    return isinstance(part, type) and issubclass(part, Node)


def adopt_values(annotation: Any) -> None:
    """Registers the Enum, dataclass and pydantic classes that an annotation mentions."""
    for part in parts(annotation):
        if not isinstance(part, type) or is_module_class(part):
            continue
        if issubclass(part, Enum) or dataclasses.is_dataclass(part) or _is_model(part):
            registry.value(part)


def _is_model(part: type) -> bool:
    return hasattr(part, "__pydantic_validator__") and hasattr(part, "model_fields")
