"""Shared values as states: those that a class declares, by field name."""

from __future__ import annotations

from typing import Any, Final, Optional

from dachi_fast.errors import StateKeyError
from dachi_fast.module._base import BaseModule
from dachi_fast.module._declare import fields_of, type_argument
from dachi_fast.module._fields import SHARED, Attr, Shared
from dachi_fast.module._layout import LoadField, annotation_of
from dachi_fast.module._load import fitted
from dachi_fast.module._views import plain_class
from dachi_fast.spec import full_kind_of
from dachi_fast.spec._registry import aliases_of

Values = dict[str, Any]

# What the names of Shared values begin with; no agent's name has a zero character.
PREFIX: Final = "\0shared:"


class SharedValues(BaseModule):
    """Carries the Shared values of one class into a store."""


def shared_name(cls: type[BaseModule]) -> str:
    """Gives the name under which stores keep the Shared values that a class itself declares.

    `Store.history`, `diff`, `tag`, `rollback`, `stats` and `forget` take it as they take an
    agent's. No agent can have it.

    Example:
        >>> from dachi_fast import BaseModule, Shared, shared_name
        >>> class Worker(BaseModule):
        ...     board: dict[str, int] = Shared(default_factory=dict)
        >>> shared_name(Worker).endswith(":Worker")
        True
    """
    return PREFIX + full_kind_of(plain_class(cls))


def known_names(cls: type[BaseModule]) -> list[str]:
    """Gives the `shared_name` of a class, then those that it had by its `__aliases__`."""
    plain = plain_class(cls)
    return [PREFIX + kind for kind in (full_kind_of(plain), *aliases_of(plain))]


def declaring(*classes: object) -> list[type[BaseModule]]:
    """Gives the classes that declare the Shared values of `classes`, bases first, each once.

    Raises:
        TypeError: something is no module class, or has no Shared value, or one was taken out of
            its class by an assignment.
    """
    found: dict[type[BaseModule], None] = {}
    for cls in classes:
        if not (isinstance(cls, type) and issubclass(cls, BaseModule)):
            raise TypeError(f"{cls!r} is no class of modules (a subclass of BaseModule)")
        bases = [base for base in reversed(plain_class(cls).__mro__) if items_of(base)]
        if not bases:
            raise TypeError(f"{cls.__qualname__} has no Shared values")
        found.update(dict.fromkeys(bases))
    return list(found)


def items_of(cls: type) -> dict[str, Shared[Any]]:
    """Gives the Shared values that a class itself declares, by field name."""
    items: dict[str, Shared[Any]] = {}
    for name, field in cls.__dict__.get("__own_fields__", {}).items():
        if field.kind != "shared":
            continue
        held = cls.__dict__.get(name)
        if not isinstance(held, Shared):
            raise TypeError(
                f"{cls.__qualname__}.{name} was assigned on the class, which took the Shared value "
                f"out of it: assign through an instance"
            )
        items[name] = held
    return items


def values_of(cls: type[BaseModule]) -> Values:
    """Gives the values that a class declares; live references."""
    return {name: item.__get__(None, cls) for name, item in items_of(cls).items()}


def carrier(cls: type[BaseModule]) -> SharedValues:
    """Gives a module whose state is the Shared values of a class, live references."""
    module = SharedValues()
    # Part of the blueprint, which is to be equal for equal content.
    module._module_id = shared_name(cls)
    for name, value in values_of(cls).items():
        setattr(module, name, Attr(data=value))
    return module


def ready(cls: type[BaseModule], values: Values) -> list[tuple[Shared[Any], Any]]:
    """Gives the values with their places, each as its annotation wants it.

    A field that has none of them keeps what it has: the class may have got it since.

    Raises:
        StateKeyError: there are values that the class does not declare.
        StateTypeError: a value does not fit its annotation.
    """
    items = items_of(cls)
    extra = sorted(values.keys() - items.keys())
    if extra:
        raise StateKeyError(
            "state-keys",
            f"{cls.__qualname__} declares no Shared {', '.join(map(repr, extra))}",
            missing=(),
            extra=tuple(extra),
        )
    return [
        (items[name], fitted(value, load_field(cls, name), name, copy=False))
        for name, value in values.items()
    ]


def load_field(cls: type[BaseModule], name: str) -> LoadField:
    """Gives what a Shared field takes."""
    field = fields_of(cls)[name]
    annotation = annotation_of(cls, field)
    if field.is_item:
        annotation = type_argument(annotation)
    elif field.default is None:
        annotation = Optional[annotation]  # noqa: UP045 - made of values
    return LoadField(name, SHARED, annotation)


def swap(places: list[tuple[Shared[Any], Any]]) -> None:
    """Writes values to their places: all of them or, if a callback raises, none."""
    before = [(item, item.__get__(None)) for item, _ in places]
    try:
        for item, value in places:
            item.data = value
    except BaseException:
        for item, value in before:
            item._restore(value)
        raise
