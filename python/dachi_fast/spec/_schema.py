"""The pydantic class of a module class: fields, kinds of nested modules, JSON schema."""

from __future__ import annotations

import contextlib
import inspect
import threading
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, Field, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation
from pydantic_core import PydanticCustomError, core_schema

from dachi_fast.errors import SpecError
from dachi_fast.module._annotations import Names, resolve, usable
from dachi_fast.module._declare import fields_of, type_argument
from dachi_fast.module._fields import UNSET, item_bound
from dachi_fast.module._layout import adopt_values, annotation_of, is_module_class
from dachi_fast.module._once import ONCE
from dachi_fast.spec._registry import kind_of, registry
from dachi_fast.spec._spec import BaseSpec

MAX_DEPTH = 100  # specs inside specs
DATA = "$data"  # wraps a plain dict that looks like a spec where both could stand

_EMPTY = inspect.Parameter.empty


class SpecField:
    """One field of a blueprint and where a module keeps its value."""

    __slots__ = ("annotation", "default", "factory", "name", "param", "source", "untyped")

    def __init__(
        self, name: str, annotation: Any, source: Literal["attr", "initvar", "arg"]
    ) -> None:
        self.name = name
        self.annotation = annotation
        self.source = source
        self.default: Any = UNSET
        self.factory: Callable[[], Any] | None = None
        self.param: inspect.Parameter | None = None  # of a hand-written __init__
        self.untyped = _is_untyped(annotation)


def spec_fields(cls: type) -> dict[str, SpecField]:
    """Gives the fields of a class's blueprint in declaration order."""
    found: dict[str, SpecField] | None = cls.__dict__.get("__spec_fields__")
    if found is None and hasattr(cls, "_spec_fields"):
        found = {}
        for name, (annotation, default) in cls._spec_fields().items():
            found[name] = SpecField(name, annotation, "attr")
            found[name].default = default
        type.__setattr__(cls, "__spec_fields__", found)
    if found is None:
        found = _arguments(cls) if hasattr(cls.__init__, "__captures__") else {}  # type: ignore[misc]
        for name, field in fields_of(cls).items():
            if field.kind not in ("param", "plain", "initvar"):
                continue
            if field.kind == "initvar" and hasattr(cls.__init__, "__captures__"):  # type: ignore[misc]
                continue
            annotation = annotation_of(cls, field)
            if field.is_item:
                bound = item_bound(field.item) if field.item is not None else None
                annotation = bound if bound is not None else type_argument(annotation)
            held = found.get(name)
            made = SpecField(name, annotation, "initvar" if field.kind == "initvar" else "attr")
            made.default, made.factory = field.default, field.factory
            if held is not None:
                made.param = held.param
                if field.required:
                    made.default, made.factory = held.default, held.factory
            found[name] = made
        type.__setattr__(cls, "__spec_fields__", found)
    return found


def _arguments(cls: type) -> dict[str, SpecField]:
    init: Any = cls.__init__  # type: ignore[misc]
    init = init.__wrapped__
    names = Names({**init.__globals__, cls.__name__: cls}, _any)
    found: dict[str, SpecField] = {}
    for param in list(inspect.signature(init).parameters.values())[1:]:
        annotation: Any = Any
        if param.annotation is not _EMPTY:
            annotation = usable(resolve(param.annotation, names))
            adopt_values(annotation)
        if param.kind is param.VAR_POSITIONAL:
            annotation = types.GenericAlias(tuple, (annotation, ...))
        elif param.kind is param.VAR_KEYWORD:
            annotation = types.GenericAlias(dict, (str, annotation))
        field = SpecField(param.name, annotation, "arg")
        field.param = param
        if param.default is not _EMPTY:
            field.default = param.default
        elif param.kind is param.VAR_POSITIONAL:
            field.default = ()
        elif param.kind is param.VAR_KEYWORD:
            field.factory = dict
        found[param.name] = field
    return found


def _any(name: str) -> object:
    candidates = registry.candidates(name)
    return candidates[-1] if candidates else Any


def _is_untyped(annotation: Any) -> bool:
    """Gives whether a module and a plain dict may both stand somewhere in a field."""
    if annotation in (Any, object, list, tuple, dict) or isinstance(annotation, TypeVar):
        return True
    origin = get_origin(annotation)
    if origin is None:
        return not isinstance(annotation, type) and annotation is not None
    return any(_is_untyped(a) for a in get_args(annotation) if a is not Ellipsis)


# --- the class --------------------------------------------------------------------------------


