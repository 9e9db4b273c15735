"""Param, Attr and Shared, and the roles that a layout gives to the names of a class.

One class stands for two things. In a class body `Param(default=1)` is a *declaration*: the
attribute reads and writes as the raw value. On an instance `Param(data=1)` is an *item*: an object
that holds a value. `Layout` tells a walk what each declared name of a class is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from operator import attrgetter
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    Generic,
    Literal,
    Self,
    TypeVar,
    overload,
)

from dachi_fast._core.state import Layout as Layout  # noqa: PLC0414 - public here
from dachi_fast.errors import FixedError
from dachi_fast.module._conform import Check, checker
from dachi_fast.module._once import ONCE

T = TypeVar("T")

# What a declared name of a class is, for a walk. The compiled walk uses the same numbers.
PARAM: Final = 0  # raw value, declared with Param
ATTR: Final = 1  # raw value, declared with Attr
ITEM_PARAM: Final = 2  # annotated with Param[...]: the attribute holds the item
ITEM_ATTR: Final = 3
ITEM_SHARED: Final = 4
CHILD: Final = 5  # the annotation mentions a module: structure, no state key of its own
PLAIN: Final = 6  # annotated only: spec, never state (modules found in it are children)
SHARED: Final = 7  # one value per class, never state
WRAP: Final = 8  # as CHILD; bare elements of its containers become AdaptModules at each walk


class Unset:
    """The one value that means "nothing was given"."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<unset>"

    def __reduce__(self) -> str:
        return "UNSET"


UNSET: Final = Unset()


class Node:
    """The root of BaseModule: lets this layer recognise modules before they are defined."""

    __slots__ = ()


def equal(a: object, b: object) -> bool:
    """Gives whether two values are equal; arrays, also inside containers, element by element."""
    if a is b:
        return True
    if hasattr(a, "shape") or hasattr(b, "shape"):
        if getattr(a, "shape", None) != getattr(b, "shape", None):
            return False
        every = getattr(a == b, "all", None)
        return bool(every()) if every is not None else bool(a == b)
    if isinstance(a, list | tuple) and type(a) is type(b):
        other: Any = b
        return len(a) == len(other) and all(map(equal, a, other))
    if isinstance(a, dict) and type(a) is type(b):
        held: Any = b
        return a.keys() == held.keys() and all(equal(v, held[k]) for k, v in a.items())
    return bool(a == b)


def call_all(calls: Iterable[Callable[[], object]]) -> None:
    """Calls each, also after one raised; then raises the first error, which tells of the others."""
    first: Exception | None = None
    for call in calls:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - raised below
            if first is None:
                first = error
            else:
                first.add_note(f"another callback raised, too: {error!r:.200}")
    if first is not None:
        raise first


def item_bound(item: type[Item[Any]]) -> object | None:
    """Gives X for a class that derives from `Param[X]`, None where nothing is bound."""
    for cls in item.__mro__:
        for base in cls.__dict__.get("__orig_bases__", ()):
            args = getattr(base, "__args__", ())
            if args and isinstance(base.__origin__, type) and issubclass(base.__origin__, Item):
                bound = args[0]
                return None if isinstance(bound, TypeVar) else bound
    return None


