"""A tree of modules to a flat dict and back in pure Python: what the peers do before they encode.

Quick for what it is: names once per class, no `__dict__` (touching it slows later accesses), types
of plain values looked up in a set. Modules are looked for where the reference has them: directly in
a field, or in a list, tuple or dict. It looks for no cycles, duplicate paths or undeclared modules.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable
from typing import Any

from dachi_fast import BaseModule
from dachi_fast.module._layout import layout_of
from dachi_fast.spec._fields import spec_fields

_ATOMS = frozenset({int, float, str, bool, type(None), bytes})
_names: dict[type, tuple[str, ...]] = {}


def names_of(cls: type) -> tuple[str, ...]:
    """Gives the declared names of a class."""
    names = _names.get(cls)
    if names is None:
        names = _names[cls] = layout_of(cls).names
    return names


def flatten(module: BaseModule) -> dict[str, Any]:
    """Gives dot path -> live value, as `state_dict`."""
    out: dict[str, Any] = {}
    _flatten(module, "", out)
    return out


def _flatten(module: BaseModule, prefix: str, out: dict[str, Any]) -> None:
    for name in names_of(type(module)):
        value = getattr(module, name)
        if type(value) in _ATOMS:
            out[prefix + name] = value
            continue
        children = _children(value)
        if children is None:
            out[prefix + name] = value
        else:
            for key, child in children:
                _flatten(child, f"{prefix}{name}{key}.", out)


def _children(value: Any) -> Iterable[tuple[str, BaseModule]] | None:
    """Gives the modules that a value is or holds, with what follows its name; None for data."""
    if isinstance(value, BaseModule):
        return [("", value)]
    if isinstance(value, (list, tuple)):
        keys: Iterable[Any] = range(len(value))
        elements: Collection[Any] = value
    elif isinstance(value, dict):
        keys, elements = value.keys(), value.values()
    else:
        return None
    if _ATOMS.issuperset(map(type, elements)) or not any(
        isinstance(element, BaseModule) for element in elements
    ):
        return None
    return [(f".{key}", child) for key, child in zip(keys, elements, strict=True)]


def blueprint(module: BaseModule) -> dict[str, Any]:
    """Gives the spec as a dict, as `spec(to_dict=True)`; containers are copied."""
    made: dict[str, Any] = {"kind": type(module).__qualname__, "id": module.id}
    for name in spec_fields(type(module)):
        value = getattr(module, name)
        made[name] = value if type(value) in _ATOMS else _described(value)
    return made


def _described(value: Any) -> Any:
    if isinstance(value, BaseModule):
        return blueprint(value)
    if isinstance(value, (list, tuple)):
        return type(value)(v if type(v) in _ATOMS else _described(v) for v in value)
    if isinstance(value, dict):
        return {k: v if type(v) in _ATOMS else _described(v) for k, v in value.items()}
    return copy.deepcopy(value)


def assign(module: BaseModule, state: dict[str, Any]) -> None:
    """Puts a flat state into a tree of the same structure; nothing is validated."""
    used = _assign(module, "", state)
    if used != len(state):
        raise KeyError(f"{len(state) - used} keys fit no field")


def _assign(module: BaseModule, prefix: str, state: dict[str, Any]) -> int:
    used = 0
    for name in names_of(type(module)):
        value = getattr(module, name)
        children = None if type(value) in _ATOMS else _children(value)
        if children is None:
            setattr(module, name, state[prefix + name])
            used += 1
        else:
            for key, child in children:
                used += _assign(child, f"{prefix}{name}{key}.", state)
    return used
