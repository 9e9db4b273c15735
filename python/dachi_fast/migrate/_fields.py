"""The fields of one saved module, brought in line with its class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dachi_fast.errors import MigrationError
from dachi_fast.migrate._convert import converted
from dachi_fast.migrate._tree import Branch, holds_module, joined
from dachi_fast.module._declare import fields_of
from dachi_fast.module._fields import UNSET
from dachi_fast.spec._fields import spec_fields
from dachi_fast.spec._rebuild import checks
from dachi_fast.spec._registry import kind_of
from dachi_fast.spec._shape import Shape, shape_of

if TYPE_CHECKING:
    from dachi_fast.migrate._report import Notes
    from dachi_fast.module._layout import LoadField

_STATE = frozenset({"param", "attr"})  # roles of values that stand in the state


class Alignment:
    """Renames, drops, moves and converts what one module has, in place.

    Args:
        cls: its class.
        spec: its own blueprint.
        state: its own values, and the branches of its children.
        path: where it stands.
        notes: get what was changed.
        is_made: whether a constructor has made it already, with values for all new fields.
    """

    def __init__(
        self,
        cls: type,
        spec: dict[str, Any],
        state: Branch,
        path: str,
        notes: Notes,
        *,
        is_made: bool = False,
    ) -> None:
        self.cls = cls
        self.is_made = is_made
        self.spec = spec
        self.state = state
        self.path = path
        self.notes = notes

    def follow(self, then: Shape) -> None:
        """Leads from the shape that the class had then to the one of today.

        Raises:
            MigrationError: a value would lose something, or a new field has no default.
        """
        if getattr(self.cls, "__adapts__", False):
            # It has the blueprint of what it holds as a value, too: as of then.
            self.state.pop("_adapted_param", None)
        if then == shape_of(self.cls):
            return
        before = {name: (role, text) for name, role, text in then[1]}
        today = {name: (role, text) for name, role, text in shape_of(self.cls)[1]}
        for name in today:
            if name not in before:
                self._add(name, before)
        for name in before:
            if name not in today:
                self._drop(name)
        for name, (role, text) in today.items():
            if name in before and before[name] != (role, text):
                self._move(name, before[name][0] in _STATE, role in _STATE)
                self._convert(name)

    def _has(self, name: str) -> bool:
        return name in self.spec or name in self.state

    def _add(self, name: str, before: dict[str, tuple[str, str]]) -> None:
        """Gives a new field what it was called before, or leaves it to the class's constructor."""
        if self._has(name):
            return  # a migration has given it a value
        declared = fields_of(self.cls).get(name)
        for alias in declared.aliases if declared is not None else ():
            if self._has(alias):
                for held in (self.spec, self.state):
                    if alias in held:
                        held[name] = held.pop(alias)
                if alias in before:
                    before[name] = before.pop(alias)
                self.notes.renamed[joined(self.path, alias), joined(self.path, name)] = None
                return
        if self.is_made:
            return  # what it has is noted when the state is loaded
        if declared is not None and declared.kind == "attr":
            if not declared.required:
                self.notes.defaulted[joined(self.path, name)] = None
            return
        field = spec_fields(self.cls).get(name)
        if field is not None and field.default is UNSET and field.factory is None:
            raise MigrationError(
                "schema-misfit",
                f"{joined(self.path, name)!r}: {kind_of(self.cls)} has a new field {name!r} "
                f"without a default, and nothing was saved for it: give it one, or write a "
                f"migration",
                path=joined(self.path, name),
            )
        self.notes.defaulted[joined(self.path, name)] = None

    def _drop(self, name: str) -> None:
        for held in (self.spec, self.state):
            if held.pop(name, UNSET) is not UNSET:
                self.notes.dropped[joined(self.path, name)] = None

    def _move(self, name: str, was_state: bool, is_state: bool) -> None:  # noqa: FBT001
        """Puts a value where those of its field's role stand."""
        spec, state = self.spec, self.state
        if is_state and not was_state and name in spec and not holds_module(spec[name]):
            state[name] = spec.pop(name)
        elif was_state and not is_state and name not in spec and self._is_leaf(name):
            spec[name] = state.pop(name)
        if is_state and name in spec and name not in spec_fields(self.cls):
            path = joined(self.path, name)
            raise MigrationError(
                "schema-misfit",
                f"{path!r}: a module was saved where {kind_of(self.cls)} has an Attr, whose "
                f"modules are values: write a migration",
                path=path,
            )

    def _is_leaf(self, name: str) -> bool:
        return name in self.state and not isinstance(self.state[name], Branch)

    def _convert(self, name: str) -> None:
        held = self.state if self._is_leaf(name) else self.spec
        value = held.get(name, UNSET)
        if value is UNSET or holds_module(value):
            return
        new = converted(value, _load_field(self.cls, name), joined(self.path, name))
        if new is not value:
            held[name] = new
            self.notes.converted[joined(self.path, name)] = None


def _load_field(cls: type, name: str) -> LoadField:
    loaded: tuple[LoadField, ...] = cls.__dict__["__load_fields__"]
    return next((field for field in loaded if field.name == name), None) or checks(cls)[name]
