"""A saved state as a tree, and a saved blueprint with every module in full.

Migrations move whole modules about; with flat paths each move would go over the whole state.
"""

from __future__ import annotations

from typing import Any

from dachi_fast.errors import MigrationError
from dachi_fast.module._fields import equal
from dachi_fast.spec._fields import DATA
from dachi_fast.spec._registry import registry


class Branch(dict[str, Any]):
    """The names right below a module: values, and branches where modules are."""


def nested(state: dict[Any, Any], path: str) -> Branch:
    """Gives a flat state as a tree.

    Args:
        state: dot path -> value.
        path: where it stands, for messages.

    Raises:
        MigrationError: a path is none, or leads through a value.
    """
    root = Branch()
    for key, value in state.items():
        names = key.split(".") if isinstance(key, str) else [""]
        at: Any = root
        for name in names[:-1]:
            at = at.setdefault(name, Branch())
            if not isinstance(at, Branch):
                break
        if not isinstance(at, Branch) or names[-1] in at or not all(names):
            raise MigrationError(
                "migration-failed",
                f"{joined(path, str(key))!r}: no such path can be: it is empty in a place, or a "
                f"value stands where another path goes on",
                path=joined(path, str(key)),
            )
        at[names[-1]] = value
    return root


def flat(branch: Branch, prefix: str = "", into: dict[str, Any] | None = None) -> dict[str, Any]:
    """Gives a tree as a flat state."""
    found: dict[str, Any] = {} if into is None else into
    for name, value in branch.items():
        if isinstance(value, Branch):
            flat(value, f"{prefix}{name}.", found)
        else:
            found[prefix + name] = value
    return found


def joined(path: str, name: str) -> str:
    """Gives the path of a name below a module."""
    return f"{path}.{name}" if path else name


# --- blueprints -----------------------------------------------------------------------------------


def is_module(value: Any) -> bool:
    """Gives whether a value of a saved blueprint is a module."""
    return type(value) is dict and "kind" in value  # others are marked as data


def is_data(value: Any) -> bool:
    """Gives whether a value of a saved blueprint is a plain dict, whatever it looks like."""
    return type(value) is dict and value.keys() == {DATA}


def holds_module(value: Any) -> bool:
    """Gives whether a value of a saved blueprint is a module, or has some inside."""
    if is_module(value):
        return True
    if type(value) in (list, tuple):
        return any(map(holds_module, value))
    return type(value) is dict and not is_data(value) and any(map(holds_module, value.values()))


class Expanded:
    """A saved blueprint with every module in full where it is met again, so that it can move.

    Attributes:
        root: the blueprint.
        ids: of the modules in it.
    """

    def __init__(self, blueprint: Any) -> None:
        self.ids: dict[str, Any] = {}
        self.root = self._full(blueprint)

    def _full(self, value: Any) -> Any:
        if type(value) in (list, tuple):
            return type(value)([self._full(element) for element in value])
        if type(value) is not dict or is_data(value):
            return value
        if value.keys() == {"same"}:
            return _copied(self.ids[value["same"]])
        made = {}
        for name, element in value.items():
            made[name] = self._full(element)
        if is_module(value):
            self.ids[value["id"]] = made
        return made


def _copied(value: Any) -> Any:
    """Gives the same containers anew; what is in them is shared."""
    if type(value) in (list, tuple):
        return type(value)([_copied(element) for element in value])
    if type(value) is dict:
        return {name: _copied(element) for name, element in value.items()}
    return value


def collapsed(blueprint: Any) -> Any:
    """Gives a blueprint as it is saved: a module that is met again by its id alone.

    Raises:
        MigrationError: two modules of one id differ.
    """
    return _collapsed(blueprint, {})


def _collapsed(value: Any, met: dict[str, Any]) -> Any:
    if type(value) in (list, tuple):
        return type(value)([_collapsed(element, met) for element in value])
    if type(value) is not dict or is_data(value):
        return value
    if is_module(value):
        before = met.get(value["id"])
        if before is not None:
            if not equal(before, value):
                raise MigrationError(
                    "migration-failed",
                    f"a migration gave two different modules the id {value['id']!r}: leave the id "
                    f"of a new one out",
                    id=value["id"],
                )
            return {"same": value["id"]}
        met[value["id"]] = value
    made = {}
    for name, element in value.items():
        made[name] = _collapsed(element, met)
    return made


def unvalued(value: Any, state: dict[str, Any], table: dict[str, Any], path: str = "") -> Any:
    """Gives a blueprint without the values of Params, which the state has.

    Args:
        value: a blueprint, or a value inside.
        state: dot path -> value.
        table: the classes that it was saved with.
        path: where the state of the value stands.
    """
    if type(value) in (list, tuple):
        inner = [unvalued(v, state, table, joined(path, str(i))) for i, v in enumerate(value)]
        return type(value)(inner)
    if type(value) is not dict or is_data(value):
        return value
    params: set[str] = set()
    names: dict[str, str] = {}
    if is_module(value):
        fields = table.get(value["kind"], ({}, ()))[1]
        params = {name for name, role, _ in fields if role == "param"}
        for cls in registry.named(value["kind"]):
            names = getattr(cls, "__state_names__", {})
    made = {}
    for name, element in value.items():
        inside = names.get(name, str(name))
        below = joined(path, inside) if inside else path
        if name not in params or below not in state or holds_module(element):
            made[name] = unvalued(element, state, table, below)
    return made
