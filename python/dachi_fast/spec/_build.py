"""Blueprints of modules, and modules from blueprints."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from dachi_fast._core.state import build_spec
from dachi_fast.errors import SpecError
from dachi_fast.module._base import new_id
from dachi_fast.module._copy import ATOMS, copied
from dachi_fast.module._fields import UNSET, Item
from dachi_fast.module._layout import is_module_class
from dachi_fast.module._state import innermost, is_module
from dachi_fast.module._views import plain_class
from dachi_fast.spec._registry import full_kind_of, kind_of, registry
from dachi_fast.spec._schema import (
    DATA,
    building,
    looks_like_spec,
    mismatch,
    nested,
    schema_of,
    spec_fields,
)
from dachi_fast.spec._spec import BaseSpec

if TYPE_CHECKING:
    from dachi_fast.module._base import BaseModule

# --- module -> spec -----------------------------------------------------------------------------


class _Reader:
    """One run of `spec_of`: what was visited, and which ids are taken."""

    __slots__ = ("above", "done", "full", "ids")

    def __init__(self, full: bool) -> None:  # noqa: FBT001
        self.full = full
        self.done: dict[int, BaseSpec] = {}
        self.above: set[int] = set()
        self.ids: dict[str, BaseModule] = {}

    def spec(self, module: BaseModule) -> BaseSpec:
        key = id(module)
        done = self.done.get(key)
        if done is not None:
            return done
        if key in self.above:
            raise SpecError("cycle", f"a {kind_of(plain_class(type(module)))} contains itself")
        self.above.add(key)
        cls = plain_class(type(module))
        while self.ids.setdefault(module.id, module) is not module:
            module._module_id = new_id()
        schema = schema_of(cls)
        values: dict[str, Any] = {
            "kind": full_kind_of(cls) if self.full else kind_of(cls),
            "id": module.id,
        }
        inner = schema.inner_names_
        for name, value in spec_values(module, cls):
            untyped = spec_fields(cls)[name].untyped
            values[inner.get(name, name)] = self.value(value, untyped)
        made = schema.model_construct(**values) if not inner else _constructed(schema, values)
        self.above.discard(key)
        self.done[key] = made
        return made

    def value(self, value: Any, untyped: bool) -> Any:  # noqa: FBT001
        if type(value) in ATOMS:
            return value
        if isinstance(value, Item):
            value = innermost(value, "")[1]
        if is_module(value):
            return self.spec(value)
        kind = type(value)
        if kind is list or kind is tuple:
            new = [v if type(v) in ATOMS else self.value(v, untyped) for v in value]
            return new if kind is list else tuple(new)
        if kind is dict:
            made = {k: v if type(v) in ATOMS else self.value(v, untyped) for k, v in value.items()}
            if untyped and (looks_like_spec(value) or value.keys() == {DATA}):
                return {DATA: copied(value)}
            return made
        return copied(value)


def _constructed(schema: type[BaseSpec], values: dict[str, Any]) -> BaseSpec:
    made = schema.__new__(schema)
    for name, value in {
        "__dict__": values,
        "__pydantic_fields_set__": set(values),
        "__pydantic_extra__": None,
        "__pydantic_private__": None,
    }.items():
        object.__setattr__(made, name, value)
    return made


def spec_values(module: BaseModule, cls: type) -> Iterator[tuple[str, Any]]:
    """Yields the fields of a module's blueprint with their values now."""
    hook = getattr(module, "_spec_values", None)
    if hook is not None:
        yield from hook()
        return
    captured = getattr(module, "_module_args", {})
    initvars = getattr(module, "_module_initvars", {})
    for name, field in spec_fields(cls).items():
        if field.source == "attr":
            value = getattr(module, name, UNSET)
        else:
            value = (initvars if field.source == "initvar" else captured).get(name, UNSET)
        if value is not UNSET:
            yield name, value


def spec_of(module: BaseModule, *, full_kinds: bool = False) -> BaseSpec:
    """Gives the blueprint of a module.

    Args:
        module: the root of a tree.
        full_kinds: whether kinds are written as `module:qualname`.

    Raises:
        SpecError: a module contains itself.
    """
    return _Reader(full_kinds).spec(module)


def spec_value(value: Any) -> Any:
    """Gives a value as it stands in a blueprint: modules as specs, containers copied."""
    return _Reader(False).value(value, False)


def kinds_in(module: BaseModule) -> dict[str, str]:
    """Gives short kind -> `module:qualname` of every class in a tree.

    Raises:
        SpecError: two classes of the tree have one short kind.

    Example:
        >>> from dachi_fast import BaseModule
        >>> class Root(BaseModule):
        ...     pass
        >>> list(kinds_in(Root()))
        ['Root']
    """
    found: dict[str, str] = {}
    for each in module.modules():
        cls = plain_class(type(each))
        full = full_kind_of(cls)
        if found.setdefault(kind_of(cls), full) != full:
            raise SpecError(
                "ambiguous-kind",
                f"{full} and {found[kind_of(cls)]} have one short kind: rename one",
                kind=kind_of(cls),
            )
    return found


# --- spec -> module -----------------------------------------------------------------------------


def built(
    cls: type,
    spec: BaseSpec | Mapping[str, Any],
    ctx: Mapping[str, BaseModule] | None = None,
    allow: Sequence[type | str] | None = None,
) -> Any:
    """Builds a module of class `cls` (or a subclass) from its blueprint; see `from_spec`."""
    if type(spec) is dict and not ctx and allow is None:
        found = build_spec(cls, spec)
        if found is not None:
            return found
    read = _validated(cls, spec)
    if not issubclass(read.load_cls(), cls):
        raise mismatch(read.load_cls(), cls)
    if allow is not None:
        _check_allowed(read, _allowed_classes(allow))
    return _Builder(dict(ctx or {})).module(read)


