"""Saving and loading agents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from dachi_fast._core import state as _core_state
from dachi_fast.errors import Conflict, UnknownName
from dachi_fast.module import BaseModule
from dachi_fast.module._shared import declaring
from dachi_fast.restore import ready_for, restored
from dachi_fast.store._handle import Told, known, tell
from dachi_fast.store._records import Version, version_of
from dachi_fast.store._shared import ModuleClass, SharedSaves

if TYPE_CHECKING:
    from dachi_fast.store._queue import BaseVersion

D = TypeVar("D")
M = TypeVar("M", bound=BaseModule)

_RAISE: Final = object()


class Saves(SharedSaves):
    """Saving and loading agents."""

    def save(
        self,
        module: BaseModule,
        name: str,
        *,
        justification: str = "",
        base: BaseVersion = "auto",
        shared: Sequence[ModuleClass] = (),
    ) -> Version:
        """Saves an agent as the next version of a name; returned means on disk.

        With ``durability="async"`` returned means queued: the state is taken, the version that is
        given waits for the disk when a field of it is read, and `flush` raises what went wrong.

        State, version record and ledger entry are one transaction. Records that have not changed
        since the version before are neither encrypted nor written again.

        Args:
            module: the root of the agent.
            name: 1 to 1,024 bytes of UTF-8.
            justification: why, for the ledger and the history; at most 16 KiB.
            base: the version that this state came from, which must still be the latest.
                ``"auto"``: the one that this very object was last saved to or loaded from in this
                process; an object that was not must have a new name. ``"latest"``: overrule
                whatever is there.
            shared: classes whose Shared values are saved in the same commit, as by `save_shared`:
                all of it is saved or nothing. It is waited for, whatever the store's durability.

        Returns:
            The new version.

        Raises:
            TypeError: `module` is no module, or a class of `shared` has no Shared values.
            ValueError: `base` is none of these.
            StoreError: `name` is none (``name``), or the reason is no text that UTF-8 can write.
            StateError: a value cannot be held, or the reason is too long; the path of a value is in
                ``context["path"]``, and nothing was written.
            Conflict: the latest version is not the base; ``context["name"]`` says of what.
            StoreFull: no room; nothing acknowledged was lost.
            StoreClosed: the store was closed.

        Complexity:
            Reads and hashes the whole state once; encrypts and writes what changed.
        """
        if self._durability == "async" and not shared:
            return self._acknowledged(module, name, justification, base)
        mark, follows = self._wanted(module, name, justification, base)
        capture = _core_state.capture(module)
        try:
            if shared:
                owners = declaring(*shared)
                parts = [(name, capture, follows, mark), *self._parts(owners, "auto")]
                row = self._saved_together(parts, owners, justification)[0]
            else:
                row = self._core.save(name, capture, justification, follows, mark)
        except Conflict as error:
            error.context["base"] = base
            raise
        return version_of(row)

    @overload
    def load(
        self, name: str, *, version: int | str | None = None, report: Told | None = None
    ) -> Any: ...
    @overload
    def load(
        self,
        name: str,
        *,
        version: int | str | None = None,
        default: D,
        report: Told | None = None,
    ) -> Any | D: ...
    def load(
        self,
        name: str,
        *,
        version: int | str | None = None,
        default: Any = _RAISE,
        report: Told | None = None,
    ) -> Any:
        """Gives an agent as it was saved, migrated where its classes have changed since.

        Args:
            name: the name it was saved under.
            version: a version's number or tag; None for the latest.
            default: what to give when nothing was saved under the name (or number, or tag).
            report: called with the `MigrationReport` if something was changed to fit the classes of
                this process. None: a `SchemaWarning` if values were left out.

        Returns:
            A new module, equal in structure, ids and values.

        Raises:
            UnknownName: no such name or version, and no default.
            SpecError: its classes are not imported in this process.
            StateError: a value is of another type than the field that it was saved from.
            MigrationError: its classes have changed, and what was saved does not fit them.
            IntegrityError: what lies on disk is not what was saved (`Tampered`, `Missing`,
                `WrongContext`, `RolledBack`, `Malformed`).
            SnapshotExpired: it took longer than ten minutes, and what it needs was deleted.
            StoreClosed: the store was closed.

        Complexity:
            Linear in the size of that version; other versions are not read.
        """
        try:
            row, loaded = self._core.load(name, known(version, name))
        except UnknownName:
            if default is _RAISE:
                raise
            return default
        module, changes = restored(loaded)
        self._note_migration(name, row[0], changes)
        self._track(module, name, row[0], row[1])
        tell(name, row[0], changes, report)
        return module

    def load_into(
        self,
        module: M,
        name: str,
        *,
        version: int | str | None = None,
        report: Told | None = None,
    ) -> M:
        """Loads a version into an existing module, in place.

        Fields whose structure differs (other modules than the saved ones) are rebuilt.

        Args:
            module: of the saved class.
            name: the name it was saved under.
            version: a version's number or tag; None for the latest.
            report: as for `load`.

        Returns:
            The module.

        Raises:
            UnknownName: no such name or version.
            SpecError: the module is not of the saved class; nothing was changed.
            StateError: a value does not fit; nothing was changed.
            MigrationError: the classes have changed, and what was saved does not fit them; nothing
                was changed.
            IntegrityError: what lies on disk is not what was saved.
            SnapshotExpired: it took longer than ten minutes, and what it needs was deleted.
            StoreClosed: the store was closed.
        """
        row, loaded = self._core.load(name, known(version, name))
        plan, changes = ready_for(module, loaded)
        swap = plan()
        self._note_migration(name, row[0], changes)
        self._swap(swap, module, name, row)
        tell(name, row[0], changes, report)
        return module
