"""The pydantic class of a module class's blueprints."""

from __future__ import annotations

import types
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

from pydantic import AfterValidator, BaseModel, Field, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation

from dachi_fast.module._annotations import parts, usable
from dachi_fast.module._fields import UNSET
from dachi_fast.module._layout import is_module_class
from dachi_fast.module._once import ONCE
from dachi_fast.spec._fields import SpecField, spec_fields
from dachi_fast.spec._place import ModuleSpec, Revive, leaves_defaults, no_loose_specs
from dachi_fast.spec._registry import kind_of
from dachi_fast.spec._spec import BaseSpec


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
    from dachi_fast.spec._describe import spec_value

    annotation = spec_type(field.annotation)
    if field.default is None:
        annotation = Union[annotation, None]  # noqa: UP007 - made of values
    if _may_adapt(field.annotation):
        annotation = Annotated[annotation, AfterValidator(no_loose_specs)]
    if field.untyped:
        top = get_origin(field.annotation) or field.annotation
        is_data = isinstance(top, type) and issubclass(top, Mapping)
        annotation = Annotated[annotation, AfterValidator(Revive(is_data))]
    extra: dict[str, Any] = {"alias": field.name} if inner != field.name else {}
    if field.factory is not None:
        factory = field.factory

        def default() -> Any:
            # from_spec builds from what was given: the constructor makes the rest, once.
            return None if leaves_defaults() else spec_value(factory())

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
        return _place([annotation])
    if origin is None or origin in (Literal, type):
        return annotation
    args = get_args(annotation)
    if origin is Annotated:
        return Annotated[(spec_type(args[0]), *annotation.__metadata__)]
    if isinstance(origin, type) and origin.__name__ == "Callable":
        return annotation
    if origin in (Union, types.UnionType):
        return Union[tuple(_members(args))]  # noqa: UP007 - made of values
    done = tuple(a if a is Ellipsis else spec_type(a) for a in args)
    if all(a is b for a, b in zip(args, done, strict=True)):
        return annotation
    if hasattr(annotation, "copy_with"):
        return annotation.copy_with(done)
    return types.GenericAlias(origin, done)


def _members(args: Iterable[Any]) -> Iterator[Any]:
    """Yields the members of a Union as specs; all module classes are one place, read once."""
    modules = [a for a in args if is_module_class(get_origin(usable(a)) or usable(a))]
    if modules:
        yield _place(modules)
    yield from (spec_type(a) for a in args if not any(a is m for m in modules))


def _place(annotations: list[Any]) -> Any:
    """Gives the place of a module of one of these classes."""
    wanted = dict.fromkeys(_wanted(usable(annotation)) for annotation in annotations)
    return Annotated[Any, ModuleSpec(tuple(wanted))]


def _wanted(annotation: Any) -> type:
    """Gives the module class of an annotation: T of `AdaptModule[T]`."""
    from dachi_fast.module._base import BaseModule

    cls: Any = get_origin(annotation) or annotation
    if not getattr(cls, "__adapts__", False):
        return cast("type", cls)
    args = [usable(a) for a in get_args(annotation)]
    target = args[0] if args else BaseModule
    if isinstance(target, TypeVar):
        target = target.__bound__ or BaseModule
    found = get_origin(target) or target
    return found if is_module_class(found) else BaseModule


def _may_adapt(annotation: Any) -> bool:
    """Gives whether AdaptModules may stand in a field."""
    return any(getattr(get_origin(part) or part, "__adapts__", False) for part in parts(annotation))
