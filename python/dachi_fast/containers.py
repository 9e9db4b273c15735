"""Modules that hold modules."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import TYPE_CHECKING, ClassVar, Generic, TypeAlias, overload

from dachi_fast.errors import StateTypeError, StateValueError
from dachi_fast.module import BaseModule

# With a default, `ModuleList` alone is one of any modules, also for type checkers that are strict.
if TYPE_CHECKING:
    from typing_extensions import TypeVar

    M = TypeVar("M", bound=BaseModule, default=BaseModule)
    V = TypeVar("V", default="BaseModule | Primitive")
else:
    from typing import TypeVar

    M, V = TypeVar("M", bound=BaseModule), TypeVar("V")

D = TypeVar("D")
_MISSING = object()

Primitive: TypeAlias = str | int | float | bool | None


class ModuleList(BaseModule, Generic[M]):
    """A list of modules that is a module itself: its children are named "0", "1", ...

    Args:
        items: the modules.

    Raises:
        TypeError: an item is no module.

    Example:
        >>> from dachi_fast import BaseModule, ModuleList, Param
        >>> class Step(BaseModule):
        ...     size: int = Param(default=1)
        >>> steps = ModuleList(items=[Step(), Step(size=2)])
        >>> len(steps), steps[-1].size, list(steps.state_dict())
        (2, 2, ['0.size', '1.size'])
    """

    __state_names__: ClassVar[dict[str, str]] = {"items": ""}  # children are called "0", "1", ...

    @overload
    def __init__(self) -> None: ...
    @overload
    def __init__(self, items: Iterable[M]) -> None: ...
    def __init__(self, items: Iterable[M] = ()) -> None:
        self._length = 0
        for item in items:
            self.append(item)

    def _spec_values(self) -> Iterator[tuple[str, object]]:
        yield "items", list(self)

    @classmethod
    def _spec_fields(cls) -> dict[str, tuple[object, object]]:
        """Gives name -> (annotation, default) of the fields of the spec."""
        return {"items": (list[BaseModule], ())}

    @classmethod
    def _from_values(cls, values: dict[str, list[M]]) -> ModuleList[M]:
        return cls(items=values.get("items", ()))

    def append(self, item: M) -> None:
        """Adds a module at the end.

        Raises:
            TypeError: `item` is no module.
        """
        self._length += 1
        try:
            self[self._length - 1] = item
        except TypeError:
            self._length -= 1
            raise

    def _at(self, index: int) -> str:
        place = index + self._length if index < 0 else index
        if not 0 <= place < self._length:
            raise IndexError(f"index {index} of a ModuleList of {self._length}")
        return str(place)

    def __setitem__(self, index: int, item: M) -> None:
        if not isinstance(item, BaseModule):
            raise StateTypeError(
                "not-a-module", f"a ModuleList holds modules, not {type(item).__name__}"
            )
        setattr(self, self._at(index), item)

    def __getitem__(self, index: int) -> M:
        found: M = getattr(self, self._at(index))
        return found

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[M]:
        return (self[i] for i in range(self._length))

    def __repr__(self) -> str:
        return f"ModuleList({list(self)!r})"


class ModuleDict(BaseModule, Generic[V]):
    """A dict of modules and primitives that is a module itself: its children are named by the keys.

    The primitives (texts, numbers, booleans, None) are part of the spec and never of the state.

    Args:
        items: text -> module or primitive.

    Raises:
        TypeError: a key is no text, or a value is neither a module nor a primitive.
        ValueError: a key cannot name a child: it is empty, has a dot, begins with "_" or "$", or is
            the name of something that every ModuleDict has, as "keys" is.

    Example:
        >>> from dachi_fast import BaseModule, ModuleDict, Param
        >>> class Tool(BaseModule):
        ...     cost: int = Param(default=1)
        >>> tools = ModuleDict(items={"search": Tool(), "rank": Tool(cost=2), "limit": 5})
        >>> list(tools), tools["rank"].cost, tools["limit"], tools.state_dict()
        (['search', 'rank', 'limit'], 2, 5, {'search.cost': 1, 'rank.cost': 2})
    """

    __state_names__: ClassVar[dict[str, str]] = {"items": ""}  # children are called by their keys

    @overload
    def __init__(self) -> None: ...
    @overload
    def __init__(self, items: Mapping[str, V] | Iterable[tuple[str, V]]) -> None: ...
    def __init__(self, items: Mapping[str, V] | Iterable[tuple[str, V]] = ()) -> None:
        self._keys: dict[str, None] = {}
        self.update(items)

    def _spec_values(self) -> Iterator[tuple[str, object]]:
        yield "items", dict(self.items())

    @classmethod
    def _spec_fields(cls) -> dict[str, tuple[object, object]]:
        """Gives name -> (annotation, default) of the fields of the spec."""
        return {"items": (dict[str, BaseModule | Primitive], {})}

    @classmethod
    def _from_values(cls, values: dict[str, dict[str, V]]) -> ModuleDict[V]:
        return cls(items=values.get("items", {}))

    def __setitem__(self, key: str, value: V) -> None:
        if not isinstance(key, str):
            raise StateTypeError("module-key", f"a ModuleDict has keys of text, not {key!r:.80}")
        if not isinstance(value, BaseModule | str | int | float | None):
            raise StateTypeError(
                "not-a-module",
                f"a ModuleDict holds modules and primitives, not {type(value).__name__}",
                path=key,
            )
        if key not in self._keys:
            _check_child_name(type(self), key)
            self._keys[key] = None
        setattr(self, key, value)

    def __getitem__(self, key: str) -> V:
        if key not in self._keys:
            raise KeyError(key)
        found: V = getattr(self, key)
        return found

    def __delitem__(self, key: str) -> None:
        if key not in self._keys:
            raise KeyError(key)
        del self._keys[key]
        delattr(self, key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    # No Mapping by inheritance: its equality is by value, and what is a Mapping may be a spec.

    def keys(self) -> KeysView[str]:
        """Gives a view of the keys, in the order in which they came."""
        return self._keys.keys()

    def values(self) -> ValuesView[V]:
        """Gives a view of the modules and primitives, in the order of their keys."""
        return ValuesView(self)

    def items(self) -> ItemsView[str, V]:
        """Gives a view of the pairs of key and value."""
        return ItemsView(self)

    @overload
    def get(self, key: str) -> V | None: ...
    @overload
    def get(self, key: str, default: D) -> V | D: ...
    def get(self, key: str, default: object = None) -> object:
        """Gives the value of a key, `default` where there is none."""
        return self[key] if key in self else default  # noqa: SIM401 - this is what get does

    @overload
    def pop(self, key: str) -> V: ...
    @overload
    def pop(self, key: str, default: D) -> V | D: ...
    def pop(self, key: str, default: object = _MISSING) -> object:
        """Removes a key and gives its value.

        Raises:
            KeyError: there is no such key, and no default.
        """
        if key not in self and default is not _MISSING:
            return default
        value = self[key]
        del self[key]
        return value

    def setdefault(self, key: str, default: V) -> V:
        """Gives the value of a key, which is `default` from now on where there was none."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, items: Mapping[str, V] | Iterable[tuple[str, V]]) -> None:
        """Sets several keys.

        Raises:
            TypeError: as for the constructor; the keys before it are set.
        """
        for key, value in items.items() if isinstance(items, Mapping | ModuleDict) else items:
            self[key] = value

    def clear(self) -> None:
        """Removes all keys."""
        for key in list(self):
            del self[key]

    def __repr__(self) -> str:
        return f"ModuleDict({dict(self.items())!r})"


def _check_child_name(cls: type, name: str) -> None:
    """Refuses what would hide a method, or what a walk or a spec would take for something else."""
    if not name:
        why = "it is empty"
    elif "." in name:
        why = "a dot separates the levels of a state"
    elif name.startswith(("_", "$")):
        why = f"what begins with {name[0]!r} is ours"
    elif hasattr(cls, name):
        why = "every ModuleDict has something of that name"
    else:
        return
    raise StateValueError(
        "child-name", f"{name!r} cannot be a key of a ModuleDict: {why}", path=name
    )
