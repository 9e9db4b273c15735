"""Modules out of what a store gives: a version with its blueprint and its state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dachi_fast.errors import SpecError
from dachi_fast.module import BaseModule, load_owned
from dachi_fast.module._fields import ITEM_ATTR, ITEM_SHARED, PLAIN, SHARED
from dachi_fast.module._layout import layout_of
from dachi_fast.module._views import plain_class
from dachi_fast.spec import full_kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from dachi_fast._core.store import Loaded

_KEPT = (ITEM_ATTR, ITEM_SHARED, PLAIN, SHARED)


def restored(loaded: Loaded) -> BaseModule:
    """Gives a new module.

    Args:
        loaded: a version as the store gives it.

    Raises:
        SpecError: a kind is not registered in this process, or its fields are others.
        StateError: the state does not fit the classes of this process.
    """
    module, whole = loaded.build()
    if not whole:  # modules that constructors made, or keys that are missing or too many
        load_owned(module, loaded.state())
    return module


def restored_into(module: BaseModule, loaded: Loaded) -> None:
    """Changes a module into what was saved; fields whose structure differs are rebuilt.

    Raises:
        SpecError: the module is of another class, or a kind is not registered in this process.
        StateError: the state does not fit; nothing was changed.
    """
    ready_for(module, loaded)()


def ready_for(module: BaseModule, loaded: Loaded) -> Callable[[], None]:
    """Reads all that `restored_into` needs; gives the step that changes the module.

    Raises:
        SpecError: as `restored_into`.
        StateError: as `restored_into`; the step raises it, too.
    """
    check_kind(module, loaded)
    if loaded.fits(module):
        state = loaded.state()
        return lambda: load_owned(module, state)
    fresh = restored(loaded)
    return lambda: _adopt(module, fresh)


def check_kind(module: BaseModule, loaded: Loaded) -> None:
    """Refuses a module that is not of the saved class.

    Raises:
        SpecError: it is of another class.
    """
    kind = full_kind_of(plain_class(type(module)))
    if loaded.kind != kind:
        raise SpecError(
            "kind-mismatch", f"a {loaded.kind} was saved; it does not load into a {kind}"
        )


def _adopt(module: BaseModule, fresh: BaseModule) -> None:
    """Moves the declared values of `fresh` into `module`; all of them, or none on an error."""
    layout = layout_of(plain_class(type(module)))
    before: list[tuple[str, Any]] = []
    try:
        for name, role in zip(layout.names, layout.roles, strict=True):
            if role in _KEPT:
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