def schema_of(cls: type) -> type[BaseSpec]:
    """Gives the pydantic class of a module class's blueprints; made at the first call."""
    found: type[BaseSpec] | None = cls.__dict__.get("__schema__")
    if found is None:
        with ONCE:  # else threads would compare specs of two classes, and lose a filter of warnings
            found = cls.__dict__.get("__schema__")
            if found is None:
                found = _made(cls)
                type.__setattr__(cls, "__schema__", found)
    return found


def _made(cls: type) -> type[BaseSpec]:
    fields = spec_fields(cls)
    inner = {name: _inner_name(name) for name in fields}
    definitions: dict[str, Any] = {"kind": (str, kind_of(cls))}
    for name, field in fields.items():
        definitions[inner[name]] = _definition(field, inner[name])
    made = _created(cls, definitions)
    made.module_class_ = cls
    made.inner_names_ = {name: i for name, i in inner.items() if i != name}
    return made


def _created(cls: type, definitions: dict[str, Any]) -> type[BaseSpec]:
    def create(fields: dict[str, Any]) -> type[BaseSpec]:
        made: type[BaseSpec] = create_model(
            f"{cls.__name__}Spec", __base__=BaseSpec, __module__=cls.__module__, **fields
        )
        return made

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fields may be named like pydantic's own methods
        try:
            return create(definitions)
        except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, TypeError):
            pass
        usable_fields = dict(definitions)  # annotations that pydantic cannot use become Any
        for name, definition in definitions.items():
            try:
                create({"kind": definitions["kind"], name: definition})
            except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, TypeError):
                usable_fields[name] = (Any, definition[1])
        return create(usable_fields)


def _inner_name(name: str) -> str:
    """Gives the pydantic field name of a module's field; others are reached by alias."""
    taken = name.startswith("model_") and hasattr(BaseModel, name)
    if name.startswith("_") or taken or name in ("module_class_", "inner_names_", "load_cls"):
        return f"field_{name.lstrip('_')}_{len(name) - len(name.lstrip('_'))}"
    return name


def _definition(field: SpecField, inner: str) -> tuple[Any, Any]:
    from dachi_fast.spec._build import spec_value

    annotation = spec_type(field.annotation)
    if field.default is None:
        annotation = Union[annotation, None]  # noqa: UP007 - made of values
    if field.untyped:
        top = get_origin(field.annotation) or field.annotation
        is_data = isinstance(top, type) and issubclass(top, Mapping)
        annotation = Annotated[annotation, AfterValidator(_Revive(is_data))]
    extra: dict[str, Any] = {"alias": field.name} if inner != field.name else {}
    if field.factory is not None:
        factory = field.factory

        def default() -> Any:
            # from_spec builds from what was given: the constructor makes the rest, once.
            return None if getattr(_nesting, "building", False) else spec_value(factory())

        return annotation, Field(default_factory=default, **extra)
    if field.default is not UNSET:
        return annotation, Field(default=field.default, **extra)
    return annotation, Field(**extra)


# --- annotations as specs -----------------------------------------------------------------------


def spec_type(annotation: Any) -> Any:
    """Gives an annotation with every module class replaced by the spec of one."""
    annotation = usable(annotation)
    if isinstance(annotation, TypeVar):
        return spec_type(annotation.__bound__) if annotation.__bound__ is not None else Any
    origin = get_origin(annotation)
    if is_module_class(origin or annotation):
        return Annotated[Any, ModuleSpec(*_bound(annotation))]
    if origin is None or origin in (Literal, type):
        return annotation
    args = get_args(annotation)
    if origin is Annotated:
        return Annotated[(spec_type(args[0]), *annotation.__metadata__)]
    if isinstance(origin, type) and origin.__name__ == "Callable":
        return annotation
    done = tuple(a if a is Ellipsis else spec_type(a) for a in args)
    if origin in (Union, types.UnionType):
        return Union[done]  # noqa: UP007 - made of values
    if all(a is b for a, b in zip(args, done, strict=True)):
        return annotation
    if hasattr(annotation, "copy_with"):
        return annotation.copy_with(done)
    return types.GenericAlias(origin, done)


def _bound(annotation: Any) -> tuple[type, bool]:
    """Gives the module class that an annotation asks for, and whether it may come wrapped."""
    cls: Any = get_origin(annotation) or annotation
    if getattr(cls, "__adapts__", False):
        args = [usable(a) for a in get_args(annotation)]
        bound = args[0].__bound__ if args and isinstance(args[0], TypeVar) else None
        target = bound or (args[0] if args and not isinstance(args[0], TypeVar) else None)
        return (get_origin(target) or target) if target is not None else _any_module(), True
    return cls, False