class Item(Generic[T]):
    """Base of Param, Attr and Shared: an object that holds a value."""

    __slots__ = ("__weakref__", "_aliases", "_callbacks", "_data", "_default", "_factory", "_given")
    _adapts: ClassVar[bool] = False  # the blueprint of an AdaptModule is compared, not loaded

    _data: T
    _default: object
    _factory: Callable[[], object] | None
    _aliases: tuple[str, ...]
    _callbacks: tuple[Callable[[T], object], ...]
    _given: bool  # made with a value: an item, never a declaration

    def __init__(
        self,
        data: Any = UNSET,
        *,
        default: Any = UNSET,
        default_factory: Callable[[], Any] | None = None,
        aliases: tuple[str, ...] = (),
        **unknown: object,
    ) -> None:
        if unknown:
            raise TypeError(
                f"{type(self).__name__}() got an unexpected keyword argument "
                f"{next(iter(unknown))!r}; use data, default or default_factory"
            )
        if (data is not UNSET) + (default is not UNSET) + (default_factory is not None) > 1:
            raise TypeError(
                f"{type(self).__name__}() takes one of data, default and default_factory"
            )
        self._callbacks = ()
        self._aliases = tuple(aliases)
        self._default = default
        self._factory = default_factory
        self._given = data is not UNSET
        if data is UNSET:
            data = default
        if data is not UNSET:
            self._check_type(data)
            self._data = data

    _bound_check: ClassVar[Check | None] = None  # of a class that derives from `Param[X]`

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        bound = item_bound(cls)
        check = None if bound is None else checker(bound)
        cls._bound_check = None if check is None else staticmethod(check)

    def _check_type(self, value: object) -> None:
        check = type(self)._bound_check
        if check is not None and not check(value):
            bound = item_bound(type(self))
            name = getattr(bound, "__name__", bound)
            raise TypeError(
                f"{type(self).__name__} holds {name}, not {type(value).__name__}: {value!r:.80}"
            )

    def _write(self, value: T) -> None:
        self._data = value
        if self._callbacks:
            self._tell(value)

    def _tell(self, value: T) -> None:
        call_all(partial(callback, value) for callback in self._callbacks)

    if TYPE_CHECKING:

        @property
        def data(self) -> T:
            """The value; writing calls callbacks."""

        @data.setter
        def data(self, value: T) -> None: ...

    else:  # a property over a C getter: reading runs no Python code
        data = property(attrgetter("_data"), _write, doc="The value; writing calls callbacks.")

    def get(self) -> T:
        """Gives the value, as `.data` does."""
        return self.data

    def set(self, value: T) -> None:
        """Writes the value, as assigning to `.data` does.

        Raises:
            FixedError: the Param is fixed (also a RuntimeError).
        """
        self.data = value

    def dump(self) -> T:
        """Gives the value for writing elsewhere; `load` takes it back."""
        return self.data

    def load(self, value: T) -> None:
        """Puts back what `dump` gave, unchanged in type."""
        self.data = value

    def register_callback(self, callback: Callable[[T], object]) -> None:
        """Calls `callback` with each new value from now on.

        One that raises takes nothing back: the value stays written, the other callbacks are called,
        and then the write (or the load) raises its error.
        """
        with ONCE:
            self._callbacks = (*self._callbacks, callback)

    def unregister_callback(self, callback: Callable[[T], object]) -> None:
        """Ends what `register_callback` began; an unknown callback is ignored."""
        with ONCE:
            self._callbacks = tuple(c for c in self._callbacks if c != callback)

    def _restore(self, value: T) -> None:
        """Writes without callbacks and past a fix: the swap of a load."""
        self._data = value

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Item) or role_name(type(self)) != role_name(type(other)):
            return NotImplemented
        return equal(self.data, other.data)

    __hash__ = object.__hash__

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        from dachi_fast.module._copy import copied

        new = type(self).__new__(type(self))
        memo[id(self)] = new
        new._callbacks = ()
        new._aliases = self._aliases
        new._default = self._default
        new._factory = self._factory
        new._given = self._given
        if hasattr(self, "_data"):
            new._data = copied(self._data, memo)
        return new

    def __repr__(self) -> str:
        if self._given or hasattr(self, "_data"):
            return f"{type(self).__name__}(data={getattr(self, '_data', UNSET)!r})"
        return f"{type(self).__name__}()"


