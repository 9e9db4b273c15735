"""The structure of a tree as plain data and back, in pure Python, without any checks.

Kinds and ids, and which fields hold modules, without Param values: those are in the state.
"""

from __future__ import annotations

from typing import Any

from benches import _trees
from benches.compare.flatten import names_of
from dachi_fast import BaseModule

_KINDS: dict[str, type[BaseModule]] = {
    cls.__name__: cls for cls in (_trees.Agent, _trees.Skill, _trees.Network, _trees.Matrix)
}


def described(module: BaseModule) -> dict[str, Any]:
    """Gives kind, id and the fields that hold modules."""
    made: dict[str, Any] = {"kind": type(module).__name__, "id": module.id}
    for name in names_of(type(module)):
        value = getattr(module, name)
        if isinstance(value, BaseModule):
            made[name] = described(value)
        elif isinstance(value, list) and value and isinstance(value[0], BaseModule):
            made[name] = [described(element) for element in value]
    return made


def rebuilt(blueprint: dict[str, Any]) -> BaseModule:
    """Gives new modules by calling the classes."""
    fields: dict[str, Any] = {}
    for name, value in blueprint.items():
        if name in ("kind", "id"):
            continue
        is_list = isinstance(value, list)
        fields[name] = [rebuilt(element) for element in value] if is_list else rebuilt(value)
    made = _KINDS[blueprint["kind"]](**fields)
    made._module_id = blueprint["id"]
    return made
