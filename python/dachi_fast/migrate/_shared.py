"""Shared values that an older class saved, as the class of today declares them.

What was saved does not say what the types of the fields were: what fits today's stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dachi_fast.errors import MigrationError, StateTypeError
from dachi_fast.migrate._convert import converted
from dachi_fast.module._declare import fields_of
from dachi_fast.module._fields import UNSET
from dachi_fast.module._load import shown
from dachi_fast.module._shared import Values, items_of, load_field
from dachi_fast.spec import full_kind_of

if TYPE_CHECKING:
    from dachi_fast.migrate._report import Notes
    from dachi_fast.module import BaseModule


def evolved_shared(cls: type[BaseModule], saved: Values, notes: Notes) -> Values:
    """Renames, drops and converts the Shared values of a class.

    Args:
        cls: the class that declares them.
        saved: field name -> value, as they were saved.
        notes: get what was changed.

    Returns:
        The values that there are; a field that is new has none.

    Raises:
        StateTypeError: a value does not fit, and cannot be converted without loss.
    """
    left, made = dict(saved), {}
    kind = full_kind_of(cls)
    for name in items_of(cls):
        for known in (name, *fields_of(cls)[name].aliases):
            value = left.pop(known, UNSET)
            if value is UNSET:
                continue
            if known != name:
                notes.renamed[f"{kind}.{known}", f"{kind}.{name}"] = None
            made[name] = _fitting(cls, name, value, notes)
            break
    notes.dropped.update({f"{kind}.{name}": None for name in left})
    return made


def _fitting(cls: type[BaseModule], name: str, value: Any, notes: Notes) -> Any:
    field = load_field(cls, name)
    if field.check is None or field.check(value):
        return value
    path = f"{full_kind_of(cls)}.{name}"
    try:
        new = converted(value, field, path)
    except MigrationError as error:
        raise StateTypeError(
            "wrong-type",
            f"{path!r}: a saved {type(value).__name__} cannot become {shown(field.annotation)} "
            f"without loss: read it with store.state(shared_name({cls.__name__})), and assign what "
            f"it is to be",
            path=name,
        ) from error
    notes.converted[path] = None
    return new
