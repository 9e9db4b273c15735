"""Walks over a tree of modules: parameters, states, modules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dachi_fast._core.state import held
from dachi_fast.module._views import view

if TYPE_CHECKING:
    from dachi_fast.module._base import BaseModule

Children = list[tuple[str, "BaseModule"]]


def children_of(module: BaseModule) -> Children:
    """Gives the modules right below a module, with their keys."""
    return held(module)[1]


def items_of(module: BaseModule, *, attrs: bool) -> tuple[list[tuple[str, Any]], Children]:
    """Gives the Params (or Attrs) that a module holds itself, and its children."""
    items, children = held(module, params=not attrs, attrs=attrs)
    made = [
        (name, view(module, name, param=not attrs) if item is None else item)
        for name, item in items
    ]
    return made, children


def walk(module: BaseModule, prefix: str, seen: set[int]) -> Iterator[tuple[str, BaseModule]]:
    """Yields each module of a tree once with its dotted name, depth first, parents first."""
    if id(module) in seen:
        return
    seen.add(id(module))
    yield prefix, module
    for name, child in children_of(module):
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
    items, children = items_of(module, attrs=attrs)
    for name, item in module._visible_items(items):
        if id(item) not in seen:
            seen.add(id(item))
            yield prefix + name, item, module
    if recurse:
        for name, child in module._visible_children(children, attrs):
            yield from named_items(child, f"{prefix}{name}.", recurse, attrs, seen)
