"""Modules from blueprints, which somebody else may have written.

A spec is measured, validated and surveyed before the first constructor runs; whatever is wrong with
it is a SpecError or pydantic's ValidationError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import ValidationError

from dachi_fast._core.state import build_spec
from dachi_fast.errors import SpecError
from dachi_fast.module._copy import ATOMS, copied
from dachi_fast.module._layout import is_module_class
from dachi_fast.spec._fields import DATA, constructed, is_wrapped, spec_fields
from dachi_fast.spec._limits import SpecLimits, check_limits, path_text
from dachi_fast.spec._place import building, mismatch, nested
from dachi_fast.spec._registry import full_kind_of, kind_of, registry
from dachi_fast.spec._spec import BaseSpec
from dachi_fast.spec._survey import Survey, allowed_classes

if TYPE_CHECKING:
    from dachi_fast.module._base import BaseModule

Dialect = Literal["full", "strict"]


def built(
    cls: type,
    spec: BaseSpec | Mapping[str, Any],
    ctx: Mapping[str, BaseModule] | None = None,
    *,
    allow: Sequence[type | str] | None = None,
    limits: SpecLimits | None = None,
    dialect: Dialect = "full",
) -> Any:
    """Builds a module of class `cls` (or a subclass) from its blueprint; see `from_spec`."""
    with _told_apart():
        values = _measured(spec, limits, dialect)
        if type(values) is dict and not ctx and allow is None:
            found = _built_plainly(cls, values)
            if found is not None:
                return found
        valid, survey = surveyed(cls, values, ctx, allow)
        return _Builder(dict(ctx or {}), survey).module(valid)


def read(
    cls: type,
    spec: BaseSpec | Mapping[str, Any],
    ctx: Mapping[str, BaseModule] | None = None,
    *,
    allow: Sequence[type | str] | None = None,
    limits: SpecLimits | None = None,
    dialect: Dialect = "full",
) -> Survey:
    """Does all that `built` does before it builds, and gives what it would build, with defaults."""
    with _told_apart():
        values = _measured(spec, limits, dialect)
        surveyed(cls, values, ctx, allow)
        whole = Survey(None, ctx or {}, defaults=True)
        whole.go(_validated(cls, values, defaults=True))
        return whole


@contextmanager
def _told_apart() -> Iterator[None]:
    """Within it what is too deep for the interpreter's stack is an error of the spec."""
    try:
        yield
    except RecursionError:
        raise SpecError("too-deep", "a spec is nested too deeply to be read") from None


def _measured(spec: Any, limits: SpecLimits | None, dialect: Dialect) -> Any:
    if isinstance(spec, BaseSpec):
        return spec
    if not isinstance(spec, Mapping):
        raise SpecError(
            "not-a-spec", f"a spec is a BaseSpec or a mapping, not {type(spec).__name__}"
        )
    values = spec if type(spec) is dict else dict(spec)
    check_limits(values, limits or SpecLimits())
    if dialect == "strict":
        from dachi_fast.spec._strict import from_strict

        values = from_strict(values)
        check_limits(values, limits or SpecLimits())  # texts of JSON have become values
    return values


def _built_plainly(cls: type, values: dict[str, Any]) -> Any:
    try:
        return build_spec(cls, values)
    except Exception:  # noqa: BLE001 - a default factory raised: it will again, and be told where
        return None


def surveyed(
    cls: type,
    spec: BaseSpec | dict[str, Any],
    ctx: Mapping[str, BaseModule] | None,
    allow: Sequence[type | str] | None,
) -> tuple[BaseSpec, Survey]:
    """Validates a spec and looks through it."""
    valid = _validated(cls, spec)
    found = valid.load_cls()
    if not issubclass(found, cls):
        raise mismatch(found, cls)
    survey = Survey(None if allow is None else allowed_classes(allow), ctx or {})
    survey.go(valid)
    return valid, survey


