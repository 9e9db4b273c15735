"""Modules that hold modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from dachi_fast.errors import StateTypeError
from dachi_fast.module import BaseModule


class ModuleList(BaseModule):
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

    def __init__(self, items: Iterable[BaseModule] = ()) -> None:
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
    def _from_values(cls, values: dict[str, list[BaseModule]]) -> ModuleList:
        return cls(items=values.get("items", ()))

    def append(self, item: BaseModule) -> None:
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

    def __setitem__(self, index: int, item: BaseModule) -> None:
        if not isinstance(item, BaseModule):
            raise StateTypeError(
                "not-a-module", f"a ModuleList holds modules, not {type(item).__name__}"
            )
        setattr(self, self._at(index), item)

    def __getitem__(self, index: int) -> BaseModule:
        found: BaseModule = getattr(self, self._at(index))
        return found

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[BaseModule]:
        return (self[i] for i in range(self._length))

    def __repr__(self) -> str:
        return f"ModuleList({list(self)!r})"
