"""Modules out of what a store gives: a version with its blueprint and its state.

Read and proved by the core, then migrated where classes have changed, checked, and only then put
in the place of what was there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from dachi_fast._core.state import same_structure
from dachi_fast.errors import SpecError
from dachi_fast.migrate._report import MigrationReport, noted
from dachi_fast.migrate._restore import fill, is_current, migrated
from dachi_fast.module._fields import ITEM_ATTR, ITEM_SHARED, PLAIN, SHARED, UNSET, Item, call_all
from dachi_fast.module._layout import layout_of
from dachi_fast.module._load import planned, tell, write
from dachi_fast.module._state import undeclared
from dachi_fast.module._views import plain_class, told
from dachi_fast.spec import full_kind_of, registry

if TYPE_CHECKING:
    from dachi_fast._core.state import LoadPlan
    from dachi_fast._core.store import Loaded
    from dachi_fast.module import BaseModule


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


@dataclass(frozen=True, slots=True)
class Put:
    """One value that a module gets; `UNSET` where there is none."""

    put: Callable[[Any], None]
    old: Any
    new: Any
    tell: Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Swap:
    """What a module is to hold, checked against what it is: only the writing is left."""

    own: tuple[Put, ...]
    plan: LoadPlan

    def write(self) -> None:
        """Writes all of it; nothing if it fails."""
        done: list[Put] = []
        try:
            for put in self.own:
                done.append(put)
                put.put(put.new)
            write(self.plan)
        except BaseException:
            for put in reversed(done):
                put.put(put.old)
            raise

    def tell(self) -> None:
        """Calls the callbacks of what was written."""
        call_all((*(partial(put.tell, put.new) for put in self.own), partial(tell, self.plan)))


def ready_for(module: BaseModule, loaded: Loaded) -> tuple[Callable[[], Swap], MigrationReport]:
    """Reads and migrates all that a module needs to become what was saved.

    Fields whose structure differs are rebuilt.

    Returns:
        What plans how the module, as it is when that is called, becomes what was saved; and what
        was changed to fit the classes of this process. The plan raises a StateError where the state
        does not fit.

    Raises:
        SpecError: the module is of another class, or a kind is not registered in this process.
        StateError: a value does not fit its class.
        MigrationError: as `restored`.
    """
    check_kind(module, loaded)
    if is_current(loaded.schema) and loaded.fits(module):
        with noted() as notes:
            state = loaded.state()
        return lambda: Swap((), planned(module, state)), notes.changes()
    fresh, changes = restored(loaded)
    return lambda: _into(module, fresh), changes


def check_kind(module: BaseModule, loaded: Loaded) -> None:
    """Refuses a module that is not of the saved class, whatever that is called today.

    Raises:
        SpecError: it is of another class, or of an earlier definition of it.
    """
    cls = plain_class(type(module))
    found = registry.named(loaded.kind)
    if found == [cls]:
        return
    if loaded.kind == full_kind_of(cls) and found:
        raise SpecError(
            "kind-mismatch",
            f"this {full_kind_of(cls)} is of a definition that another has replaced since: load() "
            f"gives a module of today's",
        )
    if loaded.kind != full_kind_of(cls):
        raise SpecError(
            "kind-mismatch",
            f"a {loaded.kind} was saved; it does not load into a {full_kind_of(cls)}",
        )


def _into(module: BaseModule, fresh: BaseModule) -> Swap:
    """Plans how a module becomes what another of its class is, which nobody else holds."""
    cls = plain_class(type(module))
    # An AdaptModule replaces what it holds by itself.
    if getattr(cls, "__adapts__", False) or same_structure(module, fresh):
        return Swap((), planned(module, fresh.state_dict()))
    # Stands for the module as it will be: what is planned for it is written to what it holds.
    shadow: BaseModule = object.__new__(cls)
    layout = layout_of(cls)
    for name, value in undeclared(module, layout):
        object.__setattr__(shadow, name, value)
    own = []
    for name, role in zip(layout.names, layout.roles, strict=True):
        if role in (SHARED, ITEM_SHARED):
            continue
        old, new = getattr(module, name, UNSET), getattr(fresh, name, UNSET)
        if role == PLAIN or (role == ITEM_ATTR and old is not UNSET):
            _put(shadow, name, old)
        else:
            _put(shadow, name, new)
            own.append(_replaced(module, name, old, new))
    return Swap(tuple(own), planned(shadow, fresh.state_dict()))


def _replaced(module: BaseModule, name: str, old: Any, new: Any) -> Put:
    if isinstance(old, Item) and isinstance(new, Item):
        # Who holds the item or listens to it goes on doing so: only the value moves.
        return Put(old._restore, old.data, new.data, old._tell)
    return Put(partial(_put, module, name), old, new, partial(told, module, name))


def _put(module: BaseModule, name: str, value: Any) -> None:
    """Writes an attribute past callbacks and fixes, or takes it away."""
    if value is not UNSET:
        object.__setattr__(module, name, value)
    elif hasattr(module, name):
        object.__delattr__(module, name)
