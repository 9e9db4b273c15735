"""Annotations of a class: read early without evaluating, resolved late.

A name that cannot be found when a class is first used (`TYPE_CHECKING` imports) becomes `Any`.
"""

from __future__ import annotations

import builtins
import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import InitVar
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    ForwardRef,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
)

_CLASSVAR = re.compile(r"^(?:\w+\.)*ClassVar\b")
_INITVAR = re.compile(r"^(?:\w+\.)*InitVar\b")


def own_annotations(cls: type) -> dict[str, Any]:
    """Gives the annotations that the body of `cls` wrote, unevaluated where they are strings."""
    if sys.version_info >= (3, 14):
        import annotationlib

        return dict(annotationlib.get_annotations(cls, format=annotationlib.Format.FORWARDREF))
    found = cls.__dict__.get("__annotations__", {})  # noqa: RUF063 - its own only
    return dict(found)


def is_classvar(annotation: object) -> bool:
    """Gives whether an annotation is ClassVar, evaluated or not."""
    if isinstance(annotation, str):
        return _CLASSVAR.match(annotation.strip("'\" ")) is not None
    return annotation is ClassVar or get_origin(annotation) is ClassVar


def is_initvar(annotation: object) -> bool:
    """Gives whether an annotation is InitVar, evaluated or not."""
    if isinstance(annotation, str):
        return _INITVAR.match(annotation.strip("'\" ")) is not None
    return annotation is InitVar or isinstance(annotation, InitVar)


class Names(dict[str, Any]):
    """The names an annotation may use: of the class body first, then of its module."""

    def __init__(self, scope: Mapping[str, Any], find: Callable[[str], object] | None) -> None:
        super().__init__()
        self.scope = scope
        self.find = find  # the last resort: a registered class of that name, or Any

    def __missing__(self, name: str) -> object:
        if name in self.scope:
            return self.scope[name]
        if hasattr(builtins, name):
            return getattr(builtins, name)
        if self.find is None:
            raise NameError(name)
        return self.find(name)


def resolve(annotation: Any, names: Names) -> Any:
    """Gives the annotation with every string and forward reference inside evaluated.

    Raises:
        NameError: a name is unknown and `names` has no last resort.
    """
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        return resolve(_evaluated(annotation, names), names)
    if isinstance(annotation, InitVar):
        return InitVar(resolve(annotation.type, names))
    origin = get_origin(annotation)
    if origin is None or origin is Literal:
        return annotation
    args = get_args(annotation)
    done = tuple(resolve(a, names) if _may_hold_name(a) else a for a in args)
    if all(a is b for a, b in zip(args, done, strict=True)):
        return annotation
    return _rebuilt(annotation, origin, done)


def _evaluated(text: str, names: Names) -> Any:
    try:
        return eval(text, {"__builtins__": builtins}, names)  # noqa: S307 - the class's source
    except NameError:
        if names.find is None:
            raise
        return Any
    except Exception:  # noqa: BLE001 - evaluating may raise anything
        if names.find is None:
            raise NameError(text) from None
        return Any


def _may_hold_name(arg: object) -> bool:
    return isinstance(arg, (str, ForwardRef, InitVar)) or get_origin(arg) is not None


def _rebuilt(annotation: Any, origin: Any, args: tuple[Any, ...]) -> Any:
    if origin in (Union, types.UnionType):
        return Union[args]  # noqa: UP007 - made of values
    if origin is Annotated:
        return Annotated[(args[0], *annotation.__metadata__)]
    if hasattr(annotation, "copy_with"):
        return annotation.copy_with(args)
    return types.GenericAlias(origin, args) if isinstance(origin, type) else annotation


def usable(annotation: Any) -> Any:
    """Gives what pydantic and our own tests can use: what is no type (`any`) becomes Any."""
    if isinstance(annotation, InitVar):
        return usable(annotation.type)
    origin = get_origin(annotation)
    if origin in (ClassVar, Final):
        return usable(get_args(annotation)[0])
    if annotation in (Final, ClassVar, InitVar):
        return Any
    if annotation is None or origin is not None or isinstance(annotation, (type, TypeVar)):
        return annotation
    if isinstance(annotation, types.BuiltinFunctionType | types.FunctionType):
        return Any
    return annotation


def parts(annotation: Any) -> Iterator[Any]:
    """Yields an annotation and every type inside it, save what `Callable` and `type` mention."""
    if isinstance(annotation, InitVar):
        annotation = annotation.type
    yield annotation
    origin = get_origin(annotation)
    if origin is None or origin is Literal or origin is type:
        return
    if isinstance(origin, type) and origin.__name__ == "Callable":
        return
    for arg in get_args(annotation)[: 1 if origin is Annotated else None]:
        yield from parts(arg)
