"""What a class body declares, and the constructor made from it.

`declare` runs once per class definition: it takes the declarations out of the namespace, so that
instances hold plain attributes, and writes an `__init__` with a real signature, as dataclasses do.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from keyword import iskeyword
from typing import Any, get_args, get_origin

from dachi_fast.errors import DeclarationError
from dachi_fast.module._annotations import (
    Names,
    is_classvar,
    is_initvar,
    own_annotations,
    resolve,
    usable,
)
from dachi_fast.module._fields import UNSET, Item, Node, Shared, role_name

# AdaptModule puts its own test and property maker here when it is imported.
ADAPT: dict[str, Callable[..., Any]] = {}

# Attributes of every module beside its fields. CPython's tables of shared keys hold 30.
_OWN_NAMES = ("_module_id", "_module_views", "_module_args", "_module_initvars", "training")
_SHARED_KEYS = 30


class Field:
    """One declared name of a class."""

    __slots__ = (
        "aliases",
        "annotation",
        "default",
        "factory",
        "is_item",
        "item",
        "kind",
        "name",
        "owner",
        "scope",
    )

    def __init__(self, name: str, owner: type, annotation: Any, kind: str) -> None:
        self.name = name
        self.owner = owner
        self.annotation = annotation
        self.kind = kind  # "param", "attr", "shared", "plain" or "initvar"
        self.default: Any = UNSET
        self.factory: Callable[[], Any] | None = None
        self.aliases: tuple[str, ...] = ()
        self.item: type[Item[Any]] | None = None  # the item class that declared or annotates it
        self.is_item = False  # annotated with an item type: the attribute holds the item
        self.scope: dict[str, Any] = {}

    @property
    def required(self) -> bool:
        """Whether the constructor must be given a value."""
        return self.default is UNSET and self.factory is None

    @property
    def in_init(self) -> bool:
        """Whether the constructor takes it."""
        return self.kind in ("param", "plain", "initvar")

    def redefined(self, owner: type, default: Any) -> Field:
        """Gives the same field with another default, as a subclass's `name = value` asks for."""
        new = Field(self.name, owner, self.annotation, self.kind)
        new.aliases, new.item, new.is_item = self.aliases, self.item, self.is_item
        new.scope, new.default = self.scope, default
        return new

    def initial(self) -> Any:
        """Gives a fresh initial value, UNSET where there is none."""
        return self.factory() if self.factory is not None else self.default


def fields_of(cls: type) -> dict[str, Field]:
    """Gives every declared field of a module class, bases first, in declaration order."""
    found: dict[str, Field] = cls.__dict__["__module_fields__"]
    return found


def declare(cls: type, reserved: frozenset[str]) -> None:
    """Reads the declarations of a new class and gives it its constructor."""
    scope, local = _scopes(cls)
    own = _own_fields(cls, reserved, scope, local)
    merged: dict[str, Field] = {}
    for base in reversed(cls.__mro__[1:]):
        merged.update(base.__dict__.get("__own_fields__", {}))
    for name in list(cls.__dict__):
        if name in merged and name not in own and _is_default(cls.__dict__[name]):
            own[name] = merged[name].redefined(cls, cls.__dict__[name])
            _check_default(own[name])
    merged.update(own)
    for name, field in own.items():
        _place(cls, name, field)
    type.__setattr__(cls, "__own_fields__", own)
    type.__setattr__(cls, "__module_fields__", merged)
    _reserve_keys(cls, merged)
    if hasattr(cls, "_spec_values"):  # it says itself what its blueprint is
        return
    if "__init__" in cls.__dict__:
        cls.__init__ = capturing(cls, cls.__dict__["__init__"])  # type: ignore[misc]
    elif not hasattr(cls.__init__, "__captures__"):  # type: ignore[misc]
        cls.__init__ = generated_init(cls, merged)  # type: ignore[misc]


def _reserve_keys(cls: type, fields: dict[str, Field]) -> None:
    """Makes room for every attribute of ours in the key table that instances share.

    CPython stops adding keys to that table after some 30 instances; an attribute first set later
    (an id, at the first save) would give each instance a dict of its own, and slower attributes.
    """
    if hasattr(cls, "__del__") or len(fields) + len(_OWN_NAMES) > _SHARED_KEYS:
        return
    try:
        first: object = object.__new__(cls)
        for name, field in fields.items():
            if field.kind not in ("shared", "initvar"):
                held = isinstance(getattr(cls, name, None), property)
                store = f"_item_{name}" if field.is_item else f"_adapt_{name}" if held else name
                object.__setattr__(first, store, None)
        for name in _OWN_NAMES:
            object.__setattr__(first, name, None)
    except (TypeError, AttributeError):  # an abstract class, slots, a field over a property
        return


def _is_default(value: object) -> bool:
    return not (
        isinstance(value, (Item, property, classmethod, staticmethod, type))
        or callable(value)
        or hasattr(type(value), "__get__")
    )