def _validated(cls: type, spec: BaseSpec | dict[str, Any], *, defaults: bool = False) -> BaseSpec:
    if isinstance(spec, BaseSpec) and type(spec).module_class_ is not None:
        return spec
    values = spec.model_dump() if isinstance(spec, BaseSpec) else spec
    kind = values.get("kind", kind_of(cls))
    target = cls
    if isinstance(kind, str) and kind not in (kind_of(cls), full_kind_of(cls)):
        target = registry.find_kind(kind)
        if not issubclass(target, cls):
            raise mismatch(target, cls)
    try:
        with building(defaults=defaults):
            return nested(target, values)
    except ValidationError as error:
        raise _spec_error(error) from error


def _spec_error(error: ValidationError) -> Exception:
    """Gives the SpecError inside a ValidationError with its path, else the error itself."""
    lines = error.errors(include_url=False)
    ours = [(line["loc"], line.get("ctx", {}).get("error")) for line in lines]
    found = [(loc, each) for loc, each in ours if isinstance(each, SpecError)]
    # Of a Union the members that ask for another class say so; what is wrong is said by the rest.
    telling = [pair for pair in found if pair[1].code != "kind-mismatch"]
    if not telling and len(found) < len(lines):
        return error
    loc, first = (telling or found)[0]
    if first.code in ("unknown-kind", "ambiguous-kind"):
        first = _explained(first)
    path = path_text([part for part in loc if "[" not in str(part)])
    return SpecError(first.code, f"{path}: {first.message}", **{**first.context, "path": path})


def _explained(error: SpecError) -> SpecError:
    """Gives an error about a kind with what might have been meant."""
    try:
        registry.find_kind(str(error.context["kind"]))
    except SpecError as full:
        return full
    return error


class _Builder:
    """One run of `built`: the modules by id."""

    __slots__ = ("made", "survey")

    def __init__(self, made: dict[str, BaseModule], survey: Survey) -> None:
        self.made = made
        self.survey = survey

    def module(self, spec: BaseSpec) -> BaseModule:
        name: str | None = spec.id
        found = self.made.get(name) if name is not None else None
        if found is not None:
            return found
        cls = spec.load_cls()
        names = {inner: field for field, inner in type(spec).inner_names_.items()}
        fields = spec_fields(cls)
        values: dict[str, Any] = {}
        for inner in type(spec).model_fields:
            if inner in spec.__pydantic_fields_set__ and inner not in ("kind", "id"):
                field = names.get(inner, inner)
                values[field] = self.value(spec.__dict__[inner], fields[field].untyped)
        module = self._constructed(cls, values, spec)
        if name is not None:
            module._module_id = name
            self.made[name] = module
        return module

    def _constructed(self, cls: type, values: dict[str, Any], spec: BaseSpec) -> BaseModule:
        hook = getattr(cls, "_from_values", None)
        try:
            return cast(
                "BaseModule", hook(values) if hook is not None else constructed(cls, values)
            )
        except (RecursionError, MemoryError):
            raise
        except Exception as error:
            path = path_text(next((p for p, s in self.survey.found if s is spec), ()))
            raise _refusal(error, cls, path) from error

    def value(self, value: Any, untyped: bool) -> Any:  # noqa: FBT001
        kind = type(value)
        if kind in ATOMS:
            return value
        if isinstance(value, BaseSpec):
            return self.module(value)
        if kind is list:
            return [v if type(v) in ATOMS else self.value(v, untyped) for v in value]
        if kind is tuple:
            return tuple([self.value(v, untyped) for v in value])
        if kind is dict:
            if untyped and is_wrapped(value):
                value = value[DATA]
            return {k: v if type(v) in ATOMS else self.value(v, untyped) for k, v in value.items()}
        if is_module_class(kind):
            return value
        return copied(value)


def _refusal(error: Exception, cls: type, path: str) -> SpecError:
    """Gives the error of a constructor that did not take what its spec says."""
    where = f"{path}: " if path else ""
    if isinstance(error, SpecError):
        inner = error.context.get("path")
        whole = ".".join(p for p in (path, inner) if isinstance(p, str) and p)
        return SpecError(error.code, where + error.message, **{**error.context, "path": whole})
    return SpecError(
        "constructor",
        f"{where}{kind_of(cls)} refused what its spec says: {type(error).__name__}: {error}",
        path=path,
        kind=kind_of(cls),
    )