class Param(Item[T]):
    """A parameter: what a module is. Part of the spec and of the state.

    In a class body `x: int = Param(default=1)` declares a field; `Param()` is a required one.
    `Param(data=v)` is an item to assign to an attribute.

    Args:
        data: the value of an item.
        default: the value of a declared field when the constructor gets none; not mutable.
        default_factory: makes that value anew for each module.
        aliases: earlier names of the field, for migration.

    Raises:
        TypeError: an unknown keyword, or a value of another type than a typed subclass holds.

    Example:
        >>> from dachi_fast import BaseModule, Param
        >>> class Scaler(BaseModule):
        ...     factor: float = Param(default=2.0)
        >>> Scaler(factor=3.0).factor
        3.0
    """

    __slots__ = ("_fixed",)

    _fixed: bool

    @overload
    def __new__(cls, *, default: T, aliases: tuple[str, ...] = ()) -> T: ...  # type: ignore[misc]
    @overload
    def __new__(  # type: ignore[misc]
        cls, *, default_factory: Callable[[], T], aliases: tuple[str, ...] = ()
    ) -> T: ...
    @overload
    def __new__(cls, *, aliases: tuple[str, ...] = ()) -> Any: ...
    @overload
    def __new__(cls, data: T) -> Self: ...
    def __new__(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG004 - __init__ takes them
        new = super().__new__(cls)
        new._fixed = False
        return new

    def _write(self, value: T) -> None:
        if self._fixed:
            raise FixedError("fixed", "this Param is fixed: call unfix() before writing it")
        self._data = value
        if self._callbacks:
            self._tell(value)

    if not TYPE_CHECKING:
        data = property(attrgetter("_data"), _write, doc="The value; writing calls callbacks.")

    def fix(self) -> None:
        """Makes every later write a RuntimeError; loading a state still writes."""
        self._fixed = True

    def unfix(self) -> None:
        """Ends `fix`."""
        self._fixed = False

    @property
    def fixed(self) -> bool:
        """Whether writes are refused."""
        return self._fixed


class Attr(Item[T]):
    """Learned or running state of a module. Part of the state, never of the spec.

    Args:
        data: the value of an item.
        default: the value that a declared field starts with; not mutable.
        default_factory: makes that value anew for each module.
        aliases: earlier names of the field, for migration.

    Raises:
        TypeError: an unknown keyword.

    Example:
        >>> from dachi_fast import Attr, BaseModule
        >>> class Counter(BaseModule):
        ...     count: int = Attr(default=0)
        >>> counter = Counter()
        >>> counter.count += 1
        >>> counter.state_dict()
        {'count': 1}
    """

    __slots__ = ()

    @overload
    def __new__(  # type: ignore[misc]
        cls, *, default: T, aliases: tuple[str, ...] = (), init: Literal[False] = False
    ) -> T: ...
    @overload
    def __new__(  # type: ignore[misc]
        cls,
        *,
        default_factory: Callable[[], T],
        aliases: tuple[str, ...] = (),
        init: Literal[False] = False,
    ) -> T: ...
    @overload
    def __new__(cls, *, aliases: tuple[str, ...] = (), init: Literal[False] = False) -> Any: ...
    @overload
    def __new__(cls, data: T) -> Self: ...
    def __new__(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG004 - __init__ takes them
        return super().__new__(cls)


class Shared(Item[T]):
    """One value for all instances of the declaring class and its subclasses, per process.

    Never part of spec or state. Read it on the class or an instance; assigning through an instance
    changes it for all. `Cls.reset_shared()` goes back to the default.

    Args:
        data: the value of an item.
        default: the value that a declared field starts with; not mutable.
        default_factory: makes that value, once.
        aliases: earlier names of the field, for migration.

    Raises:
        TypeError: an unknown keyword.

    Example:
        >>> from dachi_fast import BaseModule, Shared
        >>> class Worker(BaseModule):
        ...     board: dict[str, int] = Shared(default_factory=dict)
        >>> Worker().board["jobs"] = 3
        >>> Worker().board, Worker.board
        ({'jobs': 3}, {'jobs': 3})
    """

    __slots__ = ()

    @overload
    def __new__(  # type: ignore[misc]
        cls, *, default: T, aliases: tuple[str, ...] = (), init: Literal[False] = False
    ) -> T: ...
    @overload
    def __new__(  # type: ignore[misc]
        cls,
        *,
        default_factory: Callable[[], T],
        aliases: tuple[str, ...] = (),
        init: Literal[False] = False,
    ) -> T: ...
    @overload
    def __new__(cls, data: T) -> Self: ...
    def __new__(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG004 - __init__ takes them
        return super().__new__(cls)

    def _reset(self) -> None:
        value: Any = self._factory() if self._factory is not None else self._default
        self.data = value

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        try:
            return self._data
        except AttributeError:  # the first read makes the value
            if self._factory is None:
                raise
            made: Any = self._factory()
            self._data = made
            return made

    def __set__(self, instance: object, value: T) -> None:
        self.data = value


def role_name(item: type[Item[Any]]) -> str:
    """Gives "param", "attr" or "shared" for an item class."""
    if issubclass(item, Param):
        return "param"
    return "attr" if issubclass(item, Attr) else "shared"