def _scopes(cls: type) -> tuple[dict[str, Any], dict[str, Any]]:
    """Gives the globals and the locals around the class statement."""
    frame = sys._getframe(3)
    for _ in range(6):
        if frame.f_globals.get("__name__") == cls.__module__ and frame.f_code.co_name not in (
            "__init_subclass__",
            "__new__",
        ):
            return frame.f_globals, dict(frame.f_locals)
        if frame.f_back is None:
            break
        frame = frame.f_back
    module = sys.modules.get(cls.__module__)
    return (vars(module) if module is not None else {}), {}


def _own_fields(
    cls: type, reserved: frozenset[str], scope: dict[str, Any], local: dict[str, Any]
) -> dict[str, Field]:
    annotations = own_annotations(cls)
    for name, value in cls.__dict__.items():
        if isinstance(value, Item) and name not in annotations:
            raise DeclarationError(
                "unannotated",
                f"{cls.__qualname__}.{name} has no annotation: write "
                f"`{name}: <type> = {type(value).__name__}(...)`",
                path=name,
            )
    own: dict[str, Field] = {}
    early = Names({**scope, **local}, None)
    for name, annotation in annotations.items():
        if is_classvar(annotation):
            continue
        _check_name(cls, name, reserved)
        field = _field(cls, name, annotation)
        field.scope = scope
        with contextlib.suppress(NameError):  # a later definition: resolved at the first use
            field.annotation = resolve(annotation, early)
        if is_classvar(field.annotation):
            continue
        _set_item(field)
        own[name] = field
    return own


def _check_name(cls: type, name: str, reserved: frozenset[str]) -> None:
    if name in reserved:
        raise DeclarationError(
            "reserved-name",
            f"{cls.__qualname__}.{name}: {name!r} belongs to every module; choose another name",
            path=name,
        )
    if "." in name:
        raise DeclarationError(
            "dotted-name",
            f"{cls.__qualname__}: field {name!r} has a dot, which separates levels of a state",
            path=name,
        )
    if not name.isidentifier() or iskeyword(name):
        raise DeclarationError(
            "field-name", f"{cls.__qualname__}: field {name!r} is not an identifier", path=name
        )


def _field(cls: type, name: str, annotation: Any) -> Field:
    value = cls.__dict__.get(name, UNSET)
    if not isinstance(value, Item):
        field = Field(name, cls, annotation, "initvar" if is_initvar(annotation) else "plain")
        field.default = value
    else:
        field = Field(name, cls, annotation, role_name(type(value)))
        if value._given:
            raise DeclarationError(
                "item-as-default",
                f"{cls.__qualname__}.{name}: {type(value).__name__}(value) is an item; write "
                f"{type(value).__name__}(default=value) to declare a field",
                path=name,
            )
        field.default, field.factory = value._default, value._factory
        field.aliases, field.item = value._aliases, type(value)
    _check_default(field)
    return field


def _check_default(field: Field) -> None:
    default = field.default
    if type(default).__hash__ is None or isinstance(default, Node):
        raise DeclarationError(
            "mutable-default",
            f"{field.owner.__qualname__}.{field.name}: a default of type "
            f"{type(default).__name__} would be shared by all modules; write "
            f"default_factory=lambda: ...",
            path=field.name,
        )


def _set_item(field: Field) -> None:
    """Marks a field whose annotation is an item type."""
    annotation = usable(field.annotation)
    origin = get_origin(annotation) or annotation
    if isinstance(origin, type) and issubclass(origin, Item) and origin is not Item:
        kind = role_name(origin)
        if field.kind not in ("plain", "initvar", kind):
            raise DeclarationError(
                "item-kind",
                f"{field.owner.__qualname__}.{field.name} is annotated {origin.__name__} but "
                f"declared with {field.kind.capitalize()}(...)",
                path=field.name,
            )
        field.kind, field.item, field.is_item = kind, origin, True


def _place(cls: type, name: str, field: Field) -> None:
    """Takes the declaration out of the class, or puts a descriptor in its place."""
    value = cls.__dict__.get(name, UNSET)
    if field.kind == "shared":
        if not isinstance(value, Shared):
            make: Any = Shared  # its overloads say what a declaration looks like to a class body
            if field.factory is not None:
                setattr(cls, name, make(default_factory=field.factory))
            else:
                setattr(cls, name, make(default=field.default))
        return
    if field.is_item and field.item is not None:
        setattr(cls, name, _item_property(name, field.item))
        return
    bound = ADAPT["bound"](field.annotation) if ADAPT else UNSET
    if bound is not UNSET:
        setattr(cls, name, ADAPT["property"](name, bound))
    elif value is not UNSET:
        delattr(cls, name)


def _item_property(name: str, item: type[Item[Any]]) -> property:
    store = f"_item_{name}"

    def read(self: object) -> Any:
        return getattr(self, store)

    def write(self: object, value: Any) -> None:
        if isinstance(value, Item):
            setattr(self, store, value)
            return
        held = getattr(self, store, None)
        if held is None:
            setattr(self, store, item(data=value))
        else:
            held.data = value

    return property(read, write)