def _any_module() -> type:
    from dachi_fast.module._base import BaseModule

    return BaseModule


_nesting = threading.local()


class ModuleSpec:
    """A place in a spec where the spec of a module stands; pydantic reads it as an annotation.

    Args:
        base: the class that the module must be an instance of.
        adapt: whether the place is an AdaptModule, which takes bare specs too.
    """

    def __init__(self, base: type, adapt: bool = False) -> None:  # noqa: FBT001, FBT002
        self.base = base
        self.adapt = adapt

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        kind = {"type": "string", "description": f"kind of a {kind_of(self.base)}"}
        return {
            "type": "object",
            "properties": {"kind": kind},
            "required": ["kind"],
            "x-module": kind_of(self.base),
        }

    def validate(self, value: Any) -> BaseSpec:
        """Gives the validated spec of a module for a spec, a dict or a module."""
        if isinstance(value, BaseSpec):
            self._check(value.load_cls(), value)
            return value
        if is_module_class(type(value)):
            from dachi_fast.spec._build import spec_of

            return self.validate(spec_of(value))
        if not isinstance(value, Mapping):
            raise PydanticCustomError(
                "module_spec",
                "a {base} is described by an object with a kind",
                {"base": kind_of(self.base)},
            )
        kind = value.get("kind")
        if not isinstance(kind, str):
            raise PydanticCustomError(
                "kind_missing", "the kind of a {base} is missing", {"base": kind_of(self.base)}
            )
        cls = registry.find_kind(kind)
        found = nested(cls, value)
        self._check(cls, found)
        return found

    def _check(self, cls: type, spec: BaseSpec) -> None:
        inner = cls
        if getattr(cls, "__adapts__", False):
            held = spec.__dict__.get(type(spec).inner_names_.get("_adapted_param", ""))
            inner = held.load_cls() if isinstance(held, BaseSpec) else cls
        if not issubclass(inner, self.base) and not issubclass(cls, self.base):
            raise mismatch(inner, self.base)


def nested(cls: type, value: Mapping[str, Any]) -> BaseSpec:
    """Validates a spec inside a spec, down to `MAX_DEPTH` levels."""
    depth = getattr(_nesting, "depth", 0)
    if depth >= MAX_DEPTH:
        raise SpecError("too-deep", f"a spec is nested deeper than {MAX_DEPTH} levels")
    _nesting.depth = depth + 1
    try:
        return schema_of(cls).model_validate(value if type(value) is dict else dict(value))
    finally:
        _nesting.depth = depth


@contextlib.contextmanager
def building() -> Iterator[None]:
    """Within it, validation runs no default factory."""
    before = getattr(_nesting, "building", False)
    _nesting.building = True
    try:
        yield
    finally:
        _nesting.building = before


def mismatch(found: type, wanted: type) -> SpecError:
    return SpecError(
        "kind-mismatch", f"a {kind_of(found)} is not a {kind_of(wanted)}", kind=kind_of(found)
    )


class _Revive:
    """Turns dicts that are specs into specs, in fields whose annotation does not say."""

    def __init__(self, is_data: bool) -> None:  # noqa: FBT001
        self.is_data = is_data  # the field is annotated as a dict: its own value is never a spec

    def __call__(self, value: Any) -> Any:
        if self.is_data and type(value) is dict and DATA not in value:
            return {k: revived(v) for k, v in value.items()}
        return revived(value)


def revived(value: Any, depth: int = 0) -> Any:
    """Gives a value with the dicts that are specs validated, and wrapped data unwrapped."""
    if depth > MAX_DEPTH:
        raise SpecError("too-deep", f"a spec is nested deeper than {MAX_DEPTH} levels")
    kind = type(value)
    if kind is list or kind is tuple:
        new = [revived(v, depth + 1) for v in value]
        return new if kind is list else tuple(new)
    if kind is not dict:
        return value
    if value.keys() == {DATA}:
        return value[DATA]
    if looks_like_spec(value):
        return nested(registry.find_kind(value["kind"]), value)
    return {k: revived(v, depth + 1) for k, v in value.items()}


def looks_like_spec(value: dict[Any, Any]) -> bool:
    """Gives whether a dict has the kind of a registered module and an id."""
    kind = value.get("kind")
    if not isinstance(kind, str) or not isinstance(value.get("id"), str):
        return False
    return bool(registry.named(kind))
