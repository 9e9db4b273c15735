"""What every part of a store builds on: the core's handle and the origins of live modules."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, overload

from dachi_fast.errors import StoreError, UnknownName
from dachi_fast.module import BaseModule

if TYPE_CHECKING:
    from dachi_fast._core import store as _core_store

# id of a live module -> weak reference to it, and the versions it came from by name
Bases = dict[int, tuple[weakref.ref[BaseModule], dict[str, int]]]


class Handle:
    """An open store's handle: closes it, and knows which version each live module came from."""

    def __init__(self, core: _core_store.Store, path: Path, bases: Bases | None = None) -> None:
        self._core = core
        self._path = path
        self._bases: Bases = {} if bases is None else bases

    def close(self) -> None:
        """Closes the store; closing twice is harmless."""
        self._core.close()

    @property
    def closed(self) -> bool:
        """Whether the store was closed."""
        return self._core.closed

    @property
    def path(self) -> Path:
        """The store's folder."""
        return self._path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({str(self._path)!r}{', closed' if self.closed else ''})"

    def _base(self, module: BaseModule, name: str) -> int:
        held = self._bases.get(id(module))
        return 0 if held is None or held[0]() is not module else held[1].get(name, 0)

    def _track(self, module: BaseModule, name: str, number: int) -> None:
        key = id(module)
        held = self._bases.get(key)
        if held is None or held[0]() is not module:
            bases = self._bases
            gone = weakref.ref(module, lambda _: bases.pop(key, None))
            held = self._bases[key] = (gone, {})
        held[1][name] = number


# The core counts versions in 64 bits.
MOST: Final = 2**64 - 1


def check_text(*texts: str) -> None:
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as cause:
            raise StoreError(
                "name", f"{text[:80]!r} holds half of a surrogate pair, which UTF-8 cannot write"
            ) from cause


@overload
def known(version: int | str, name: str) -> int | str: ...
@overload
def known(version: int | str | None, name: str) -> int | str | None: ...
def known(version: int | str | None, name: str) -> int | str | None:
    """Gives a number or tag that a version of the name may have."""
    check_text(name)
    if isinstance(version, str):
        check_text(version)
        return version
    if version is None or 0 <= version <= MOST:
        return version
    what = f"{name!r} has no version {version}"
    raise UnknownName("unknown-version", what, name=name, version=version)
