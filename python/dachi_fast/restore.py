"""Modules out of what a store gives: a version with its blueprint and its state.

Read and proved by the core, then migrated where classes have changed, checked, and only then put
in the place of what was there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dachi_fast._core.state import same_structure
from dachi_fast.errors import SpecError
from dachi_fast.migrate._report import MigrationReport, noted
from dachi_fast.migrate._restore import fill, is_current, migrated
from dachi_fast.module import BaseModule, load_owned
from dachi_fast.module._fields import ITEM_ATTR, ITEM_SHARED, PLAIN, SHARED
from dachi_fast.module._layout import layout_of
from dachi_fast.module._views import plain_class
from dachi_fast.spec import full_kind_of, registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from dachi_fast._core.store import Loaded

_KEPT = (ITEM_ATTR, ITEM_SHARED, PLAIN, SHARED)


def restored(loaded: Loaded) -> tuple[BaseModule, MigrationReport]:
    """Gives a new module, and what was changed to fit the classes of this process.

    Args:
        loaded: a version as the store gives it.

    Raises:
        SpecError: a kind is not registered in this process.
        StateError: a value does not fit.
        MigrationError: what was saved does not fit classes that have changed.
    """
    with noted() as notes:
        if is_current(loaded.schema):
            module, whole = loaded.build()
            if not whole:  # modules that constructors made, or new items that they make
                fill(module, loaded.state(), notes)
        else:
            module = migrated(loaded.blueprint(), loaded.state(), loaded.schema, notes)
    return module, notes.changes()


def ready_for(module: BaseModule, loaded: Loaded) -> tuple[Callable[[], None], MigrationReport]:
    """Reads and migrates all that a module needs to become what was saved.

    Fields whose structure differs are rebuilt.

    Returns:
        The step that changes the module, all of it or, when it raises, nothing; and what was
        changed to fit the classes of this process.

    Raises:
        SpecError: the module is of another class, or a kind is not registered in this process.
        StateError: the state does not fit; the step raises it, too.
        MigrationError: as `restored`.
    """
    check_kind(module, loaded)
    if is_current(loaded.schema) and loaded.fits(module):
        with noted() as notes:
            state = loaded.state()
        return lambda: load_owned(module, state), notes.changes()
    fresh, changes = restored(loaded)
    if same_structure(module, fresh):
        state = fresh.state_dict()
        return lambda: load_owned(module, state), changes
    return lambda: _adopt(module, fresh), changes


def check_kind(module: BaseModule, loaded: Loaded) -> None:
    """Refuses a module that is not of the saved class, whatever that is called today.

    Raises:
        SpecError: it is of another class.
    """
    cls = plain_class(type(module))
    if loaded.kind != full_kind_of(cls) and registry.named(loaded.kind) != [cls]:
        raise SpecError(
            "kind-mismatch",
            f"a {loaded.kind} was saved; it does not load into a {full_kind_of(cls)}",
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
        # Items (Attr objects under a name) keep their identity and callbacks: only their value
        # moves.
        load_owned(module, fresh.state_dict())
    except BaseException:
        for name, value in before:
            setattr(module, name, value)
        raise