def generated_init(cls: type, fields: dict[str, Field]) -> Callable[..., None]:
    """Gives a keyword-only `__init__` that sets the fields in declaration order."""
    env: dict[str, Any] = {"_UNSET": UNSET}
    params: list[str] = []
    body: list[str] = []
    initvars = [f.name for f in fields.values() if f.kind == "initvar"]
    for name, field in fields.items():
        if field.kind == "shared":
            continue
        value = name
        if field.factory is not None:
            env[f"_f_{name}"] = field.factory
            value = f"_f_{name}()"
        elif field.default is not UNSET:
            env[f"_d_{name}"] = field.default
            value = f"_d_{name}"
        if not field.in_init:
            if not field.required:
                body.append(f" self.{name} = {value}")
            continue
        if field.required:
            params.append(name)
        elif field.factory is not None:
            params.append(f"{name}=_UNSET")
            value = f"_f_{name}() if {name} is _UNSET else {name}"
        else:
            params.append(f"{name}=_d_{name}")
            value = name
        wrapper = ADAPT["wrapper"](field.annotation) if ADAPT else None
        if wrapper is not None and not isinstance(cls.__dict__.get(name), property):
            env[f"_w_{name}"] = wrapper
            value = f"_w_{name}({value})"
        target = name if field.kind == "initvar" else f"self.{name}"
        if value != target:
            body.append(f" {target} = {value}")
    body.extend(_initvar_lines(cls, initvars))
    head = f"def __init__(self{', *, ' if params else ''}{', '.join(params)}):\n"
    exec(head + ("\n".join(body) or " pass"), env)  # noqa: S102 - as dataclasses do
    init: Any = env["__init__"]
    init.__only_sets_fields__ = not initvars and not hasattr(cls, "__post_init__")
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__module__ = cls.__module__
    return init  # type: ignore[no-any-return]


def _initvar_lines(cls: type, initvars: list[str]) -> Iterator[str]:
    post = getattr(cls, "__post_init__", None)
    refused = [n for n in initvars if not _accepts(post, n)]
    if refused:
        hint = f"{cls.__qualname__}.__post_init__ does not accept the InitVar {refused[0]!r}"
        yield f" raise RuntimeError({hint!r})"
        return
    if initvars:
        yield f" self._module_initvars = {{{', '.join(f'{n!r}: {n}' for n in initvars)}}}"
    if post is not None:
        yield f" self.__post_init__({', '.join(f'{n}={n}' for n in initvars)})"


def _accepts(function: Any, name: str) -> bool:
    if function is None:
        return False
    params = inspect.signature(function).parameters.values()
    return any(p.name == name or p.kind is p.VAR_KEYWORD for p in params)


def capturing(cls: type, init: Callable[..., None]) -> Callable[..., None]:
    """Gives a hand-written `__init__` that first sets defaults and notes its arguments."""
    signature: list[inspect.Signature] = []

    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        if hasattr(self, "_module_args"):  # called through super(): the outermost one captures
            init(self, *args, **kwargs)
            return
        if not signature:
            signature.append(inspect.signature(init))
        try:
            bound = signature[0].bind(self, *args, **kwargs)
        except TypeError:
            init(self, *args, **kwargs)  # raises Python's own message, which names the class
            raise
        bound.apply_defaults()
        captured = dict(bound.arguments)
        del captured[next(iter(captured))]
        self._module_args = captured
        fields = fields_of(type(self))
        for name, field in fields.items():
            if field.kind not in ("shared", "initvar") and not field.required:
                setattr(self, name, field.initial())
        init(self, *args, **kwargs)
        for name, field in fields.items():
            needed = field.required and field.in_init and field.kind != "initvar"
            if needed and not hasattr(self, name):
                raise TypeError(
                    f"{type(self).__qualname__}.__init__() left the required field {name!r} unset"
                )

    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    __init__.__captures__ = True  # type: ignore[attr-defined]
    return __init__


def initialise(self: Any, kwargs: dict[str, Any]) -> None:
    """`BaseModule.__init__` as a hand-written one calls it: sets the fields given by keyword."""
    cls = type(self)
    fields = fields_of(cls)
    for name, value in kwargs.items():
        field = fields.get(name)
        if field is None or not field.in_init:
            raise TypeError(f"{cls.__qualname__}.__init__() got an unexpected keyword {name!r}")
        if field.kind != "initvar":
            setattr(self, name, value)
    post = getattr(self, "__post_init__", None)
    if post is not None:
        post(**{n: v for n, v in kwargs.items() if fields[n].kind == "initvar"})


def type_argument(annotation: Any) -> Any:
    """Gives X of `Param[X]`, Any where nothing is said."""
    args = get_args(usable(annotation))
    return args[0] if args else Any
