"""What every part of a store builds on: the core's handle and the origins of live modules."""

from __future__ import annotations

import os
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias, overload

from dachi_fast._core import store as _core_store
from dachi_fast.errors import DachiError, SchemaWarning, StoreError, UnknownName
from dachi_fast.migrate import MigrationReport
from dachi_fast.module import BaseModule
from dachi_fast.store._pending import Failures

if TYPE_CHECKING:
    from concurrent.futures import Future

    from dachi_fast.restore import Swap
    from dachi_fast.store._records import Row

# What has versions: a module, or a class with its Shared values.
Live: TypeAlias = BaseModule | type[BaseModule]
# id of what lives -> weak reference to it, and the versions it came from by name
Bases = dict[int, tuple[weakref.ref[Live], dict[str, _core_store.Mark]]]


# What is called with what a load changed to fit today's classes.
Told: TypeAlias = Callable[[MigrationReport], object]

Durability: TypeAlias = Literal["sync", "async"]


class Handle:
    """An open store's handle: closes it, and knows which version each live module came from."""

    def __init__(
        self,
        core: _core_store.Store,
        path: Path,
        bases: Bases | None = None,
        seen: Path | None = None,
        *,
        durability: Durability = "sync",
    ) -> None:
        self._core = core
        self._path = path
        self._seen = seen  # the witness's folder
        self._read_only = core.read_only
        self._bases: Bases = {} if bases is None else bases
        self._durability: Final = durability
        self._failures: Final = Failures()
        # What other parts of the package commit in threads of their own.
        self._underway: Final[set[Future[Any]]] = set()
        _open[id(self)] = weakref.ref(self, _forgotten(id(self)))

    def close(self) -> None:
        """Closes the store when what is queued is on disk; closing twice is harmless.

        Reads that are not in the ledger yet are written first, and a signed checkpoint is put
        beside the witness. The store is closed whatever is raised. On a full disk the reads are
        lost, which is a warning (`ReadsLost`). Ctrl-C ends the waiting: what is queued is saved all
        the same, but such reads are not written.

        Raises:
            StoreError: the reads could not be written for another reason.
            KeyringError: nor because another process moved the store to another key provider.
            IntegrityError: the store was replaced while it was open.
            DachiError: what a queued save raised since the last `flush`; the store is closed.
            ExceptionGroup: several did; the store is closed.
        """
        if self.closed:
            return
        wait = True
        try:
            self._finish()
        except KeyboardInterrupt:
            wait = False  # it was what ended the waiting for what is queued
            raise
        finally:
            self._core.close(wait=wait)
        self._failures.tell()

    def _finish(self) -> None:
        """What is left to do before the store is let go of."""
        self._wait_for_underway()
        self._core.finish()

    def _await_at_close(self, future: Future[Any]) -> None:
        """Lets `flush` and `close` wait for what another part of the package commits."""
        self._underway.add(future)
        future.add_done_callback(self._underway.discard)

    def _wait_for_underway(self) -> None:
        while self._underway:
            for future in tuple(self._underway):
                future.exception()  # whoever asked for it hears of errors

    @property
    def closed(self) -> bool:
        """Whether the store was closed."""
        return self._core.closed

    @property
    def read_only(self) -> bool:
        """Whether the store was opened to be read only."""
        return self._read_only

    @property
    def path(self) -> Path:
        """The store's folder."""
        return self._path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, raised: BaseException | None, __: object) -> None:
        try:
            self.close()
        except (DachiError, ExceptionGroup) as error:
            if raised is None:
                raise
            # What went wrong inside says more than what then cannot be finished.
            raised.add_note(f"closing the store failed, too: {error!r}")

    def __deepcopy__(self, _: object) -> Self:
        return self  # copies of an agent that knows its store share it

    def __repr__(self) -> str:
        how = ", closed" if self.closed else ", read-only" if self.read_only else ""
        return f"Store({str(self._path)!r}{how})"

    def _note_migration(self, name: str, number: int, changes: MigrationReport) -> None:
        """Puts into the ledger that a version was migrated when it was read."""
        if changes:
            self._core.note_migration(name, number, note_of(changes))

    def _swap(self, swap: Swap, module: BaseModule, name: str, row: Row) -> None:
        """Changes a module to what a version is; callbacks that raise find it changed and known."""
        swap.write()
        self._track(module, name, row[0], row[1])
        swap.tell()

    def _base(self, live: Live, name: str) -> int:
        return self._mark(live, name).number

    def _track(self, live: Live, name: str, number: int, created_ns: int = 0) -> None:
        """Notes where what lives came from; 0 ns where its name cannot be forgotten."""
        self._mark(live, name).set(number, created_ns)

    def _mark(self, live: Live, name: str) -> _core_store.Mark:
        """Gives what the core sets as soon as a save of the module or class is on disk."""
        # Each step is one of the interpreter's: of threads that come at once, all get one mark.
        key, bases = id(live), self._bases
        held = bases.get(key)
        if held is None:
            gone = weakref.ref(live, lambda _: bases.pop(key, None))
            held = bases.setdefault(key, (gone, {}))
        return held[1].setdefault(name, _core_store.Mark())


# A fork waits for the threads that save, or what they hold could never be let go of in the child.
# No WeakSet: it cannot be gone through while other threads add to it.
_open: Final[dict[int, weakref.ref[Handle]]] = {}


def _forgotten(key: int) -> Callable[[weakref.ref[Handle]], object]:
    return lambda _: _open.pop(key, None)


def _rest() -> None:
    errors = []
    for held in list(_open.values()):
        handle = held()
        if handle is None:
            continue
        try:
            handle._wait_for_underway()
            handle._core.rest()
        except Exception as error:  # noqa: BLE001 - the others must come to rest all the same
            errors.append(error)
    if errors:
        raise ExceptionGroup("stores did not come to rest before a fork", errors)


os.register_at_fork(before=_rest)


def note_of(changes: MigrationReport) -> str:
    """Gives what the ledger says of a migration."""
    return str(changes)[:_LONGEST_NOTE]


def tell(
    name: str, number: int, changes: MigrationReport, report: Told | None, *, level: int = 3
) -> None:
    """Tells whoever loads, so many frames up, what was changed to fit today's classes."""
    if changes and report is not None:
        report(changes)
    elif changes.dropped:
        what = ", ".join(map(repr, changes.dropped[:5]))
        more = f" and {len(changes.dropped) - 5} more" if len(changes.dropped) > 5 else ""
        warnings.warn(
            SchemaWarning(
                "fields-dropped",
                f"version {number} of {name!r} has {what}{more}, which no class here has any more: "
                f"the next save leaves them out. Load with report= to be told instead",
                name=name,
                version=number,
                dropped=changes.dropped,
            ),
            stacklevel=level,
        )


# An entry of the ledger holds 16 KiB; a character takes up to four bytes.
_LONGEST_NOTE: Final = 2000

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
