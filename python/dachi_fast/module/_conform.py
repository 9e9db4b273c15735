"""Whether a value already fits an annotation, without converting anything.

pydantic converts where it can (1 becomes 1.0 for a float field), which would change what was saved.
So a load asks here first, and only what does not fit goes to pydantic.
"""

from __future__ import annotations

import collections.abc
import types
from collections.abc import Callable, Iterable
from dataclasses import InitVar
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    Literal,
    Union,
    get_args,
    get_origin,
)

Check = Callable[[object], bool]

_QUALIFIERS: tuple[object, ...] = (Annotated, Final, ClassVar)
_ANYTHING: tuple[object, ...] = (Any, object)
# PEP 484's numeric tower: an int is a fine float.
_TOWER: dict[object, tuple[type, ...]] = {float: (float, int), complex: (complex, float, int)}


def conforms(annotation: object, value: object) -> bool:
    """Gives whether `value` fits `annotation` as it is, inside containers too."""
    check = checker(annotation)
    return check is None or check(value)


def checker(annotation: object) -> Check | None:
    """Gives the test of an annotation; None where every value fits or nothing can be said."""
    if annotation is None or annotation is types.NoneType:
        return lambda v: v is None
    if isinstance(annotation, InitVar):
        return checker(annotation.type)
    origin: object = get_origin(annotation)
    if origin is None:
        return _plain(annotation)
    args = get_args(annotation)
    if any(origin is special for special in _QUALIFIERS):
        return checker(args[0])
    if origin in (Union, types.UnionType):
        return _any_of([checker(a) for a in args])
    if origin is Literal:
        return lambda v: any(type(v) is type(a) and v == a for a in args)
    if origin is collections.abc.Callable:
        return callable
    if not isinstance(origin, type):
        return None
    if issubclass(origin, tuple):
        return _tuple_of(origin, args)
    if issubclass(origin, collections.abc.Mapping) and len(args) == 2:
        return _mapping_of(origin, checker(args[0]), checker(args[1]))
    if issubclass(origin, collections.abc.Collection) and len(args) == 1:
        return _collection_of(origin, checker(args[0]))
    return lambda v: isinstance(v, origin)


def _plain(annotation: object) -> Check | None:
    if not isinstance(annotation, type) or annotation in _ANYTHING:
        return None  # also a TypeVar, or a name that could not be resolved
    if getattr(annotation, "_is_protocol", False):
        return None
    allowed = _TOWER.get(annotation, annotation)
    return lambda v: isinstance(v, allowed)


def shape(annotation: object) -> object:
    """Gives which values surely fit, for compiled code; all others are to be asked of `checker`.

    Returns:
        A class for its instances, or a tuple: ``("any",)``, ``("list", element)``,
        ``("dict", key, value)``, ``("one", *shapes)``; ``("tower", *classes)`` for classes that
        pydantic would convert to the first, ``("loose", shape)`` where pydantic may ask for more
        than `checker`, and ``("ask",)`` where only `checker` knows.
    """
    if annotation is None or annotation is types.NoneType:
        return types.NoneType
    origin: object = get_origin(annotation)
    args = get_args(annotation)
    if origin is None:
        if checker(annotation) is None:
            return ("any",) if annotation in _ANYTHING else ("loose", ("any",))
        return ("tower", *_TOWER[annotation]) if annotation in _TOWER else annotation
    if any(origin is special for special in _QUALIFIERS):
        return ("loose", shape(args[0]))
    if origin in (Union, types.UnionType):
        return ("one", *map(shape, args))
    if origin is list and len(args) == 1:
        return ("list", shape(args[0]))
    if origin is dict and len(args) == 2:
        return ("dict", shape(args[0]), shape(args[1]))
    return ("ask",)


def _any_of(checks: list[Check | None]) -> Check | None:
    if None in checks:
        return None
    known = [c for c in checks if c is not None]
    return lambda v: any(c(v) for c in known)


def _collection_of(origin: type, item: Check | None) -> Check:
    if item is None:
        return lambda v: isinstance(v, origin)
    if issubclass(str, origin):  # Sequence[str]: a str is not meant
        return lambda v: (
            isinstance(v, origin)
            and not isinstance(v, (str, bytes))
            and all(map(item, _elements(v)))
        )
    return lambda v: isinstance(v, origin) and all(map(item, _elements(v)))


def _elements(value: Any) -> Iterable[object]:
    """Gives what is inside a collection; its type was checked before."""
    elements: Iterable[object] = value
    return elements


def _mapping_of(origin: type, key: Check | None, item: Check | None) -> Check:
    def check(value: object) -> bool:
        return (
            isinstance(value, origin)
            and isinstance(value, collections.abc.Mapping)
            and (key is None or all(map(key, value)))
            and (item is None or all(map(item, value.values())))
        )

    return check


def _tuple_of(origin: type, args: tuple[object, ...]) -> Check:
    if len(args) == 2 and args[1] is Ellipsis:
        return _collection_of(origin, checker(args[0]))
    items = [checker(a) for a in args if a != ()]

    def check(value: object) -> bool:
        return (
            isinstance(value, tuple)
            and isinstance(value, origin)
            and len(value) == len(items)
            and all(c is None or c(v) for c, v in zip(items, value, strict=True))
        )

    return check