def _validated(cls: type, spec: BaseSpec | Mapping[str, Any]) -> BaseSpec:
    if isinstance(spec, BaseSpec) and type(spec).module_class_ is not None:
        return spec
    values: Any = spec.model_dump() if isinstance(spec, BaseSpec) else spec
    if not isinstance(values, Mapping):
        raise SpecError(
            "not-a-spec", f"a spec is a BaseSpec or a mapping, not {type(values).__name__}"
        )
    kind = values.get("kind", kind_of(cls))
    target = cls
    if isinstance(kind, str) and kind not in (kind_of(cls), full_kind_of(cls)):
        target = registry.find_kind(kind)
        if not issubclass(target, cls):
            raise mismatch(target, cls)
    try:
        with building():
            return nested(target, values)
    except ValidationError as error:
        raise _kind_error(error) from error
    except RecursionError:
        raise SpecError("too-deep", "a spec is nested too deeply to be read") from None


def _kind_error(error: ValidationError) -> Exception:
    """Gives the SpecError inside a ValidationError with its path, else the error itself."""
    for line in error.errors(include_url=False):
        found = line.get("ctx", {}).get("error")
        if isinstance(found, SpecError):
            path = ".".join(str(p) for p in line["loc"] if "[" not in str(p))
            context = {**found.context, "path": path}
            return SpecError(found.code, f"{path}: {found.message}", **context)
    return error


def _allowed_classes(allow: Sequence[type | str]) -> frozenset[type]:
    return frozenset(a if isinstance(a, type) else registry.find_kind(a) for a in allow)


def _check_allowed(value: Any, allowed: frozenset[type], path: str = "") -> None:
    if isinstance(value, BaseSpec):
        cls = value.load_cls()
        if cls not in allowed and not getattr(cls, "__adapts__", False):
            names = ", ".join(sorted(kind_of(c) for c in allowed))
            raise SpecError(
                "forbidden-kind",
                f"{path or 'the root'}: kind {value.kind!r} is not allowed; allowed are {names}",
                path=path,
                kind=value.kind,
            )
        for name in value.__pydantic_fields_set__:
            inner = value.__dict__[name]
            _check_allowed(inner, allowed, f"{path}.{name}" if path else name)
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            _check_allowed(inner, allowed, f"{path}.{index}")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_allowed(inner, allowed, f"{path}.{key}")


class _Builder:
    """One run of `built`: the modules by id."""

    __slots__ = ("made", "specs")

    def __init__(self, made: dict[str, BaseModule]) -> None:
        self.made = made
        self.specs: dict[str, BaseSpec] = {}

    def module(self, spec: BaseSpec) -> BaseModule:
        cls = spec.load_cls()
        found = self.made.get(spec.id)
        if found is not None:
            self._check_same(spec, cls, found)
            return found
        names = {inner: name for name, inner in type(spec).inner_names_.items()}
        values = {
            names.get(name, name): self.value(spec.__dict__[name])
            for name in type(spec).model_fields
            if name in spec.__pydantic_fields_set__ and name not in ("kind", "id")
        }
        hook = getattr(cls, "_from_values", None)
        module = hook(values) if hook is not None else constructed(cls, values)
        module._module_id = spec.id
        self.made[spec.id] = module
        self.specs[spec.id] = spec
        return cast("BaseModule", module)

    def _check_same(self, spec: BaseSpec, cls: type, found: BaseModule) -> None:
        first = self.specs.get(spec.id)
        if not isinstance(found, cls):
            raise SpecError(
                "id-conflict",
                f"id {spec.id!r} names both a {kind_of(plain_class(type(found)))} and a "
                f"{kind_of(cls)}",
                id=spec.id,
            )
        if first is not None and first is not spec and first != spec:
            raise SpecError(
                "id-conflict",
                f"two different specs have the id {spec.id!r}: one id is one object",
                id=spec.id,
            )

    def value(self, value: Any) -> Any:
        kind = type(value)
        if kind in ATOMS:
            return value
        if isinstance(value, BaseSpec):
            return self.module(value)
        if kind is list:
            return [v if type(v) in ATOMS else self.value(v) for v in value]
        if kind is tuple:
            return tuple([self.value(v) for v in value])
        if kind is dict:
            if value.keys() == {DATA}:
                return copied(value[DATA])
            return {k: v if type(v) in ATOMS else self.value(v) for k, v in value.items()}
        if is_module_class(kind):
            return value
        return copied(value)


def constructed(cls: type, values: dict[str, Any]) -> Any:
    """Calls the constructor of a class with the fields of its blueprint."""
    if not hasattr(cls.__init__, "__captures__"):  # type: ignore[misc]
        return cls(**values)
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for name, field in spec_fields(cls).items():
        if name not in values:
            continue
        value, param = values[name], field.param
        if param is None:
            after[name] = value
        elif param.kind is inspect.Parameter.VAR_POSITIONAL:
            args.extend(value)
        elif param.kind is inspect.Parameter.VAR_KEYWORD:
            kwargs.update(value)
        elif param.kind is inspect.Parameter.KEYWORD_ONLY:
            kwargs[name] = value
        else:
            args.append(value)
    module = cls(*args, **kwargs)
    for name, value in after.items():
        setattr(module, name, value)
    return module


def full_spec(module: BaseModule) -> dict[str, Any]:
    """Gives the blueprint as a dict whose kinds are `module:qualname`, for a store."""
    return spec_of(module, full_kinds=True).model_dump()
