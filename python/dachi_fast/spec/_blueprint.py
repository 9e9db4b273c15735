"""What the compiled walk asks of Python to write the blueprint of a tree, and its way back.

A store keeps blueprints without the values of Params: those are state. Joined with the state they
are specs again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dachi_fast.errors import Malformed
from dachi_fast.module._views import plain_class
from dachi_fast.spec._build import spec_values
from dachi_fast.spec._registry import full_kind_of, registry
from dachi_fast.spec._schema import DATA, looks_like_spec, spec_fields

if TYPE_CHECKING:
    from dachi_fast.module._base import BaseModule


def blueprint_kind(cls: type) -> tuple[str, bool]:
    """Gives a class's full kind, and whether only `blueprint_values` knows its blueprint."""
    cls = plain_class(cls)
    fields = spec_fields(cls).values()
    asks = hasattr(cls, "_spec_values") or any(field.source != "attr" for field in fields)
    return full_kind_of(cls), asks


def blueprint_values(module: BaseModule) -> dict[str, Any]:
    """Gives the fields of a module's blueprint with live modules inside."""
    cls = plain_class(type(module))
    fields = spec_fields(cls)
    return {
        name: _wrapped(value) if name in fields and fields[name].untyped else value
        for name, value in spec_values(module, cls)
    }


def _wrapped(value: Any) -> Any:
    kind = type(value)
    if kind is list or kind is tuple:
        return kind(_wrapped(element) for element in value)
    if kind is dict:
        if looks_like_spec(value) or value.keys() == {DATA}:
            return {DATA: value}
        return {key: _wrapped(element) for key, element in value.items()}
    return value


def joined(blueprint: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Gives the spec that a stored blueprint and the state saved with it make together.

    Args:
        blueprint: what the store kept.
        state: dotted key -> value; Params are taken from it.

    Raises:
        Malformed: the blueprint is not one.
        SpecError: a kind is not registered in this process.
    """
    made = _Join(state).value(blueprint, "")
    if type(made) is not dict or "kind" not in made:
        raise Malformed("malformed", "a stored blueprint describes no module")
    return made


class _Join:
    """One run of `joined`: the specs by id."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state
        self.seen: dict[str, dict[str, Any]] = {}
        self.params: dict[str, tuple[str, ...]] = {}

    def value(self, value: Any, path: str) -> Any:
        kind = type(value)
        if kind is dict:
            if value.keys() == {"same"} and value["same"] in self.seen:
                return self.seen[value["same"]]
            if DATA in value:
                return value
            if "kind" in value and "id" in value and ":" in str(value["kind"]):
                return self.module(value, path)
            return {k: self.value(v, f"{path}{k}.") for k, v in value.items()}
        if kind is list or kind is tuple:
            return kind([self.value(v, f"{path}{at}.") for at, v in enumerate(value)])
        return value

    def module(self, value: dict[str, Any], path: str) -> dict[str, Any]:
        made = {"kind": value["kind"], "id": value["id"]}
        self.seen[value["id"]] = made
        for name, inner in value.items():
            if name not in made:
                # The state of what an AdaptModule holds stands under another name than its spec.
                key = "_adapted" if name == "_adapted_param" else name
                made[name] = self.value(inner, f"{path}{key}.")
        for name in self.params_of(value["kind"]):
            key = path + name
            if name not in made and key in self.state:
                made[name] = self.state[key]
        return made

    def params_of(self, kind: str) -> tuple[str, ...]:
        found = self.params.get(kind)
        if found is None:
            fields = spec_fields(registry.find_kind(kind))
            found = tuple(name for name, field in fields.items() if field.source == "attr")
            self.params[kind] = found
        return found
