"""What a version keeps of a class: schema versions, and the names, roles and types of its fields.

A class declares a schema version with `__schema_version__`; who declares none has version 1. Bases
that declare one count for themselves, so that a library can change a class that others derive from.
"""

from __future__ import annotations

import sys
import types
from dataclasses import InitVar
from typing import Annotated, Any, ForwardRef, Literal, TypeVar, Union, get_args, get_origin

from dachi_fast.migrate import check_steps, declared_version
from dachi_fast.module._fields import (
    ATTR,
    CHILD,
    ITEM_ATTR,
    ITEM_PARAM,
    PARAM,
    PLAIN,
    WRAP,
)
from dachi_fast.module._layout import LoadField, layout_of
from dachi_fast.spec._fields import spec_fields
from dachi_fast.spec._registry import full_kind_of

Shape = list[Any]
"""``[versions, fields]``: full kind -> version, and ``[name, role, type]`` of each field."""

_ROLES = {
    PARAM: "param",
    ITEM_PARAM: "param",
    ATTR: "attr",
    ITEM_ATTR: "attr",
    CHILD: "child",
    WRAP: "child",
    PLAIN: "plain",
}
_SOURCES = {"initvar": "initvar", "arg": "argument", "attr": "plain"}


def versions_of(cls: type) -> dict[str, int]:
    """Gives the schema versions that a class and its bases declare, bases first.

    Raises:
        DeclarationError: a base that is no module has migrations that cannot work.
    """
    found: dict[str, int] = {}
    for base in reversed(cls.__mro__):
        if "__schema_version__" in base.__dict__:
            check_steps(base)
            found[full_kind_of(base)] = declared_version(base)
    return found


def shape_of(cls: type) -> Shape:
    """Gives the schema versions and fields of a module class, Shared ones left out; made once."""
    found: Shape | None = cls.__dict__.get("__shape__")
    if found is None:
        found = _made(cls)
        type.__setattr__(cls, "__shape__", found)
    return found


def _made(cls: type) -> Shape:
    layout_of(cls)
    loaded: tuple[LoadField, ...] = cls.__dict__["__load_fields__"]
    fields = {f.name: [f.name, _ROLES[f.role], type_text(f.annotation)] for f in loaded}
    for name, field in spec_fields(cls).items():
        if name not in fields:
            fields[name] = [name, _SOURCES[field.source], type_text(field.annotation)]
    return [versions_of(cls), list(fields.values())]


def type_text(annotation: Any) -> str:
    """Gives an annotation as text that is the same in every process.

    Example:
        >>> from pathlib import Path
        >>> type_text(dict[str, Path | None])
        'dict[str, pathlib:Path | None]'
    """
    if annotation is None or annotation is types.NoneType:
        return "None"
    if annotation is Ellipsis:
        return "..."
    if annotation is Any:
        return "Any"
    if isinstance(annotation, InitVar):
        return type_text(annotation.type)
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " | ".join(map(type_text, args))
    if origin is Annotated:
        return type_text(args[0])
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, args))}]"
    if origin is not None and args:
        return f"{type_text(origin)}[{', '.join(map(type_text, args))}]"
    if isinstance(annotation, list):  # the arguments of a Callable
        return f"[{', '.join(map(type_text, annotation))}]"
    return _name(annotation)


def _name(annotation: Any) -> str:
    if isinstance(annotation, type):
        home, _, private = annotation.__module__.rpartition(".")
        # The standard library moves classes to private modules and back (pathlib's in 3.13).
        if private.startswith("_") and home.partition(".")[0] in sys.stdlib_module_names:
            return f"{home}:{annotation.__qualname__}"
        is_builtin = annotation.__module__ == "builtins"
        return annotation.__qualname__ if is_builtin else full_kind_of(annotation)
    if isinstance(annotation, TypeVar):
        return annotation.__name__
    if isinstance(annotation, ForwardRef):
        return annotation.__forward_arg__
    name: object = getattr(annotation, "__name__", None) or getattr(annotation, "_name", None)
    return str(name) if name else type(annotation).__name__
