"""The store for event loops: each method that waits for the disk has a twin that does not.

A new method of the store gets its twin here, in one line: ``ax = off_loop(Part.x)``. One that is
generic or overloaded, or that touches live modules, is written out.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from dachi_fast._core import state as _core_state
from dachi_fast.errors import Conflict
from dachi_fast.module._shared import declaring
from dachi_fast.restore import ready_for
from dachi_fast.store._backups import Backups
from dachi_fast.store._evidence import Evidence
from dachi_fast.store._handle import Handle, Told, check_text, known, tell
from dachi_fast.store._keys import Keys
from dachi_fast.store._ledger import Ledger
from dachi_fast.store._memories import Memories
from dachi_fast.store._off_loop import off_loop, run
from dachi_fast.store._queue import BaseVersion, Queued, settle
from dachi_fast.store._records import Row, Version, version_of
from dachi_fast.store._saves import Saves
from dachi_fast.store._shared import MOST_MERGES, Merge, ModuleClass, SharedBase
from dachi_fast.store._upgrade import Upgrades
from dachi_fast.store._upkeep import Upkeep
from dachi_fast.store._versions import Versions

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from dachi_fast.migrate import MigrationReport
    from dachi_fast.module import BaseModule
    from dachi_fast.restore import Swap
    from dachi_fast.store._stats import NameStats, Stats

D = TypeVar("D")
M = TypeVar("M", bound="BaseModule")


class Async(Saves, Versions, Upkeep, Upgrades, Ledger, Evidence, Backups, Keys, Memories):
    """The store for event loops."""

    aclose = off_loop(Handle.close)
    aflush = off_loop(Queued.flush)

    ablueprint = off_loop(Versions.blueprint)
    acopy = off_loop(Versions.copy)
    adiff = off_loop(Versions.diff)
    afingerprint = off_loop(Versions.fingerprint)
    afork = off_loop(Versions.fork)
    ahistory = off_loop(Versions.history)
    anames = off_loop(Versions.names)
    astate = off_loop(Versions.state)
    atag = off_loop(Versions.tag)
    auntag = off_loop(Versions.untag)
    aversion = off_loop(Versions.version)

    acompact = off_loop(Upkeep.compact)
    aprune = off_loop(Upkeep.prune)
    aretain = off_loop(Upkeep.retain)

    aupgrade = off_loop(Upgrades.upgrade)

    averify = off_loop(Evidence.verify)

    abackup = off_loop(Backups.backup)

    acheckpoint = off_loop(Ledger.checkpoint)
    aexport = off_loop(Ledger.export)
    aledger = off_loop(Ledger.ledger)
    aprove = off_loop(Ledger.prove)
    aprove_consistency = off_loop(Ledger.prove_consistency)

    amemory = off_loop(Memories.memory)

    aforget = off_loop(Keys.forget)
    apurge = off_loop(Keys.purge)
    arewrap = off_loop(Keys.rewrap)
    arotate_now = off_loop(Keys.rotate_now)

    @overload
    async def astats(self) -> Stats: ...
    @overload
    async def astats(self, name: str) -> NameStats: ...
    async def astats(self, name: str | None = None) -> Stats | NameStats:
        """Does what `stats` does, off the event loop: arguments, result and errors alike."""
        return await (run(self.stats) if name is None else run(self.stats, name))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, raised: BaseException | None, trace: object) -> None:
        await run(self.__exit__, kind, raised, trace)

    async def asave(
        self,
        module: BaseModule,
        name: str,
        *,
        justification: str = "",
        base: BaseVersion = "auto",
        shared: Sequence[ModuleClass] = (),
    ) -> Version:
        """Does what `save` does; takes the state before its first await, the rest is off the loop.

        Returned means on disk, whatever the store's durability. A task that is cancelled does not
        take its save back: the whole of it follows or, if it fails, nothing, and the module knows
        which version it came from either way.
        """
        if shared:
            return await self._save_together(module, name, justification, base, shared)
        from asyncio import get_running_loop

        loop = get_running_loop()
        future: asyncio.Future[Row] = loop.create_future()

        def done(row: Row | None, error: Exception | None) -> None:
            # An error means that the loop was closed: nobody waits any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(deliver, row, error)

        def deliver(row: Row | None, error: Exception | None) -> None:
            if not future.done():
                settle(future, row, error)

        self._queue(module, name, justification, base, done)
        return version_of(await future)

    async def _save_together(
        self,
        module: BaseModule,
        name: str,
        justification: str,
        base: BaseVersion,
        shared: Sequence[ModuleClass],
    ) -> Version:
        mark, follows = self._wanted(module, name, justification, base)
        capture = _core_state.capture(module, copy_arrays=True)
        owners = declaring(*shared)
        parts = self._parts(owners, "auto", copied=True)
        parts.insert(0, (name, capture, follows, mark))
        try:
            rows = await run(self._saved_together, parts, owners, justification)
        except Conflict as error:
            error.context["base"] = base
            raise
        return version_of(rows[0])

    async def asave_shared(
        self,
        *classes: ModuleClass,
        justification: str = "",
        base: SharedBase = "auto",
        merge: Merge | None = None,
    ) -> dict[ModuleClass, Version]:
        """Does what `save_shared` does; takes and merges values on the loop, the rest is off it."""
        check_text(justification)
        owners = declaring(*classes)
        for left in reversed(range(MOST_MERGES)):
            parts = self._parts(owners, base, copied=True)
            try:
                rows = await run(self._saved_together, parts, owners, justification)
                break
            except Conflict as error:
                error.context["base"] = base
                if merge is None or not left:
                    raise
            self._merge(await run(self._theirs, owners), merge)
        return dict(zip(owners, map(version_of, rows), strict=True))

    async def aload_shared(
        self,
        *classes: ModuleClass,
        version: int | str | None = None,
        report: Told | None = None,
    ) -> dict[ModuleClass, Version]:
        """Does what `load_shared` does; the values change in one step, between two awaits."""
        return self._loaded(await run(self._read, declaring(*classes), version), report)

    @overload
    async def aload(
        self, name: str, *, version: int | str | None = None, report: Told | None = None
    ) -> Any: ...
    @overload
    async def aload(
        self,
        name: str,
        *,
        version: int | str | None = None,
        default: D,
        report: Told | None = None,
    ) -> Any | D: ...
    async def aload(
        self,
        name: str,
        *,
        version: int | str | None = None,
        report: Told | None = None,
        **default: Any,
    ) -> Any:
        """Does what `load` does; the module is built in another thread, which calls `report`."""
        return await run(lambda: self.load(name, version=version, report=report, **default))

    async def aload_into(
        self,
        module: M,
        name: str,
        *,
        version: int | str | None = None,
        report: Told | None = None,
    ) -> M:
        """Does what `load_into` does; the module changes in one step, between two awaits."""
        row, plan, changes = await run(self._ready_for, module, name, version)
        await run(self._note_migration, name, row[0], changes)
        self._swap(plan(), module, name, row)
        tell(name, row[0], changes, report)
        return module

    async def arollback(
        self,
        name: str,
        *,
        to: int | str,
        into: BaseModule | None = None,
        justification: str = "",
        report: Told | None = None,
    ) -> Version:
        """Does what `rollback` does; `into` changes in one step, between two awaits.

        Who gives `into` other modules meanwhile may get a StateError after the rollback: then it is
        as it was, and its next save a Conflict.
        """
        if into is None:
            return await run(self.rollback, name, to=to, justification=justification)
        check_text(justification)
        old, plan, changes = await run(self._ready_for, into, name, to)
        plan()  # what does not fit is refused before anything is written
        row = await run(self._core.rollback, name, old[0], justification)
        self._swap(plan(), into, name, row)
        await run(self._note_migration, name, row[0], changes)
        tell(name, row[0], changes, report)
        return version_of(row)

    def _ready_for(
        self, module: BaseModule, name: str, version: int | str | None
    ) -> tuple[Row, Callable[[], Swap], MigrationReport]:
        """Reads a version; gives its row, what plans the module's change, what is migrated."""
        row, loaded = self._core.load(name, known(version, name))
        return row, *ready_for(module, loaded)
