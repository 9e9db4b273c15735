"""Walks over a tree of modules: parameters, states, modules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dachi_fast._core.state import held

if TYPE_CHECKING:
    from dachi_fast.module._base import BaseModule
    from dachi_fast.module._fields import Item

Children = list[tuple[str, "BaseModule"]]


def children_of(module: BaseModule) -> Children:
    """Gives the modules right below a module, with their keys."""
    return held(module)[1]


def items_of(module: BaseModule, *, attrs: bool) -> list[tuple[str, Item[Any]]]:
    """Gives the Params (or Attrs) that a module holds itself."""
    return held(module, params=not attrs, attrs=attrs)[0]


def walk(module: BaseModule) -> Iterator[tuple[str, BaseModule]]:
    """Yields each module of a tree once with its dotted name, depth first, parents first."""
    seen: set[int] = set()
    ahead = [("", module)]
    while ahead:
        name, module = ahead.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield name, module
        prefix = f"{name}." if name else ""
        ahead += [(prefix + key, child) for key, child in reversed(children_of(module))]


def named_items(
    module: BaseModule, *, recurse: bool, attrs: bool
) -> Iterator[tuple[str, Any, BaseModule]]:
    """Yields the Params (or Attrs) of a tree, each once by identity.

    Each comes with its dotted name and the module that holds it.
    """
    seen: set[int] = set()
    ahead = [("", module)]
    while ahead:
        prefix, module = ahead.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        items, children = held(module, params=not attrs, attrs=attrs)
        for name, item in module._visible_items(items):
            if id(item) not in seen:
                seen.add(id(item))
                yield prefix + name, item, module
        if recurse:
            children = module._visible_children(children, attrs)
            ahead += [(f"{prefix}{name}.", child) for name, child in reversed(children)]
