"""AdaptModule: a module as a parameter, which a spec can replace by another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, get_args, get_origin

from dachi_fast.errors import FixedError, SpecError, StateTypeError
from dachi_fast.module import BaseModule
from dachi_fast.module._annotations import parts, usable
from dachi_fast.module._declare import ADAPT, fields_of
from dachi_fast.module._fields import CHILD, ITEM_PARAM, UNSET, Node, Param, call_all
from dachi_fast.module._layout import annotation_of, is_module_class
from dachi_fast.module._views import plain_class
from dachi_fast.spec import from_spec, kind_of, registry

T = TypeVar("T", bound=BaseModule)

if TYPE_CHECKING:
    from typing import TypeAlias

    from dachi_fast.spec._spec import BaseSpec

    # What an AdaptModule field takes; it always holds an AdaptModule.
    Wrapped: TypeAlias = T | "AdaptModule[T]" | BaseSpec | Mapping[str, Any]


class _Blueprint(Param[dict[str, Any]]):
    """The Param of an AdaptModule: its value is the spec of the module that is held."""

    __slots__ = ("_owner",)
    _adapts: ClassVar[bool] = True
    _owner: Any  # the AdaptModule

    def _read(self) -> dict[str, Any]:
        made: dict[str, Any] = self._owner.adapted.spec(to_dict=True)
        return made

    def _write(self, value: Any) -> None:
        self._owner.update_adapted(value)

    if not TYPE_CHECKING:
        data = property(_read, _write, doc="The spec; writing it builds a new module.")

    def __repr__(self) -> str:
        return f"Param(data={self.data!r})"


class AdaptModule(BaseModule, Generic[T]):
    """A module as a parameter: its spec is a Param, and writing that Param builds another module.

    A field `root: AdaptModule[Task] = Param()` takes a bare module, a bare spec, or an AdaptModule,
    at construction and on assignment, and always holds an AdaptModule.

    Args:
        adapted: the module, or its spec.
        allowed: the kinds (classes or names) that a new spec may use; None for all registered.
        train_submods: whether `parameters()` goes into the held module.

    Raises:
        SpecError: a spec names a kind that is unknown or not allowed.
        TypeError: `adapted` is neither a module nor a spec.

    Example:
        >>> from dachi_fast import AdaptModule, BaseModule, Param
        >>> class Upper(BaseModule):
        ...     mark: str = Param(default="!")
        ...     def forward(self, text):
        ...         return text.upper() + self.mark
        >>> step = AdaptModule(Upper())
        >>> step.update_adapted({"kind": "Upper", "mark": "?"})
        >>> step("hi")
        'HI?'
    """

    __adapts__: ClassVar[bool] = True
    __roles__: ClassVar[dict[str, int]] = {"_adapted_param": ITEM_PARAM, "_adapted": CHILD}
    # The state of what is held stands under another name than its blueprint.
    __state_names__: ClassVar[dict[str, str]] = {"_adapted_param": "_adapted"}

    if TYPE_CHECKING:

        def __get__(self, instance: object, owner: type) -> AdaptModule[T]: ...
        def __set__(self, instance: object, value: Wrapped[T]) -> None: ...

    def __init__(
        self,
        adapted: Wrapped[T],
        *,
        allowed: Sequence[type | str] | None = None,
        train_submods: bool = True,
    ) -> None:
        self._adapted_param = _blueprint(self)
        self._bound_class: type = BaseModule
        self._allowed: list[type] | None = None
        self._adapted: BaseModule
        self.train_submods = train_submods
        self.allowed = allowed
        self._put_adapted(self._module_for(adapted))

    # --- what is held -------------------------------------------------------------------------

    @property
    def adapted(self) -> T:
        """The module that is held now."""
        held: Any = self._adapted
        return held  # type: ignore[no-any-return]

    @adapted.setter
    def adapted(self, value: Wrapped[T]) -> None:
        self.update_adapted(value)

    @property
    def adapted_param(self) -> Param[dict[str, Any]]:
        """The Param whose data is the spec of `adapted`, as a dict."""
        return self._adapted_param

    @property
    def allowed(self) -> list[str] | None:
        """The kinds that a new spec may use, None for every registered one."""
        return None if self._allowed is None else [kind_of(cls) for cls in self._allowed]

    @allowed.setter
    def allowed(self, value: Sequence[type | str] | None) -> None:
        """Narrows the kinds that a new spec may use; repetitions collapse."""
        if value is None:
            self._allowed = None
            return
        found = [c if isinstance(c, type) else registry.find_kind(c) for c in value]
        for cls in found:
            if not is_module_class(cls):
                raise SpecError("not-a-kind", f"{cls!r} is no module class")
        self._allowed = list(dict.fromkeys(found))

    def update_adapted(self, spec: Wrapped[T]) -> None:
        """Replaces the held module by a new one.

        Args:
            spec: a blueprint, or a module to hold.

        Raises:
            FixedError: the Param is fixed (also a RuntimeError).
            SpecError: the kind is unknown, not allowed, or not of the declared class.
        """
        if self.fixed:
            raise FixedError("fixed", "this AdaptModule is fixed: call unfix() before replacing")
        new = self._module_for(spec)
        self._put_adapted(new)
        self._swapped(new)

    def on_swap(self, new: T) -> None:
        """Is called after `adapted` was replaced; does nothing unless overridden or assigned."""

    def fix(self) -> None:
        """Takes the blueprint out of `parameters()` and refuses to replace the held module."""
        self._adapted_param.fix()

    def unfix(self) -> None:
        """Ends `fix`."""
        self._adapted_param.unfix()

    @property
    def fixed(self) -> bool:
        """Whether replacing is refused."""
        return self._adapted_param.fixed

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Calls `forward` of the held module."""
        held: Any = self._adapted
        return held.forward(*args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the held module, its `forward` where it is not callable."""
        held: Any = self._adapted
        if callable(held):
            return held(*args, **kwargs)
        return held.forward(*args, **kwargs)

    # --- for the walk, the load and the spec ----------------------------------------------------

    def _module_for(self, value: Any) -> BaseModule:
        if isinstance(value, AdaptModule):
            value = value.adapted
        if not isinstance(value, BaseModule):
            if not isinstance(value, Mapping) and not hasattr(value, "load_cls"):
                raise StateTypeError(
                    "not-a-module",
                    f"an AdaptModule holds a module or its spec, not {type(value).__name__}",
                )
            allow = None if self._allowed is None else [*self._allowed, AdaptModule]
            value = from_spec(value, allow=allow)
            if isinstance(value, AdaptModule):
                value = value.adapted
        self._check(value)
        checked: BaseModule = value
        return checked

    def _check(self, module: BaseModule) -> None:
        kind = kind_of(type(module))
        if not isinstance(module, self._bound_class):
            raise SpecError(
                "kind-mismatch", f"a {kind} is not a {kind_of(self._bound_class)}", kind=kind
            )
        if self._allowed is not None and not any(type(module) is c for c in self._allowed):
            names = ", ".join(sorted(kind_of(c) for c in self._allowed))
            raise SpecError(
                "forbidden-kind", f"kind {kind!r} is not allowed; allowed are {names}", kind=kind
            )

    def _bind(self, bound: type) -> None:
        """Holds only modules of class `bound` from now on."""
        if bound is not BaseModule:
            self._bound_class = bound
            self._check(self._adapted)

    def _put_adapted(self, new: BaseModule) -> None:
        self._adapted = new

    def _swapped(self, new: BaseModule) -> None:
        held: Any = new
        param = self._adapted_param
        calls = [partial(self.on_swap, held)]
        if param._callbacks:
            calls.append(partial(param._tell, param.data))
        call_all(calls)

    def _adapted_for(self, state: Mapping[str, Any], prefix: str) -> BaseModule | None:
        """Gives the new module that a state's blueprint asks for; None where it is the same."""
        spec = state.get(f"{prefix}_adapted_param", UNSET)
        if spec is UNSET:
            return None
        if not isinstance(spec, Mapping):
            raise StateTypeError(
                "wrong-type", f"'{prefix}_adapted_param': {type(spec).__name__} is no spec"
            )
        if _structure(spec) == _structure(self._adapted_param.data):
            return None
        return self._module_for(spec)

    def _spec_values(self) -> Iterator[tuple[str, Any]]:
        yield "_adapted_param", self._adapted
        yield "allowed", self.allowed
        yield "train_submods", self.train_submods
        yield "fixed", self.fixed

    @classmethod
    def _spec_fields(cls) -> dict[str, tuple[Any, Any]]:
        """Gives name -> (annotation, default) of the fields of the spec."""
        return {
            "_adapted_param": (BaseModule, UNSET),
            "allowed": (list[str] | None, None),
            "train_submods": (bool, True),
            "fixed": (bool, False),
        }

    @classmethod
    def _from_values(cls, values: dict[str, Any]) -> AdaptModule[Any]:
        made = cls(
            values["_adapted_param"],
            allowed=values.get("allowed"),
            train_submods=values.get("train_submods", True),
        )
        if values.get("fixed"):
            made.fix()
        return made

    def _visible_items(self, items: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        return [(n, i) for n, i in items if not (self.fixed and i is self._adapted_param)]

    def _visible_children(
        self, children: list[tuple[str, BaseModule]], attrs: bool
    ) -> list[tuple[str, BaseModule]]:
        return children if attrs or self.train_submods else []

    def __deepcopy__(self, memo: dict[int, Any]) -> AdaptModule[T]:
        new = super().__deepcopy__(memo)
        new._adapted_param = _blueprint(new)
        if self.fixed:
            new.fix()
        return new

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state["_adapted_param"] = self.fixed
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        fixed = state.pop("_adapted_param")
        super().__setstate__(state)
        self._adapted_param = _blueprint(self)
        if fixed is True:
            self.fix()

    def __repr__(self) -> str:
        return f"AdaptModule({self._adapted!r})"

    if TYPE_CHECKING:

        @classmethod
        def schema(cls, kinds: Mapping[type, Sequence[type]] | None = None) -> Any: ...  # noqa: D102

    else:

        @classmethod
        def schema(cls, kinds=None):  # noqa: ANN001, ANN206
            """Gives the pydantic class of specs, or with `kinds` a JSON schema.

            Args:
                kinds: placeholder class -> the classes that may stand where it is asked for.

            Returns:
                Without `kinds` the pydantic class; with it a JSON schema dict whose size grows with
                the number of classes, not of combinations.
            """
            if kinds is None:
                return super().schema()
            from dachi_fast.spec._json import adapt_schema

            return adapt_schema(cls, kinds)


def _blueprint(owner: AdaptModule[Any]) -> _Blueprint:
    made: _Blueprint = object.__new__(_Blueprint)
    made.__init__()  # type: ignore[misc]
    made._fixed = False
    made._owner = owner
    return made


def _structure(spec: Any) -> Any:
    """Gives a blueprint without ids and Param values: what decides whether to build anew."""
    if isinstance(spec, Mapping):
        kind = spec.get("kind")
        found = registry.named(kind) if isinstance(kind, str) else []
        cls = found[-1] if found else None
        if cls is None:
            return {k: _structure(v) for k, v in spec.items() if _holds_kind(v)}
        fields = fields_of(cls)
        values = {k for k, f in fields.items() if f.kind == "param"}
        return kind_of(cls), {
            k: _structure(v)
            for k, v in spec.items()
            if k not in ("kind", "id") and (k not in values or _holds_kind(v))
        }
    if isinstance(spec, (list, tuple)):
        return [_structure(v) for v in spec]
    return spec


def _holds_kind(value: Any) -> bool:
    if isinstance(value, Mapping):
        return isinstance(value.get("kind"), str) or any(map(_holds_kind, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_holds_kind, value))


# --- fields annotated with AdaptModule ------------------------------------------------------------


def _bound_of(annotation: Any) -> Any:
    """Gives T for `AdaptModule[T]` and `AdaptModule[T] | None`, UNSET for anything else."""
    annotation = usable(annotation)
    for part in (annotation, *get_args(annotation)):
        origin = get_origin(part) or part
        if isinstance(origin, type) and issubclass(origin, AdaptModule):
            if part is not annotation and get_origin(annotation) in (list, dict, tuple):
                return UNSET
            return _argument(part)
    return UNSET


def _argument(annotation: Any) -> type:
    args = get_args(annotation)
    found = get_origin(args[0]) or args[0] if args else BaseModule
    return found if is_module_class(found) else BaseModule


def wrap(value: Any, bound: type) -> Any:
    """Gives a value as an AdaptModule that holds only modules of class `bound`."""
    adapt = value if isinstance(value, AdaptModule) else None
    if adapt is None:
        if isinstance(value, Mapping) or hasattr(value, "load_cls"):
            value = from_spec(value)
        adapt = value if isinstance(value, AdaptModule) else AdaptModule(value)
    adapt._bind(bound)
    return adapt


def _property(name: str, bound: type) -> property:
    store = f"_adapt_{name}"

    def write(self: object, value: Any) -> None:
        setattr(self, store, None if value is None else wrap(value, bound))

    return property(attrgetter(store), write)


def wrap_field(module: BaseModule, name: str) -> None:
    """Wraps the bare modules in the containers of a field that holds AdaptModules, in place."""
    cls = plain_class(type(module))
    value = getattr(module, name)
    bound = _element_bound(annotation_of(cls, fields_of(cls)[name]))
    new = _wrapped(value, BaseModule if bound is UNSET else bound)
    if new is not value:
        object.__setattr__(module, name, new)


def _element_bound(annotation: Any) -> Any:
    """Gives T where an annotation mentions `AdaptModule[T]` anywhere, else UNSET."""
    for part in parts(annotation):
        if getattr(get_origin(part) or part, "__adapts__", False):
            return _argument(part)
    return UNSET


def _wrapper(annotation: Any) -> Callable[[Any], Any] | None:
    """Gives what wraps the elements of a field's value, None where nothing is to be wrapped."""
    bound = _element_bound(annotation)
    return None if bound is UNSET else lambda value: _wrapped(value, bound)


def _wrapped(value: Any, bound: type) -> Any:
    if isinstance(value, list):
        for index, element in enumerate(value):
            new = _element(element, bound)
            if new is not element:
                value[index] = new
    elif isinstance(value, tuple):
        done = tuple(_element(v, bound) for v in value)
        if any(a is not b for a, b in zip(done, value, strict=True)):
            return done
    elif isinstance(value, dict):
        for key, element in value.items():
            new = _element(element, bound)
            if new is not element:
                value[key] = new
    elif isinstance(value, Node):
        return value if isinstance(value, AdaptModule) else wrap(value, bound)
    return value


def _element(value: Any, bound: type) -> Any:
    is_spec = isinstance(value, Mapping) and isinstance(value.get("kind"), str)
    if is_spec or hasattr(value, "load_cls"):
        return wrap(value, bound)
    return _wrapped(value, bound)


ADAPT.update({"bound": _bound_of, "property": _property, "wrapper": _wrapper})
