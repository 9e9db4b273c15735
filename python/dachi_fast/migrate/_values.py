"""Values of registered classes (dataclasses, named tuples, models, Enums) of older schemas.

They carry the schema version of their class. Types of their fields are not compared: nothing is
known of what they were.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from dachi_fast.errors import MigrationError
from dachi_fast.migrate._report import Migrated, notes
from dachi_fast.migrate._steps import chain, declared_version


def _owner(cls: type) -> type:
    return next((base for base in cls.__mro__ if "__schema_version__" in base.__dict__), cls)


def migrated_payload(cls: type, name: str, version: int, payload: Any) -> Any:
    """Gives a payload as the migrations of its class make it.

    Args:
        cls: the class.
        name: its kind.
        version: of what was saved.
        payload: the fields as a dict, or the member of an Enum.

    Raises:
        MigrationError: it was saved by newer code, there is no way from there, or a migration
            failed.
    """
    owner = _owner(cls)
    for step in chain(owner, name, version):
        what = f"{name}: migration {step.before} -> {step.after} ({step.__name__})"
        context = {"kind": name, "before": step.before, "after": step.after}
        try:
            given = step(payload)
        except Exception as cause:
            what = f"{what} raised {cause!r}"
            raise MigrationError("migration-failed", what, **context) from cause
        if type(payload) is dict and not (
            type(given) is dict and all(isinstance(key, str) for key in given)
        ):
            problem = f"gave {type(given).__name__}, not the dict of the fields"
            raise MigrationError("migration-failed", f"{what} {problem}", **context)
        payload = given
    notes().migrated[Migrated(name, version, declared_version(owner))] = None
    return payload


def with_fields(cls: Any, name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Gives the fields that a class has today; new ones take their defaults, others are dropped.

    Raises:
        MigrationError: a new field has no default, or one that raises.
    """
    wanted = _defaults(cls)
    made = {field: value for field, value in fields.items() if field in wanted}
    for field in fields:
        if field not in wanted:
            notes().dropped[f"{name}.{field}"] = None
    for field, default in wanted.items():
        if field in fields or default is _UNSET:
            continue
        if default is _REQUIRED:
            raise MigrationError(
                "schema-misfit",
                f"{name} has a new field {field!r} without a default, and nothing was saved for "
                f"it: give it one, or write a migration",
                kind=name,
                field=field,
            )
        made[field] = _defaulted(default, name, field)
        notes().defaulted[f"{name}.{field}"] = None
    return made


def with_model_fields(cls: Any, name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Gives what `with_fields` gives, for the fields of a pydantic model."""
    # What a `cached_property` keeps lies beside the fields; with other fields it is made anew.
    kept = {n: v for n, v in fields.items() if n not in cls.model_fields and hasattr(cls, n)}
    own = {n: v for n, v in fields.items() if n not in kept}
    return with_fields(cls, name, own) | (kept if own.keys() == cls.model_fields.keys() else {})


def with_private(cls: Any, name: str, private: dict[str, Any] | None) -> dict[str, Any] | None:
    """Gives the private attributes that a pydantic model has today.

    Raises:
        MigrationError: the default of a new one raises.
    """
    from pydantic_core import PydanticUndefined

    wanted = cls.__private_attributes__
    made = {n: v for n, v in (private or {}).items() if n in wanted}
    for attribute in private or {}:
        if attribute not in made:
            notes().dropped[f"{name}.{attribute}"] = None
    for attribute, declared in wanted.items():
        if attribute in made:
            continue
        default = _defaulted(declared.get_default, name, attribute)
        if default is not PydanticUndefined:
            made[attribute] = default
            notes().defaulted[f"{name}.{attribute}"] = None
    return made if wanted else None


_REQUIRED: Any = object()  # a field without a default
_UNSET: Any = object()  # a field that the constructor leaves alone


def _defaults(cls: Any) -> Mapping[str, Any]:
    """Gives what makes the default of each field of a class."""
    if dataclasses.is_dataclass(cls):
        return {field.name: _default(field) for field in dataclasses.fields(cls)}
    if hasattr(cls, "model_fields"):
        declared = cls.model_fields.items()
        return {n: _REQUIRED if info.is_required() else _of_model(info) for n, info in declared}
    held = cls._field_defaults
    return {f: _giving(held[f]) if f in held else _REQUIRED for f in cls._fields}


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return _giving(field.default)
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory
    return _REQUIRED if field.init else _UNSET


def _defaulted(default: Callable[[], Any], name: str, field: str) -> Any:
    try:
        return default()
    except Exception as cause:
        raise MigrationError(
            "schema-misfit",
            f"{name} has a new field {field!r}, whose default raised {cause!r}",
            kind=name,
            field=field,
        ) from cause


def _giving(value: Any) -> Any:
    return lambda: value


def _of_model(info: Any) -> Any:
    return lambda: info.get_default(call_default_factory=True)
