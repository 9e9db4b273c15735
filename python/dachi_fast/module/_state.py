"""What the walks over a tree of modules share: what is a child, an item, an error.

The walk that flattens a tree is compiled (`_core.state.flatten`); `tests/oracles/flatten.py` has it
in Python.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dachi_fast.errors import StateError, StateTypeError, StateValueError
from dachi_fast.module._copy import ATOMS
from dachi_fast.module._fields import (
    SHARED,
    Item,
    Layout,
    Node,
)

if TYPE_CHECKING:
    from dachi_fast.module._base import BaseModule

_INERT = ATOMS | {list, dict, tuple, set}  # types of values that are no item and no module
MAX_DEPTH = 100  # levels of containers inside one Param, and of modules inside modules


def is_module(value: object) -> bool:
    """Gives whether a value is a module."""
    return isinstance(value, Node)


def innermost(item: Item[Any], path: str) -> tuple[Item[Any], Any]:
    """Gives the item that holds a value which is no item, and that value.

    Raises:
        StateError: the item has no value yet.
    """
    while True:
        try:
            value = item.data
        except AttributeError:
            raise StateError("unset", f"{path!r} is an item without a value", path=path) from None
        if not isinstance(value, Item):
            return item, value
        item = value


def modules_in(  # noqa: C901, PLR0912 - one recursion over what a value may be
    value: Any, key: str, prefix: str, depth: int = 0
) -> Iterator[tuple[str, BaseModule]]:
    """Yields the modules in a value with their keys: itself, or inside list, tuple and dict."""
    if type(value) in ATOMS:
        return
    if isinstance(value, (list, tuple)):
        if ATOMS.issuperset(map(type, value)):
            return
        if depth >= MAX_DEPTH:
            raise too_deep(prefix + key)
        for index, element in enumerate(value):
            yield from modules_in(element, f"{key}.{index}", prefix, depth + 1)
    elif isinstance(value, dict):
        if ATOMS.issuperset(map(type, value.values())):
            return
        if depth >= MAX_DEPTH:
            raise too_deep(prefix + key)
        for name, element in value.items():
            for found in modules_in(element, f"{key}.{name}", prefix, depth + 1):
                if not isinstance(name, (str, int)):
                    raise StateTypeError(
                        "module-key",
                        f"{prefix}{key}: a dict of modules has the key {name!r}; use text or int",
                        path=prefix + key,
                    )
                if isinstance(name, str) and "." in name:
                    raise dotted(f"{prefix}{key}.{name}")
                yield found
    elif isinstance(value, Node):
        module: Any = value
        yield key, module


def undeclared(module: BaseModule, layout: Layout) -> list[tuple[str, Any]]:
    """Gives the items and modules that an instance holds under names it did not declare.

    The garbage collector's references are counted first, and `__dict__`, whose first use makes
    every later attribute access slower on CPython 3.11 and 3.12, is read only when there are more
    of them than declared names hold (or when it evidently exists already).
    """
    references = gc.get_referents(module)
    count = 0
    if not _INERT.issuperset(map(type, references)):
        for found in references:
            count += isinstance(found, (Item, Node))
    if count:
        for name, role in zip(layout.names, layout.roles, strict=True):
            if role != SHARED:
                value = getattr(module, name, None)
                count -= isinstance(value, (Item, Node))
        if not count:
            return []
    elif not (len(references) <= 2 and type(references[0]) is dict):
        return []
    known = set(layout.names)
    return [
        (name, value)
        for name, value in module.__dict__.copy().items()  # other threads may add to it
        if isinstance(value, (Item, Node))
        and name not in known
        and not name.startswith(("_item_", "_adapt_"))
    ]


def wrap_elements(module: BaseModule, name: str) -> None:
    """Wraps bare modules inside the containers of a field that holds AdaptModules."""
    from dachi_fast.adapt import wrap_field

    wrap_field(module, name)


def raw_field(path: str) -> StateTypeError:
    return StateTypeError(
        "item-in-raw-field",
        f"{path!r} is declared as a raw value but holds an item: assign the value itself, or "
        f"annotate the field as Param[...] or Attr[...]",
        path=path,
    )


def dotted(path: str) -> StateValueError:
    return StateValueError(
        "dotted-key", f"{path!r}: the key of a module or item must not have a dot", path=path
    )


def duplicate(path: str) -> StateValueError:
    return StateValueError("duplicate-path", f"two modules have the key {path!r}", path=path)


def too_deep(path: str) -> StateValueError:
    return StateValueError(
        "too-deep", f"{path!r} is nested deeper than {MAX_DEPTH} levels", path=path
    )
