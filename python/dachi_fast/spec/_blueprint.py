"""What the compiled walk asks of Python to write the blueprint of a tree.

A store keeps blueprints without the values of Params: those are state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dachi_fast._core.codec import encode
from dachi_fast.module._fields import UNSET
from dachi_fast.module._views import plain_class
from dachi_fast.spec._fields import DATA, spec_fields, spec_values
from dachi_fast.spec._registry import full_kind_of
from dachi_fast.spec._shape import shape_of

if TYPE_CHECKING:
    from dachi_fast.module._base import BaseModule

_MARKS = frozenset({"kind", "same", DATA})  # with which modules begin in a blueprint


def saved_class(cls: type) -> tuple[str, bytes, bool]:
    """Gives what saves keep of a class.

    Returns:
        Its full kind, its encoded row in the table of classes, and whether only `blueprint_values`
        knows its blueprint.
    """
    cls = plain_class(cls)
    fields = spec_fields(cls).values()
    asks = hasattr(cls, "_spec_values") or any(field.source != "attr" for field in fields)
    return full_kind_of(cls), encode(shape_of(cls)), asks


def blueprint_values(module: BaseModule) -> list[tuple[str, Any, bool]]:
    """Gives the fields of a module's blueprint with live modules inside.

    Returns:
        Name and value of each, and whether it is the argument of a constructor that keeps it under
        another name, or only uses it.
    """
    cls = plain_class(type(module))
    arguments = {name for name, field in spec_fields(cls).items() if field.source != "attr"}
    return [
        (name, _wrapped(value), name in arguments and getattr(module, name, UNSET) is not value)
        for name, value in spec_values(module, cls)
    ]


def _wrapped(value: Any) -> Any:
    """Gives a value with the plain dicts wrapped that could be taken for modules."""
    kind = type(value)
    if kind is list or kind is tuple:
        return kind(_wrapped(element) for element in value)
    if kind is dict:
        made = {key: _wrapped(element) for key, element in value.items()}
        return {DATA: made} if not _MARKS.isdisjoint(value) else made
    return value
