"""Modules out of what a store gives: a blueprint and a flat state."""

from __future__ import annotations

from typing import Any

from dachi_fast.errors import SpecError
from dachi_fast.module import BaseModule, load_owned
from dachi_fast.module._fields import ATTR, ITEM_ATTR, ITEM_SHARED, PLAIN, SHARED
from dachi_fast.module._layout import layout_of
from dachi_fast.module._views import plain_class
from dachi_fast.spec import from_spec, full_kind_of

_NO_STRUCTURE = (ATTR, ITEM_ATTR, ITEM_SHARED, PLAIN, SHARED)


def restored(blueprint: object, state: dict[str, Any]) -> BaseModule:
    """Gives a new module.

    Args:
        blueprint: as the store kept it.
        state: dotted key -> value; the module owns the values afterwards.

    Raises:
        SpecError: a kind is not registered in this process.
        StateError: the state does not fit the classes of this process.
    """
    from dachi_fast.spec._blueprint import joined  # pydantic's first class is slow to make

    module: BaseModule = from_spec(joined(blueprint, state))
    load_owned(module, state)
    return module


def restored_into(module: BaseModule, blueprint: object, state: dict[str, Any]) -> None:
    """Changes a module into what was saved; fields whose structure differs are rebuilt.

    Raises:
        SpecError: the module is of another class, or a kind is not registered in this process.
        StateError: the state does not fit; nothing was changed.
    """
    from dachi_fast.spec._blueprint import joined

    check_kind(module, blueprint)
    spec = joined(blueprint, state)
    if _structure(from_spec(spec)) == _structure(module):
        load_owned(module, state)
        return
    fresh = from_spec(spec)
    load_owned(fresh, state)
    _adopt(module, fresh)


def check_kind(module: BaseModule, blueprint: Any) -> None:
    """Refuses a module that is not of the saved class.

    Raises:
        SpecError: it is of another class.
    """
    kind = full_kind_of(plain_class(type(module)))
    saved = blueprint.get("kind") if type(blueprint) is dict else None
    if saved != kind:
        raise SpecError("kind-mismatch", f"a {saved} was saved; it does not load into a {kind}")


def _structure(module: BaseModule) -> list[tuple[str, str]]:
    return [
        (name, full_kind_of(plain_class(type(inner)))) for name, inner in module.named_modules()
    ]


def _adopt(module: BaseModule, fresh: BaseModule) -> None:
    """Moves the declared values of `fresh` into `module`; all of them, or none on an error."""
    layout = layout_of(plain_class(type(module)))
    before: list[tuple[str, Any]] = []
    try:
        for name, role in zip(layout.names, layout.roles, strict=True):
            if role in _NO_STRUCTURE and role != ATTR:
                continue
            if hasattr(module, name):
                before.append((name, getattr(module, name)))
            setattr(module, name, getattr(fresh, name))
    except BaseException:
        for name, value in before:
            setattr(module, name, value)
        raise
    # Items (Attr objects under a name) keep their identity and callbacks: only their value moves.
    load_owned(module, fresh.state_dict())
