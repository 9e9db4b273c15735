"""BaseModule: what every module can do."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, cast, dataclass_transform, overload

from dachi_fast._core.state import flatten
from dachi_fast.migrate import check_steps
from dachi_fast.module import _walk
from dachi_fast.module._copy import copied
from dachi_fast.module._declare import declare, fields_of, initialise
from dachi_fast.module._fields import SHARED, UNSET, Attr, Node, Param, Shared
from dachi_fast.module._layout import layout_of
from dachi_fast.module._load import load
from dachi_fast.module._once import ONCE
from dachi_fast.module._views import fixed_names, plain_class, view
from dachi_fast.spec._registry import kind_of, registry

if TYPE_CHECKING:
    from dachi_fast.spec._evolved import Carried
    from dachi_fast.spec._limits import SpecLimits
    from dachi_fast.spec._spec import BaseSpec

Include = type | Callable[[Any], bool] | None


@dataclass_transform(kw_only_default=True, field_specifiers=(Param, Attr, Shared))
class BaseModule(Node):
    """Base of all modules: a blueprint (spec) and a memory (state) in one object.

    Fields are declared in the class body: `Param` and plain annotated names are the blueprint,
    `Param` and `Attr` the state, `Shared` is common to all instances. They read and write as plain
    attributes. The constructor takes them by keyword.

    Example:
        >>> from dachi_fast import Attr, BaseModule, Param
        >>> class Greeter(BaseModule):
        ...     greeting: str = Param(default="hello")
        ...     count: int = Attr(default=0)
        >>> greeter = Greeter(greeting="hi")
        >>> greeter.count += 1
        >>> twin = Greeter.from_spec(greeter.spec())
        >>> twin.load_state_dict(greeter.state_dict())
        >>> twin
        Greeter(greeting='hi')
        >>> twin.count
        1
    """

    training: bool = True

    if not TYPE_CHECKING:
        __module_fields__ = {}
        __own_fields__ = {}
        __layout__ = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__intercepts__" in cls.__dict__:
            return
        declare(cls, _RESERVED)
        type.__setattr__(cls, "__layout__", None)
        check_steps(cls)
        registry.add_kind(cls)

    def __init__(self, **kwargs: Any) -> None:
        initialise(self, kwargs)

    # --- identity and blueprint ---------------------------------------------------------------

    @property
    def id(self) -> str:
        """The id of this module: a random UUID, or the one its spec gave."""
        try:
            return self._module_id
        except AttributeError:
            with ONCE:
                if not hasattr(self, "_module_id"):
                    self._module_id: str = new_id()
            return self._module_id

    @overload
    def spec(self, to_dict: Literal[False] = False) -> BaseSpec: ...
    @overload
    def spec(self, to_dict: Literal[True]) -> dict[str, Any]: ...
    def spec(self, to_dict: bool = False) -> BaseSpec | dict[str, Any]:
        """Gives the blueprint of this module and its children.

        Args:
            to_dict: whether to give a plain dict in place of a pydantic object.

        Returns:
            An instance of `schema()`, or its `model_dump()`. Containers are copies.

        Raises:
            SpecError: a module contains itself.

        Example:
            >>> from dachi_fast import BaseModule, Param
            >>> class Named(BaseModule):
            ...     name: str = Param()
            >>> Named(name="a").spec().name
            'a'
        """
        from dachi_fast.spec._describe import spec_dict, spec_of

        return spec_dict(self) if to_dict else spec_of(self)

    @classmethod
    def schema(cls) -> type[BaseSpec]:
        """Gives the pydantic class of this class's specs, named `<Class>Spec`; made once.

        Example:
            >>> from dachi_fast import BaseModule
            >>> class Empty(BaseModule):
            ...     pass
            >>> Empty.schema().__name__
            'EmptySpec'
        """
        from dachi_fast.spec._schema import schema_of

        return schema_of(plain_class(cls))

    @classmethod
    def from_spec(
        cls,
        spec: BaseSpec | Mapping[str, Any],
        ctx: Mapping[str, BaseModule] | None = None,
        *,
        allow: Sequence[type | str] | None = None,
        limits: SpecLimits | None = None,
        dialect: Literal["full", "strict"] = "full",
    ) -> Self:
        """Builds a module from its blueprint, which somebody else may have written.

        Only registered kinds are built; nothing is imported, and no constructor runs before all of
        the spec was looked at.

        Args:
            spec: an instance of `schema()`, or a dict with `kind` and the fields.
            ctx: id -> module: specs with these ids give the existing modules.
            allow: the only kinds (classes or names) that may occur in the spec; all when None.
            limits: how large a dict may be; `SpecLimits()` when None.
            dialect: "strict" for a dict that follows `json_schema(..., dialect="strict")`.

        Returns:
            The module; parts of one id are one object.

        Raises:
            pydantic.ValidationError: a field is missing, unknown or of a wrong type.
            SpecError: everything else that is wrong with it: a kind that is unknown, ambiguous, not
                allowed or not one of this class; an id for two things or inside itself; a limit
                exceeded; a constructor that refused. The message and `context["path"]` say where.

        Complexity:
            O(n) in the size of the spec as it is written out.

        Example:
            >>> from dachi_fast import BaseModule, Param
            >>> class Sized(BaseModule):
            ...     size: int = Param(default=1)
            >>> Sized.from_spec({"kind": "Sized", "size": 3}).size
            3
        """
        from dachi_fast.spec._build import built

        made: Self = built(plain_class(cls), spec, ctx, allow=allow, limits=limits, dialect=dialect)
        return made

    def evolved(
        self,
        spec: BaseSpec | Mapping[str, Any],
        *,
        allow: Sequence[type | str] | None = None,
    ) -> tuple[Self, Carried]:
        """Builds a module of a new blueprint that remembers what this one does, where it fits.

        Its Params are those of the blueprint, its Attrs those of this tree: of the module of the
        same id, else of the same name and a class that is, or is derived from, the other's. Values
        are copied, and this module stays as it is.

        Args:
            spec: as in `from_spec`. Without an id of its own the new module gets this one's.
            allow: as in `from_spec`.

        Returns:
            The new module, and what became of the Attrs.

        Raises:
            pydantic.ValidationError: as `from_spec` does.
            SpecError: as `from_spec` does.

        Example:
            >>> from dachi_fast import Attr, BaseModule, Param
            >>> class Player(BaseModule):
            ...     style: str = Param(default="calm")
            ...     wins: int = Attr(default=0)
            >>> player = Player()
            >>> player.wins = 3
            >>> bold, report = player.evolved({"kind": "Player", "style": "bold"})
            >>> bold, bold.wins, report.kept
            (Player(style='bold'), 3, ['wins'])
        """
        from dachi_fast.spec._evolved import evolved

        return evolved(self, spec, allow)

    def become(self, other: Self) -> None:
        """Exchanges all that this module and another of its class hold, in one step.

        Whoever refers to this module sees the other's blueprint and state from now on; calling it
        again takes the exchange back. Ids, and the Param objects of declared fields with their
        callbacks, stay; callbacks are told of the new values. On CPython 3.11 and 3.12 attributes
        of both are slower afterwards.

        Raises:
            SpecError: the other is of another class, or they are AdaptModules; nothing is changed.
            Exception: what a callback raised, when all were told; the exchange stands.

        Example:
            >>> from dachi_fast import BaseModule, Param
            >>> class Player(BaseModule):
            ...     style: str = Param(default="calm")
            >>> player = Player()
            >>> player.become(Player(style="bold"))
            >>> player
            Player(style='bold')
        """
        from dachi_fast.spec._evolved import become

        become(self, other)

    # --- state --------------------------------------------------------------------------------

    def state_dict(
        self, recurse: bool = True, train: bool = True, runtime: bool = True
    ) -> dict[str, Any]:
        """Gives the state as a flat dict; values are live references.

        Args:
            recurse: whether to include children, as `child.key`.
            train: whether to include Params.
            runtime: whether to include Attrs.

        Returns:
            Dotted key -> value, in declaration order, parents first.

        Raises:
            StateError: a module contains itself, or a key has a dot.

        Example:
            >>> from dachi_fast import Attr, BaseModule
            >>> class Log(BaseModule):
            ...     lines: list[str] = Attr(default_factory=list)
            >>> Log().state_dict()
            {'lines': []}
        """
        return flatten(self, recurse, train, runtime)

    def state_keys(
        self, recurse: bool = True, train: bool = True, runtime: bool = True
    ) -> set[str]:
        """Gives the keys that `state_dict` with the same arguments has."""
        return set(flatten(self, recurse, train, runtime))

    def load_state_dict(
        self,
        sd: Mapping[str, Any],
        recurse: bool = True,
        train: bool = True,
        runtime: bool = True,
        strict: bool = True,
    ) -> None:
        """Loads a state: all of it, or nothing if something does not fit.

        Args:
            sd: dotted key -> value; containers are copied.
            recurse: whether children are loaded.
            train: whether Params are loaded.
            runtime: whether Attrs are loaded.
            strict: whether the keys must be exactly the expected ones; otherwise what fits is
                loaded and the rest ignored.

        Raises:
            TypeError: `sd` is not a mapping.
            StateKeyError: strict, and keys are missing or extra (also a KeyError).
            StateTypeError: a value does not fit its annotation (also a TypeError).

        Example:
            >>> from dachi_fast import Attr, BaseModule
            >>> class Tally(BaseModule):
            ...     count: int = Attr(default=0)
            >>> tally = Tally()
            >>> tally.load_state_dict({"count": 5})
            >>> tally.count
            5
        """
        load(self, sd, recurse=recurse, train=train, runtime=runtime, strict=strict)

    def snapshot(self) -> dict[str, Any]:
        """Gives a copy of the state that later changes do not touch."""
        memo: dict[int, Any] = {}
        return {key: copied(value, memo) for key, value in flatten(self).items()}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Goes back to a snapshot, which stays usable.

        Raises:
            StateError: the snapshot does not fit; nothing is changed.
        """
        load(self, snapshot)

    @classmethod
    def reset_shared(cls) -> None:
        """Puts every Shared value of this class and its bases back to its default."""
        layout = layout_of(cls)
        for name, role in zip(layout.names, layout.roles, strict=True):
            if role == SHARED:
                for base in cls.__mro__:
                    held = base.__dict__.get(name)
                    if isinstance(held, Shared):
                        held._reset()
                        break

    # --- walks --------------------------------------------------------------------------------

    def parameters(self, recurse: bool = True) -> Iterator[Param[Any]]:
        """Yields the Params of this module, then of its children, each object once.

        Args:
            recurse: whether to go into children.

        Example:
            >>> from dachi_fast import BaseModule, Param
            >>> class Pair(BaseModule):
            ...     a: int = Param(default=1)
            ...     b: int = Param(default=2)
            >>> [p.data for p in Pair().parameters()]
            [1, 2]
        """
        for _, item, _ in _walk.named_items(self, recurse=recurse, attrs=False):
            yield item

    def named_parameters(self, recurse: bool = True) -> Iterator[tuple[str, Param[Any]]]:
        """Yields `(dotted name, Param)` as `parameters` does."""
        for name, item, _ in _walk.named_items(self, recurse=recurse, attrs=False):
            yield name, item

    def named_states(self, recurse: bool = True) -> Iterator[tuple[str, Attr[Any]]]:
        """Yields `(dotted name, Attr)` of this module, then of its children."""
        for name, item, _ in _walk.named_items(self, recurse=recurse, attrs=True):
            yield name, item

    def modules(self) -> Iterator[BaseModule]:
        """Yields this module, then all below it, each once."""
        for _, module in _walk.walk(self):
            yield module

    def named_modules(self) -> Iterator[tuple[str, BaseModule]]:
        """Yields `(dotted name, module)`; this module comes first and is named ""."""
        yield from _walk.walk(self)

    def children(self) -> Iterator[BaseModule]:
        """Yields the modules directly below this one, each once."""
        seen: set[int] = set()
        for _, child in _walk.children_of(self):
            if id(child) not in seen:
                seen.add(id(child))
                yield child

    def named_children(self) -> Iterator[tuple[str, BaseModule]]:
        """Yields `(name, module)` directly below this one."""
        yield from _walk.children_of(self)

    def apply(self, fn: Callable[[Any], object], include: Include = None) -> None:
        """Calls `fn` on this module, its Params and Attrs, then on its children's.

        Args:
            fn: called with modules, Params and Attrs.
            include: None for all, a class, or a predicate.

        Example:
            >>> from dachi_fast import BaseModule, Param
            >>> class Double(BaseModule):
            ...     x: int = Param(default=2)
            >>> double = Double()
            >>> double.apply(lambda p: p.set(p.data * 2), include=Param)
            >>> double.x
            4
        """
        wanted = _predicate(include)
        for module in list(self.modules()):
            params, attrs = (_walk.items_of(module, attrs=attrs) for attrs in (False, True))
            for found in (module, *(item for _, item in (*params, *attrs))):
                if wanted(found):
                    fn(found)

    def train(self, mode: bool = True) -> Self:
        """Sets `training` on this module and all below it, and gives this module."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Clears `training`, as `train(False)`."""
        return self.train(False)

    # --- copies and text ----------------------------------------------------------------------

    def _visible_items(self, items: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        return items

    def _visible_children(
        self,
        children: list[tuple[str, BaseModule]],
        attrs: bool,  # noqa: ARG002
    ) -> list[tuple[str, BaseModule]]:
        return children

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        cls = plain_class(type(self))
        new: Any = object.__new__(cls)
        memo[id(self)] = new
        for name, value in self.__getstate__().items():
            if name not in ("_module_id", "_module_fixed"):
                object.__setattr__(new, name, copied(value, memo))
        for name in fixed_names(self):
            cast("Param[Any]", view(new, name, param=True)).fix()
        return cast("Self", new)

    def __getstate__(self) -> dict[str, Any]:
        state = {k: v for k, v in self.__dict__.copy().items() if k != "_module_views"}
        # Drawn now if nobody asked for it: each copy would draw its own.
        state["_module_id"] = self.id
        fixed = fixed_names(self)
        if fixed:
            state["_module_fixed"] = fixed
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        fixed = state.pop("_module_fixed", ())
        for name, value in state.items():
            object.__setattr__(self, name, value)
        for name in fixed:
            cast("Param[Any]", view(self, name, param=True)).fix()

    @reprlib.recursive_repr()
    def __repr__(self) -> str:
        cls = plain_class(type(self))
        shown = []
        for name, field in fields_of(cls).items():
            if field.kind in ("param", "plain"):
                value = getattr(self, name, UNSET)
                if value is not UNSET:
                    shown.append(f"{name}={value!r}")
        return f"{kind_of(cls)}({', '.join(shown)})"


def _predicate(include: Include) -> Callable[[Any], bool]:
    if include is None:
        return lambda _found: True
    if isinstance(include, type):
        return lambda found: isinstance(found, include)
    return include


def new_id() -> str:
    """Gives a random UUID (version 4) as text, without importing uuid."""
    raw = bytearray(os.urandom(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


_RESERVED = frozenset(
    {name for name in dir(BaseModule) if not name.startswith("__")}
    | {"id", "kind", "_module_id", "_module_args", "_module_initvars", "_module_views"}
)
