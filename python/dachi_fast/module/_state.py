"""What a module holds beside its declared fields, and what an item holds."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from dachi_fast.errors import StateError
from dachi_fast.module._copy import ATOMS
from dachi_fast.module._fields import SHARED, Item, Layout, Node

if TYPE_CHECKING:
    from dachi_fast.module._base import BaseModule

_INERT = ATOMS | {list, dict, tuple, set}  # types of values that are no item and no module


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
