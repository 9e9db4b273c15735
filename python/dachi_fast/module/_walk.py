"""Walks over a tree of modules: parameters, states, modules."""

# Comparing two numbers is faster than looking in a set.
# ruff: noqa: PLR1714, SIM109

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from dachi_fast.module._copy import ATOMS
from dachi_fast.module._fields import (
    ATTR,
    ITEM_ATTR,
    ITEM_PARAM,
    ITEM_SHARED,
    PARAM,
    SHARED,
    UNSET,
    WRAP,
    Attr,
    Item,
    Param,
)
from dachi_fast.module._layout import layout_of
from dachi_fast.module._state import (
    dotted,
    is_module,
    modules_in,
    raw_field,
    undeclared,
    wrap_elements,
)
from dachi_fast.module._views import view

if TYPE_CHECKING:
    from dachi_fast.module._base import BaseModule

Children = list[tuple[str, "BaseModule"]]


class Own:
    """What one module holds itself: its items in order, and its children."""

    __slots__ = ("attrs", "children", "params")

    def __init__(self) -> None:
        self.params: list[tuple[str, Param[Any]]] = []
        self.attrs: list[tuple[str, Attr[Any]]] = []
        self.children: Children = []


def own(module: BaseModule, *, params: bool = False, attrs: bool = False) -> Own:
    """Gives what a module holds itself.

    Args:
        module: the module.
        params: whether the Params of declared fields are wanted, too: views are made for them.
        attrs: likewise of Attrs.
    """
    found = Own()
    layout = layout_of(type(module))
    views = getattr(module, "_module_views", {})
    for name, role in zip(layout.names, layout.roles, strict=True):
        value: Any = getattr(module, name, UNSET)
        if value is UNSET or role == SHARED or role == ITEM_SHARED:
            continue
        if type(value) not in ATOMS and _holds(found, module, name, role, value):
            continue
        if role == PARAM and params:
            item: Any = views.get(name)
            if item is None:
                item = view(module, name, param=True)
            found.params.append((name, item))
        elif role == ATTR and attrs:
            found.attrs.append((name, cast("Attr[Any]", view(module, name, param=False))))
    extra = undeclared(module, layout)
    for name, value in extra:
        if "." in name:
            raise dotted(name)
        if isinstance(value, Item):
            _add_item(found, name, value)
    found.children += [(name, value) for name, value in extra if is_module(value)]
    return found


def _holds(found: Own, module: BaseModule, name: str, role: int, value: Any) -> bool:
    """Notes the item or the modules that a declared field holds; False where it holds neither."""
    if role == WRAP:
        wrap_elements(module, name)
        value = getattr(module, name)
    if role == ITEM_PARAM or role == ITEM_ATTR:
        _add_item(found, name, value)
        return True
    if isinstance(value, Item):
        raise raw_field(name)
    inner = [] if role == ATTR else list(modules_in(value, name, ""))
    found.children += inner
    return bool(inner)


def _add_item(found: Own, name: str, item: Item[Any]) -> None:
    if isinstance(item, Attr):
        found.attrs.append((name, item))
    elif isinstance(item, Param):
        inner = [] if item._adapts else list(modules_in(getattr(item, "data", None), name, ""))
        found.children += inner
        if not inner:
            found.params.append((name, item))


def walk(module: BaseModule, prefix: str, seen: set[int]) -> Iterator[tuple[str, BaseModule]]:
    """Yields each module of a tree once with its dotted name, depth first, parents first."""
    if id(module) in seen:
        return
    seen.add(id(module))
    yield prefix, module
    for name, child in own(module).children:
        yield from walk(child, f"{prefix}.{name}" if prefix else name, seen)


def named_items(
    module: BaseModule, prefix: str, recurse: bool, attrs: bool, seen: set[int]
) -> Iterator[tuple[str, Any, BaseModule]]:
    """Yields the Params (or Attrs) of a tree, each once by identity.

    Each comes with its dotted name and the module that holds it.
    """
    if id(module) in seen:
        return
    seen.add(id(module))
    held = own(module, params=not attrs, attrs=attrs)
    visible = module._visible_items(held.attrs if attrs else held.params)
    for name, item in visible:
        if id(item) not in seen:
            seen.add(id(item))
            yield prefix + name, item, module
    if recurse:
        for name, child in module._visible_children(held.children, attrs):
            yield from named_items(child, f"{prefix}{name}.", recurse, attrs, seen)
