"""The registry: kinds of modules, named classes and functions, and types of state values."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeVar, overload
from weakref import WeakValueDictionary, ref

from dachi_fast.errors import DeclarationError, SpecError
from dachi_fast.migrate import check_steps

_LONG_KIND = 100  # characters; no class has a longer name

T = TypeVar("T")
Type = TypeVar("Type", bound=type)


class Entry(NamedTuple):
    """One registered class or function."""

    obj: Any
    type: Literal["class", "function"]
    tags: dict[str, Any]
    package: str
    description: str


class Converter(NamedTuple):
    """How a foreign type becomes a value that state can hold, and back."""

    cls: type
    name: str
    to: Callable[[Any], Any]
    back: Callable[[Any], Any]


def kind_of(cls: type) -> str:
    """Gives the short kind of a class: its qualified name after the last `<locals>.`.

    Example:
        >>> from dachi_fast import BaseModule
        >>> kind_of(BaseModule)
        'BaseModule'
    """
    return cls.__qualname__.rpartition("<locals>.")[2]


def full_kind_of(cls: type) -> str:
    """Gives the full kind of a class, `module:qualname`, which stores keep.

    Example:
        >>> from dachi_fast import BaseModule
        >>> full_kind_of(BaseModule)
        'dachi_fast.module._base:BaseModule'
    """
    return f"{cls.__module__}:{cls.__qualname__}"


def aliases_of(cls: type) -> list[str]:
    """Gives the full kinds that a class says it was known by.

    `__aliases__` lists them; one without a module is of the class's own.
    """
    listed: object = cls.__dict__.get("__aliases__", ())
    if not isinstance(listed, (tuple, list)) or not all(isinstance(a, str) for a in listed):
        raise DeclarationError(
            "aliases",
            f"{cls.__qualname__}.__aliases__ lists names, as in ('Old', 'old.module:Old'), not "
            f"{listed!r}",
        )
    around = cls.__qualname__.rpartition("<locals>.")
    here = f"{cls.__module__}:{around[0]}{around[1]}"
    return [alias if ":" in alias else here + alias for alias in listed]


def _short(kind: str) -> str:
    return kind.rpartition(":")[2].rpartition("<locals>.")[2]


def _is_local(cls: type) -> bool:
    return "<locals>" in cls.__qualname__


def _alive(entered: dict[str, Callable[[], type | None]]) -> list[type]:
    """Gives the classes that still exist; other threads may enter more meanwhile."""
    return [cls for cls in (held() for held in entered.copy().values()) if cls is not None]


class Registry:
    """Classes and functions by name, module classes by kind, value types by full name.

    `registry` is the one that every module class enters by itself; a new `Registry()` is empty.

    Example:
        >>> from dachi_fast import Registry
        >>> tools = Registry()
        >>> @tools(name="shout", tags={"use": "text"})
        ... def shout(text):
        ...     return text.upper()
        >>> tools["shout"].obj("hi")
        'HI'
    """

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        # short kind -> full kind -> the class (local classes weakly)
        self._kinds: dict[str, dict[str, Callable[[], type | None]]] = {}
        # short or full kind that classes were known by -> full kind -> the class
        self._aliases: dict[str, dict[str, Callable[[], type | None]]] = {}
        self._changes = itertools.count(1)
        self.generation = 0  # another one whenever a kind may mean another class
        self._values: WeakValueDictionary[str, type] = WeakValueDictionary()
        self._value_aliases: WeakValueDictionary[str, type] = WeakValueDictionary()
        self.converters: dict[type, Converter] = {}
        self.converters_by_name: dict[str, Converter] = {}

    # --- module kinds -------------------------------------------------------------------------

    def add_kind(self, cls: type) -> None:
        """Enters a module class under its kind; the same full kind is replaced."""
        aliases = aliases_of(cls)  # first: a class that is refused is not known
        held: Callable[[], type | None] = ref(cls) if _is_local(cls) else lambda: cls
        self._kinds.setdefault(kind_of(cls), {})[full_kind_of(cls)] = held
        for alias in aliases:
            for known_by in (alias, _short(alias)):
                self._aliases.setdefault(known_by, {})[full_kind_of(cls)] = held
        self.generation = next(self._changes)  # `+= 1` of two threads may count once

    def candidates(self, kind: str) -> list[type]:
        """Gives the module classes that a short kind may mean, oldest first."""
        entered = self._kinds.get(kind, {})
        found = _alive(entered)
        if len(found) > 1 and any(map(_is_local, found)):
            del found
            gc.collect()  # classes of functions that returned are garbage in cycles
            found = _alive(entered)
        return found

    def named(self, kind: str) -> list[type]:
        """Gives the module classes that a short or full kind may mean, without raising.

        A kind that no class has means those that have it among their `__aliases__`.
        """
        if ":" not in kind:
            found = self.candidates(kind)
        else:
            found = [cls for cls in (self._means(kind),) if cls is not None]
        return found or [
            cls
            for cls in _alive(self._aliases.get(kind, {}))
            if self._means(full_kind_of(cls)) is cls
        ]

    def _means(self, full_kind: str) -> type | None:
        """Gives the class that has this full kind now: the one defined last."""
        held = self._kinds.get(_short(full_kind), {}).get(full_kind)
        return None if held is None else held()

    def settle(self) -> None:
        """Resolves the annotations of every module class, which registers the types in them."""
        from dachi_fast.module._layout import layout_of

        for kind in list(self._kinds):
            for cls in self.candidates(kind):
                layout_of(cls)

    def find_kind(self, kind: str) -> type:
        """Gives the module class of a short or full kind.

        Args:
            kind: `Sequence`, or `module:qualname`.

        Returns:
            The class; nothing is ever imported.

        Raises:
            SpecError: the kind is unknown (near matches are named) or ambiguous (the candidates
                are listed).
        """
        found = self.named(kind)
        if len(found) == 1:
            return found[0]
        if found:
            names = sorted(full_kind_of(c) for c in found)
            raise SpecError(
                "ambiguous-kind",
                f"kind {kind!r} is ambiguous: write one of {', '.join(names)}",
                kind=kind,
                candidates=names,
            )
        raise self._unknown(kind)

    def _unknown(self, kind: str) -> SpecError:
        known = [k for k, entered in self._kinds.copy().items() if _alive(entered)]
        import difflib

        # Comparing takes as long as the texts multiplied, and this one may be anybody's.
        wanted = kind[:_LONG_KIND].rpartition(":")[2]
        near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "is its module imported?"
        said = kind if len(kind) <= _LONG_KIND else f"{kind[:_LONG_KIND]}..."
        return SpecError("unknown-kind", f"unknown kind {said!r}: {hint}", kind=kind, near=near)

    # --- value types --------------------------------------------------------------------------

    @property
    def value_types(self) -> WeakValueDictionary[str, type]:
        """The Enum, dataclass, pydantic and other types that state may hold, by full name."""
        return self._values

    def value(self, cls: Type) -> Type:
        """Registers a type of state values (an Enum, a dataclass, a pydantic model); a decorator.

        Args:
            cls: the class; it is held weakly.

        Returns:
            The class itself.

        Example:
            >>> import dataclasses
            >>> from dachi_fast import registry
            >>> @registry.value
            ... @dataclasses.dataclass
            ... class Point:
            ...     x: int
            >>> registry.value_types[f"{Point.__module__}:Point"] is Point
            True
        """
        check_steps(cls)
        aliases = aliases_of(cls)  # first: a class that is refused is not known
        self._values[full_kind_of(cls)] = cls
        for alias in aliases:
            self._value_aliases[alias] = cls
        return cls

    def converter(
        self, cls: type, name: str, *, to: Callable[[Any], Any], back: Callable[[Any], Any]
    ) -> None:
        """Registers how values of a foreign type are saved.

        Args:
            cls: the type, for instance `torch.Tensor`; subclasses need their own.
            name: what the store keeps in place of the type; choose it once and for all.
            to: gives a supported value for an object.
            back: gives the object for that value.

        Raises:
            SpecError: another type has that name.
        """
        held = self.converters_by_name.get(name)
        if held is not None and full_kind_of(held.cls) != full_kind_of(cls):
            raise SpecError(
                "converter-name", f"converter {name!r} belongs to {full_kind_of(held.cls)}"
            )
        made = Converter(cls, name, to, back)
        self.converters[cls] = made
        self.converters_by_name[name] = made

    def value_name(self, cls: type) -> str | None:
        """Gives the full name of a registered value type, None for others."""
        name = full_kind_of(cls)
        return name if self._values.get(name) is cls else None

    def value_class(self, name: str) -> type | None:
        """Gives the value type of a full name or alias, None where none is registered."""
        found = self._values.get(name)
        if found is None:
            found = self._value_aliases.get(name)
            if found is not None and self.value_name(found) is None:  # defined again since
                found = None
        return found

    def converter_for(self, cls: type) -> tuple[str, Callable[[Any], Any]] | None:
        """Gives the name and the `to` of the converter of exactly this type."""
        found = self.converters.get(cls)
        return None if found is None else (found.name, found.to)

    def converter_back(self, name: str) -> Callable[[Any], Any] | None:
        """Gives the `back` of the converter of this name."""
        found = self.converters_by_name.get(name)
        return None if found is None else found.back

    # --- named entries ------------------------------------------------------------------------

    def register(
        self,
        name: str | None = None,
        tags: dict[str, Any] | None = None,
        description: str | None = None,
    ) -> Callable[[T], T]:
        """Gives a decorator that enters a class or function; the last one of a name wins.

        Args:
            name: the key; the object's own name when None.
            tags: data to filter by.
            description: the docstring's first line when None.
        """

        def enter(obj: T) -> T:
            own: Any = obj
            doc = (own.__doc__ or "").strip().partition("\n")[0]
            self._entries[name or own.__name__] = Entry(
                obj,
                "class" if isinstance(obj, type) else "function",
                dict(tags or {}),
                own.__module__,
                doc if description is None else description,
            )
            return obj

        return enter

    __call__ = register

    def deregister(self, name: str) -> None:
        """Removes an entry, or a module kind of that name; an unknown name is ignored."""
        if self._entries.pop(name, None) is None:
            self._kinds.pop(name, None)
            self.generation = next(self._changes)

    @overload
    def __getitem__(self, key: str) -> Entry: ...
    @overload
    def __getitem__(self, key: list[str]) -> dict[str, Entry]: ...
    def __getitem__(self, key: str | list[str]) -> Entry | dict[str, Entry]:
        if not isinstance(key, str):
            return {k: self[k] for k in key}
        found = self._entries.get(key)
        if found is None:
            found = next(iter(_as_entry(c) for c in self.candidates(key)[-1:]), None)
        if found is None:
            raise KeyError(key)
        return found

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and (key in self._entries or bool(self.candidates(key)))

    def _all(self) -> dict[str, Entry]:
        kinds = {k: _as_entry(c) for k in list(self._kinds) for c in self.candidates(k)[-1:]}
        return kinds | self._entries

    def filter(
        self,
        obj_type: Literal["class", "function"] | None = None,
        tags: dict[str, Any] | None = None,
        package: str | None = None,
    ) -> dict[str, Entry]:
        """Gives the entries of a type, with all these tags, of a package."""
        return {
            name: e
            for name, e in self._all().items()
            if (obj_type is None or e.type == obj_type)
            and (package is None or e.package == package)
            and all(e.tags.get(k) == v for k, v in (tags or {}).items())
        }

    def list_entries(self) -> list[str]:
        """Gives the names of all entries."""
        return list(self._all())

    def list_types(self) -> list[str]:
        """Gives the types that occur: "class", "function"."""
        return sorted({e.type for e in self._all().values()})

    def list_packages(self) -> list[str]:
        """Gives the modules that entries come from."""
        return sorted({e.package for e in self._all().values()})

    def list_tags(self) -> list[str]:
        """Gives the names of the tags that occur."""
        return sorted({tag for e in self._all().values() for tag in e.tags})


def _as_entry(cls: type) -> Entry:
    doc = (cls.__doc__ or "").strip().partition("\n")[0]
    return Entry(cls, "class", {}, cls.__module__, doc)


registry = Registry()
