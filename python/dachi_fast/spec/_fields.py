"""The fields of a class's blueprint: what they are, read from a module, given to its constructor.

Nothing here needs pydantic, whose first class takes longer than a first save: stores read and write
blueprints without it.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin

from dachi_fast.module._annotations import Names, resolve, usable
from dachi_fast.module._declare import fields_of, type_argument
from dachi_fast.module._fields import UNSET, item_bound
from dachi_fast.module._layout import adopt_values, annotation_of
from dachi_fast.spec._registry import registry

if TYPE_CHECKING:
    from dachi_fast.module._base import BaseModule

DATA = "$data"  # wraps a plain dict that looks like a spec where both could stand

_EMPTY = inspect.Parameter.empty


def is_wrapped(value: dict[Any, Any]) -> bool:
    """Gives whether a dict in a blueprint stands for the plain dict inside it."""
    return value.keys() == {DATA} and type(value[DATA]) is dict


class SpecField:
    """One field of a blueprint and where a module keeps its value."""

    __slots__ = ("annotation", "default", "factory", "name", "param", "source", "untyped")

    def __init__(
        self, name: str, annotation: Any, source: Literal["attr", "initvar", "arg"]
    ) -> None:
        self.name = name
        self.annotation = annotation
        self.source = source
        self.default: Any = UNSET
        self.factory: Callable[[], Any] | None = None
        self.param: inspect.Parameter | None = None  # of a hand-written __init__
        self.untyped = _is_untyped(annotation)


def spec_fields(cls: type) -> dict[str, SpecField]:
    """Gives the fields of a class's blueprint in declaration order."""
    found: dict[str, SpecField] | None = cls.__dict__.get("__spec_fields__")
    if found is None and hasattr(cls, "_spec_fields"):
        found = {}
        for name, (annotation, default) in cls._spec_fields().items():
            found[name] = SpecField(name, annotation, "attr")
            found[name].default = default
        type.__setattr__(cls, "__spec_fields__", found)
    if found is None:
        found = _arguments(cls) if hasattr(cls.__init__, "__captures__") else {}  # type: ignore[misc]
        for name, field in fields_of(cls).items():
            if field.kind not in ("param", "plain", "initvar"):
                continue
            if field.kind == "initvar" and hasattr(cls.__init__, "__captures__"):  # type: ignore[misc]
                continue
            annotation = annotation_of(cls, field)
            if field.is_item:
                bound = item_bound(field.item) if field.item is not None else None
                annotation = bound if bound is not None else type_argument(annotation)
            held = found.get(name)
            made = SpecField(name, annotation, "initvar" if field.kind == "initvar" else "attr")
            made.default, made.factory = field.default, field.factory
            if held is not None:
                made.param = held.param
                if field.required:
                    made.default, made.factory = held.default, held.factory
            found[name] = made
        type.__setattr__(cls, "__spec_fields__", found)
    return found


def _arguments(cls: type) -> dict[str, SpecField]:
    init: Any = cls.__init__  # type: ignore[misc]
    init = init.__wrapped__
    names = Names({**init.__globals__, cls.__name__: cls}, _any)
    found: dict[str, SpecField] = {}
    for param in list(inspect.signature(init).parameters.values())[1:]:
        annotation: Any = Any
        if param.annotation is not _EMPTY:
            annotation = usable(resolve(param.annotation, names))
            adopt_values(annotation)
        if param.kind is param.VAR_POSITIONAL:
            annotation = types.GenericAlias(tuple, (annotation, ...))
        elif param.kind is param.VAR_KEYWORD:
            annotation = types.GenericAlias(dict, (str, annotation))
        field = SpecField(param.name, annotation, "arg")
        field.param = param
        if param.default is not _EMPTY:
            field.default = param.default
        elif param.kind is param.VAR_POSITIONAL:
            field.default = ()
        elif param.kind is param.VAR_KEYWORD:
            field.factory = dict
        found[param.name] = field
    return found


def _any(name: str) -> object:
    candidates = registry.candidates(name)
    return candidates[-1] if candidates else Any


def _is_untyped(annotation: Any) -> bool:
    """Gives whether a module and a plain dict may both stand somewhere in a field."""
    if annotation in (Any, object, list, tuple, dict) or isinstance(annotation, TypeVar):
        return True
    origin = get_origin(annotation)
    if origin is None:
        return not isinstance(annotation, type) and annotation is not None
    return any(_is_untyped(a) for a in get_args(annotation) if a is not Ellipsis)


def spec_values(module: BaseModule, cls: type) -> Iterator[tuple[str, Any]]:
    """Yields the fields of a module's blueprint with their values now."""
    hook = getattr(module, "_spec_values", None)
    if hook is not None:
        yield from hook()
        return
    captured = getattr(module, "_module_args", {})
    initvars = getattr(module, "_module_initvars", {})
    for name, field in spec_fields(cls).items():
        if field.source == "attr":
            value = getattr(module, name, UNSET)
        else:
            value = (initvars if field.source == "initvar" else captured).get(name, UNSET)
        if value is not UNSET:
            yield name, value


def constructed(cls: type, values: dict[str, Any]) -> Any:
    """Calls the constructor of a class with the fields of its blueprint."""
    if not hasattr(cls.__init__, "__captures__"):  # type: ignore[misc]
        return cls(**values)
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    after: dict[str, Any] = {}
    fields = spec_fields(cls)
    for name, field in fields.items():
        if name not in values:
            continue
        value, param = values[name], field.param
        if param is None:
            after[name] = value
        elif param.kind is inspect.Parameter.VAR_POSITIONAL:
            args.extend(value)
        elif param.kind is inspect.Parameter.VAR_KEYWORD:
            # A key of the data must not take the place of a parameter with a type of its own.
            taken = next((key for key in value if key in fields), None)
            if taken is not None:
                raise TypeError(f"{cls.__qualname__}.__init__() got two values for {taken!r}")
            kwargs.update(value)
        elif param.kind is inspect.Parameter.KEYWORD_ONLY:
            kwargs[name] = value
        else:
            args.append(value)
    module = cls(*args, **kwargs)
    for name, value in after.items():
        setattr(module, name, value)
    return module
