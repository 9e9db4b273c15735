"""What the compiled walk asks of Python to write the blueprint of a tree.

A store keeps blueprints without the values of Params: those are state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dachi_fast.module._views import plain_class
from dachi_fast.spec._build import spec_values
from dachi_fast.spec._registry import full_kind_of
from dachi_fast.spec._schema import DATA, spec_fields

if TYPE_CHECKING:
    from dachi_fast.module._base import BaseModule

_MARKS = frozenset({"kind", "same", DATA})  # with which modules begin in a blueprint


def blueprint_kind(cls: type) -> tuple[str, bool]:
    """Gives a class's full kind, and whether only `blueprint_values` knows its blueprint."""
    cls = plain_class(cls)
    fields = spec_fields(cls).values()
    asks = hasattr(cls, "_spec_values") or any(field.source != "attr" for field in fields)
    return full_kind_of(cls), asks


def blueprint_values(module: BaseModule) -> dict[str, Any]:
    """Gives the fields of a module's blueprint with live modules inside."""
    cls = plain_class(type(module))
    return {name: _wrapped(value) for name, value in spec_values(module, cls)}


def _wrapped(value: Any) -> Any:
    """Gives a value with the plain dicts wrapped that could be taken for modules."""
    kind = type(value)
    if kind is list or kind is tuple:
        return kind(_wrapped(element) for element in value)
    if kind is dict:
        made = {key: _wrapped(element) for key, element in value.items()}
        return {DATA: made} if not _MARKS.isdisjoint(value) else made
    return value
