"""Values of fields whose type has changed: as the new type wants them, or not at all."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dachi_fast.errors import MigrationError
from dachi_fast.module._fields import equal
from dachi_fast.module._load import shown, validator

if TYPE_CHECKING:
    from dachi_fast.module._layout import LoadField


def converted(value: Any, field: LoadField, path: str) -> Any:
    """Gives a value as the type of its field wants it, made by pydantic, and only without loss.

    A value that fits stays, but 1 becomes 1.0 for a float.

    Raises:
        MigrationError: it does not fit, or would lose something.
    """
    fits = field.check is None or field.check(value)
    cause: Exception | None = None
    try:
        new = _made(value, field, fits=fits)
    except Exception as error:  # noqa: BLE001 - of validators and comparisons that others wrote
        new, cause = value, error
    if fits or new is not value:
        return new
    raise MigrationError(
        "schema-misfit",
        f"{path!r}: a saved {type(value).__name__} cannot become {shown(field.annotation)} without "
        f"loss; write a migration",
        path=path,
    ) from cause


def _made(value: Any, field: LoadField, *, fits: bool) -> Any:
    """Gives what pydantic makes of a value for a field; the value itself where that loses some."""
    validate = validator(field)
    if validate is None:
        return value
    new = validate(value, strict=fits)
    if fits and type(new) is type(value) and repr(new) == repr(value):
        return value
    kept = _widened(value, new) if fits else _kept(value, new)
    return new if kept and (field.check is None or field.check(new)) else value


def _widened(old: Any, new: Any) -> bool:
    """Gives whether two values are equal in type too, but for numbers of a wider type."""
    if type(old) is not type(new):
        wider = type(old) in (int, float) and type(new) in (float, complex)
        return wider and bool(old == new)
    if isinstance(old, (list, tuple)):
        return len(old) == len(new) and all(map(_widened, old, new))
    if isinstance(old, dict):
        pairs = zip(old.items(), new.items(), strict=False)
        return len(old) == len(new) and all(_widened(a, b) for a, b in pairs)
    return old is new or _is(old, new)


def _kept(old: Any, new: Any) -> bool:
    """Gives whether the old value can be had back from the new one."""
    if isinstance(old, Mapping):
        return _kept_mapping(old, new)
    if isinstance(old, (list, tuple)):
        ordered = isinstance(new, (list, tuple))
        return ordered and len(old) == len(new) and all(map(_kept, old, new))
    if isinstance(old, (set, frozenset)):
        return isinstance(new, (list, tuple, set, frozenset)) and old == type(old)(new)
    if isinstance(new, (list, tuple, set, frozenset, Mapping)):
        return False  # a text is no list of its letters
    return _is(old, new) or any(_is(old, back) for back in _ways_back(old, new))


def _kept_mapping(old: Mapping[Any, Any], new: Any) -> bool:
    if isinstance(new, Mapping):
        pairs = zip(old.items(), new.items(), strict=False)
        return len(old) == len(new) and all(_kept(a, b) and _kept(x, y) for (a, x), (b, y) in pairs)
    if dataclasses.is_dataclass(new) or hasattr(new, "__pydantic_fields_set__"):
        return all(
            isinstance(name, str) and hasattr(new, name) and _kept(value, getattr(new, name))
            for name, value in old.items()
        )
    return False


def _ways_back(old: Any, new: Any) -> list[Any]:
    """Gives what a value may have been before it was converted."""
    from pydantic_core import to_jsonable_python

    found: list[Any] = [new.value] if isinstance(new, enum.Enum) else []
    for back in (type(old), to_jsonable_python):
        try:
            found.append(back(new))
        except (TypeError, ValueError, ArithmeticError):
            continue
    return found


def _is(old: Any, new: Any) -> bool:
    # As text, too: 0.0 and -0.0 are equal, and NaN is not equal to itself.
    alike = type(old) is type(new) and repr(old) == repr(new)
    return alike and (isinstance(old, float) or equal(old, new))
