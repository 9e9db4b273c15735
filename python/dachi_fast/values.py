"""State values that msgpack lacks, taken apart and put together again.

The compiled codec writes None, bool, int, float, complex, str, bytes, list, tuple, dict, set,
frozenset, Ellipsis and numpy's arrays and scalars by itself. Every other supported type passes here
as a *tag* and a payload of such values. Nothing is imported by name from data: classes are found
only among those registered in this process, and putting a value together runs no constructor of
the user's.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dachi_fast.errors import (
    DachiError,
    Malformed,
    MigrationError,
    SpecError,
    StateTypeError,
    StateValueError,
)

if TYPE_CHECKING:
    from dachi_fast.module import BaseModule

_Lowered = tuple[str, object]

# --- dates ----------------------------------------------------------------------------------------


def _lower_zone(zone: datetime.tzinfo | None) -> object:
    if zone is None:
        return None
    if type(zone) is datetime.timezone:
        offset, *name = zone.__getinitargs__()  # type: ignore[attr-defined]
        return [_lower_timedelta(offset), *name]
    key = getattr(zone, "key", None)
    if type(zone).__module__ == "zoneinfo" and isinstance(key, str):
        return key
    kind = f"{type(zone).__module__}.{type(zone).__qualname__}"
    raise StateTypeError(
        "unsupported-type",
        f"{kind} is no time zone that state can hold; use datetime.timezone or zoneinfo.ZoneInfo",
        type=kind,
    )


def _raised_zone(lowered: object) -> datetime.tzinfo | None:
    if lowered is None:
        return None
    if isinstance(lowered, str):
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        try:
            return ZoneInfo(lowered)
        except ZoneInfoNotFoundError as cause:
            raise StateValueError(
                "unsupported-type",
                f"this machine has no time zone {lowered!r}; install tzdata",
                type="zoneinfo.ZoneInfo",
            ) from cause
    parts: Any = lowered
    offset = _raised_timedelta(parts[0])
    zone = datetime.timezone(offset, *parts[1:])
    return datetime.UTC if len(parts) == 1 and zone == datetime.UTC else zone


def _lower_datetime(v: datetime.datetime) -> object:
    day = [v.year, v.month, v.day, v.hour, v.minute, v.second, v.microsecond, v.fold]
    return [*day, _lower_zone(v.tzinfo)]


def _raised_datetime(p: Any) -> datetime.datetime:
    year, month, day, hour, minute, second, micro, fold, zone = p
    made = datetime.datetime(year, month, day, hour, minute, second, micro, _raised_zone(zone))
    return made.replace(fold=fold)


def _lower_time(v: datetime.time) -> object:
    return [v.hour, v.minute, v.second, v.microsecond, v.fold, _lower_zone(v.tzinfo)]


def _raised_time(p: Any) -> datetime.time:
    hour, minute, second, micro, fold, zone = p
    return datetime.time(hour, minute, second, micro, _raised_zone(zone), fold=fold)


def _lower_timedelta(v: datetime.timedelta) -> list[int]:
    return [v.days, v.seconds, v.microseconds]


def _raised_timedelta(p: Any) -> datetime.timedelta:
    return datetime.timedelta(*p)


# --- numbers, ids, paths: their modules are imported only where a value is of them ----------------


def _raised_decimal(p: Any) -> object:
    from decimal import Decimal

    return Decimal(p)


def _raised_fraction(p: Any) -> object:
    from fractions import Fraction

    return Fraction(*p)


def _raised_uuid(p: Any) -> object:
    from uuid import UUID

    return UUID(bytes=p)


_PATHS = {
    cls.__name__: cls
    for cls in (
        pathlib.PurePosixPath,
        pathlib.PureWindowsPath,
        pathlib.PosixPath,
        pathlib.WindowsPath,
    )
}


def _raised_path(p: Any) -> object:
    kind, text = p
    try:
        return _PATHS[kind](text)
    except NotImplementedError:  # a WindowsPath on another system, or the reverse
        return _PATHS["Pure" + kind](text)


def _by_type(kind: type) -> Callable[[Any], _Lowered] | None:
    """How an exact type of the standard library is taken apart."""
    if issubclass(kind, pathlib.PurePath) and kind is _PATHS.get(kind.__name__):
        return lambda v: ("path", [kind.__name__, str(v)])
    name = f"{kind.__module__}.{kind.__qualname__}"
    return _BY_NAME.get(name) if kind.__module__ in _STANDARD else None


_STANDARD = ("datetime", "decimal", "fractions", "uuid")
_BY_NAME: dict[str, Callable[[Any], _Lowered]] = {
    "datetime.datetime": lambda v: ("datetime", _lower_datetime(v)),
    "datetime.date": lambda v: ("date", [v.year, v.month, v.day]),
    "datetime.time": lambda v: ("time", _lower_time(v)),
    "datetime.timedelta": lambda v: ("timedelta", _lower_timedelta(v)),
    # The thread's context decides how `str` writes the exponent.
    "decimal.Decimal": lambda v: ("decimal", str(v).replace("e", "E")),
    "fractions.Fraction": lambda v: ("fraction", [v.numerator, v.denominator]),
    "uuid.UUID": lambda v: ("uuid", v.bytes),
}

# --- registered classes ---------------------------------------------------------------------------


def _type_name(cls: type) -> str:
    from dachi_fast.spec import full_kind_of, registry

    name = full_kind_of(cls)
    if registry.value_types.get(name) is not cls:
        kind = f"{cls.__module__}.{cls.__qualname__}"
        raise StateTypeError(
            "unsupported-type",
            f"{kind} is not registered as a state value; decorate it with @registry.value or name "
            f"it in the annotation of a field",
            type=kind,
        )
    return name


def _type_of(name: str) -> type:
    from dachi_fast.spec import registry

    cls = registry.value_class(name)
    if cls is None:
        # Types in annotations register when a module class is first used: it may not have been.
        registry.settle()
        cls = registry.value_class(name)
    if cls is None:
        raise StateTypeError(
            "unsupported-type",
            f"a value of {name} was saved, but no such class is registered in this process; import "
            f"the module that defines it before loading",
            type=name,
        )
    return cls


def _named(cls: type) -> tuple[str, int]:
    """Gives what the payload of a registered class begins with: its name and schema version."""
    return _type_name(cls), getattr(cls, "__schema_version__", 1)


def _today(name: str, version: int, saved: Any) -> tuple[Any, Any]:
    """Gives the class of a payload, and what was saved as its migrations make it.

    Raises:
        StateTypeError: it is not registered in this process.
        MigrationError: it was saved by a newer one, or its migrations do not get there.
    """
    cls = _type_of(name)
    if version == getattr(cls, "__schema_version__", 1):
        return cls, saved
    from dachi_fast.migrate._values import migrated_payload

    return cls, migrated_payload(cls, name, version, saved)


def _with_fields(cls: Any, name: str, fields: dict[str, Any]) -> dict[str, Any]:
    from dachi_fast.migrate._values import with_fields, with_model_fields

    return (with_model_fields if hasattr(cls, "model_fields") else with_fields)(cls, name, fields)


def _with_private(cls: Any, name: str, private: dict[str, Any] | None) -> dict[str, Any] | None:
    from dachi_fast.migrate._values import with_private

    return with_private(cls, name, private)


def _lower_enum(v: enum.Enum) -> _Lowered:
    # A combination of flags has no name of its own.
    key: object = v.value if isinstance(v, enum.Flag) else v.name
    return "enum", [*_named(type(v)), key]


def _raised_enum(p: Any) -> object:
    name, version, key = p
    cls, key = _today(name, version, key)
    try:
        return cls(key) if issubclass(cls, enum.Flag) else cls[key]
    except (KeyError, ValueError) as cause:
        raise MigrationError(
            "schema-misfit",
            f"{name} has no member {key!r} any more: keep it, as another name of the one that took "
            f"its place, or write a migration",
            kind=name,
        ) from cause


def _lower_dataclass(v: Any) -> _Lowered:
    names = [field.name for field in dataclasses.fields(v)]
    # A field that the constructor leaves alone may never have been set.
    fields = {name: getattr(v, name) for name in names if hasattr(v, name)}
    return "dataclass", [*_named(type(v)), fields]


def _raised_dataclass(p: Any) -> object:
    name, version, fields = p
    cls, fields = _today(name, version, fields)
    if fields.keys() != cls.__dataclass_fields__.keys():
        fields = _with_fields(cls, name, fields)
    value = object.__new__(cls)
    for field in dataclasses.fields(cls):
        if field.name in fields:
            object.__setattr__(value, field.name, fields[field.name])
    return value


def _lower_model(v: Any) -> _Lowered:
    return "model", [
        *_named(type(v)),
        dict(v.__dict__),
        sorted(v.__pydantic_fields_set__),
        v.__pydantic_extra__,
        v.__pydantic_private__,
    ]


def _raised_model(p: Any) -> object:
    name, version, fields, fields_set, extra, private = p
    cls, fields = _today(name, version, fields)
    if fields.keys() != cls.model_fields.keys():
        fields, was = _with_fields(cls, name, fields), fields
        fields_set = [field for field in fields_set if field in fields or field not in was]
    if (private or {}).keys() != cls.__private_attributes__.keys():
        private = _with_private(cls, name, private)
    value = object.__new__(cls)
    object.__setattr__(value, "__dict__", fields)
    object.__setattr__(value, "__pydantic_fields_set__", set(fields_set))
    for slot, held in (("__pydantic_extra__", extra), ("__pydantic_private__", private)):
        # A RootModel has class attributes in place of these slots.
        if getattr(value, slot, fields) is not held:
            object.__setattr__(value, slot, held)
    return value


def _lower_namedtuple(v: Any) -> _Lowered:
    # By name: a field that moves to another place must not take another's value.
    return "namedtuple", [*_named(type(v)), dict(zip(v._fields, v, strict=True))]


def _raised_namedtuple(p: Any) -> object:
    name, version, fields = p
    cls, fields = _today(name, version, fields)
    if fields.keys() != set(cls._fields):
        fields = _with_fields(cls, name, fields)
    made: object = tuple.__new__(cls, [fields[field] for field in cls._fields])
    return made


def _lower_module(v: BaseModule) -> _Lowered:
    from dachi_fast._core.state import schema
    from dachi_fast.spec import full_spec

    return "module", [full_spec(v), v.state_dict(), schema(v)]


def _raised_module(p: Any) -> object:
    from dachi_fast.migrate._report import notes
    from dachi_fast.migrate._restore import is_current, migrated_value
    from dachi_fast.module import load_owned
    from dachi_fast.spec import from_spec

    spec, state, table = p
    if not is_current(table):
        return migrated_value(spec, state, table, notes())
    try:
        module = from_spec(spec)
    except ValueError as error:  # pydantic's own, where the classes have changed
        if isinstance(error, SpecError):
            raise
        raise SpecError("misfit", f"a saved module does not fit its class: {error}") from error
    load_owned(module, state)
    return module


def _raised_foreign(p: Any) -> object:
    from dachi_fast.spec import registry

    name, payload = p
    converter = registry.converters_by_name.get(name)
    if converter is None:
        raise StateTypeError(
            "unsupported-type",
            f"a value was saved through the converter {name!r}, which is not registered here",
            type=name,
        )
    return converter.back(payload)


# What a dataclass may inherit content from that is in no field.
_BUILTINS = (dict, list, tuple, set, frozenset, str, bytes, bytearray, int, float, complex)

# --- what the codec calls -------------------------------------------------------------------------

_RAISED: dict[str, Callable[[Any], object]] = {
    "datetime": _raised_datetime,
    "date": lambda p: datetime.date(*p),
    "time": _raised_time,
    "timedelta": _raised_timedelta,
    "decimal": _raised_decimal,
    "fraction": _raised_fraction,
    "uuid": _raised_uuid,
    "path": _raised_path,
    "enum": _raised_enum,
    "dataclass": _raised_dataclass,
    "model": _raised_model,
    "namedtuple": _raised_namedtuple,
    "module": _raised_module,
    "foreign": _raised_foreign,
}


def lower(value: object) -> _Lowered | None:
    """Takes a value apart into a tag and a payload of simpler values.

    Args:
        value: anything that the codec does not write by itself.

    Returns:
        The tag and the payload, or None for a type that state cannot hold.

    Raises:
        StateTypeError: the value's class could be held but is not registered.
    """
    from dachi_fast.module import BaseModule
    from dachi_fast.spec import registry

    kind = type(value)
    if (standard := _by_type(kind)) is not None:
        return standard(value)
    if (foreign := registry.converters.get(kind)) is not None:
        return "foreign", [foreign.name, foreign.to(value)]
    if isinstance(value, enum.Enum):
        return _lower_enum(value)
    if isinstance(value, BaseModule):
        return _lower_module(value)
    if hasattr(kind, "__pydantic_fields_set__") and hasattr(kind, "model_fields"):
        return _lower_model(value)
    if dataclasses.is_dataclass(kind) and not issubclass(kind, _BUILTINS):
        return _lower_dataclass(value)
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return _lower_namedtuple(value)
    return None


def raised(tag: str, payload: object) -> object:
    """Puts a value together from what `lower` gave.

    Raises:
        Malformed: the tag is unknown, or the payload is not one of its kind.
        StateTypeError: the value's class is not registered in this process.
        SpecError: a module's kind is not.
    """
    back = _RAISED.get(tag)
    if back is None:
        raise Malformed("malformed", f"a value of the unknown kind {tag!r}", tag=tag)
    try:
        return back(payload)
    except DachiError:
        raise
    except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, OSError) as cause:
        raise Malformed("malformed", f"a {tag} cannot be read: {cause}", tag=tag) from cause


# --- dtypes ---------------------------------------------------------------------------------------


def dtype_text(dtype: np.dtype[Any]) -> str | None:
    """Names a dtype so that `dtype_from` gives the same; None for arrays of objects.

    Raises:
        StateTypeError: fields that overlap, or items of a class of their own (`numpy.record`).
    """
    if dtype.hasobject:
        return None
    if dtype.names is None:
        # Two C types of one size share a name; their characters differ.
        text = dtype.str
        return text if np.dtype(text).char == dtype.char else text[0] + dtype.char
    import json

    try:
        text = json.dumps(np.lib.format.dtype_to_descr(dtype))
        if dtype.type is np.void and dtype_from(text) == dtype:
            return text
    except ValueError:
        pass
    raise StateTypeError(
        "unsupported-type",
        f"arrays of {dtype} cannot be saved; use a structured dtype of fields that do not overlap",
        type=str(dtype),
    )


# Of the 16 bytes of a long double, x86 uses 10.
_LONG_DOUBLE_BYTES = 10 if np.finfo(np.longdouble).nmant == 63 else 16


def _has_padding(dtype: np.dtype[Any]) -> bool:
    dtype = dtype.base
    if dtype.names is None:
        return dtype.char in "gG" and dtype.alignment > _LONG_DOUBLE_BYTES
    fields = [dtype[name] for name in dtype.names]
    used = sum(field.itemsize for field in fields)
    return used < dtype.itemsize or any(_has_padding(field) for field in fields)


def unpadded(value: Any) -> np.ndarray[Any, Any]:
    """Gives an array, or a scalar as one, with zeros where its items have bytes of no value."""
    array: np.ndarray[Any, Any] = np.asarray(value)
    if not _has_padding(array.dtype):
        return array
    order: Literal["C", "F"] = "F" if array.flags.fnc else "C"
    clean = np.zeros(array.shape, array.dtype, order)
    if array.dtype.names is not None:
        for name in array.dtype.names:
            clean[name] = unpadded(array[name])
        return clean
    clean[...] = array
    numbers = clean.reshape(-1, order="A").view("u1").reshape(-1, 16)
    numbers[:, slice(_LONG_DOUBLE_BYTES, 16) if array.dtype.isnative else slice(0, 6)] = 0
    return clean


def _field(part: Any) -> tuple[object, ...]:
    name, kind, *shape = part
    name = tuple(name) if isinstance(name, list) else name
    kind = [_field(inner) for inner in kind] if isinstance(kind, list) else kind
    return (name, kind, *(tuple(extents) for extents in shape))


def dtype_from(text: str) -> np.dtype[Any]:
    """Gives the dtype that `dtype_text` named.

    Raises:
        Malformed: the text names no dtype, or one of objects.
    """
    try:
        if text.startswith("["):
            import json

            descr: Any = [_field(part) for part in json.loads(text)]
            dtype = np.lib.format.descr_to_dtype(descr)
        else:
            dtype = np.dtype(text)
    except (TypeError, ValueError, SyntaxError, DeprecationWarning) as cause:
        raise Malformed("malformed", "an array's dtype cannot be read", dtype=text) from cause
    if dtype.hasobject:
        raise Malformed("malformed", "an array of objects cannot be read", dtype=text)
    return dtype
