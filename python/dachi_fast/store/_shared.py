"""Shared values in a store: saved when asked, alone or in one commit with an agent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from dachi_fast._core import state as _core_state
from dachi_fast.errors import Conflict, UnknownName
from dachi_fast.migrate._report import noted
from dachi_fast.migrate._shared import evolved_shared
from dachi_fast.module import BaseModule
from dachi_fast.module._shared import (
    Values,
    carrier,
    declaring,
    known_names,
    ready,
    shared_name,
    swap,
    values_of,
)
from dachi_fast.store._handle import Told, check_text, known, tell
from dachi_fast.store._queue import Queued
from dachi_fast.store._records import Row, Version, version_of

if TYPE_CHECKING:
    from dachi_fast._core.store import Mark
    from dachi_fast.migrate import MigrationReport

ModuleClass: TypeAlias = type[BaseModule]
Merge: TypeAlias = Callable[[Values, Values], Values]
SharedBase: TypeAlias = Literal["auto", "latest"]
Part: TypeAlias = "tuple[str, _core_state.Capture, Mark | int | None, Mark]"

# How often what others saved is merged in before it is left to the caller: each time somebody else
# was faster.
MOST_MERGES: Final = 16


class Found(NamedTuple):
    """What was saved of a class, as it is today."""

    cls: ModuleClass
    name: str  # that it was saved under, which may be one of the class's aliases
    version: Version
    values: Values
    changes: MigrationReport


class SharedSaves(Queued):
    """Shared values: saved when asked."""

    def save_shared(
        self,
        *classes: ModuleClass,
        justification: str = "",
        base: SharedBase = "auto",
        merge: Merge | None = None,
    ) -> dict[ModuleClass, Version]:
        """Saves the Shared values of classes, those that they inherit included, in one commit.

        Nothing else saves them but ``save(..., shared=[...])``. They belong to the class that
        declares them, and are versioned by it, under `shared_name` of that class. Returned means on
        disk, whatever the store's durability.

        Args:
            classes: classes of modules.
            justification: why, for the ledger and the history; at most 16 KiB.
            base: ``"auto"``: the latest version must still be the one that this process last saved
                or loaded; where it did neither there must be none. ``"latest"``: overrule whatever
                is there.
            merge: called instead of raising `Conflict`, for each class that others have saved
                since, with the values of this process and the saved ones, by field name. What it
                gives becomes the class's values and is saved, over those that were merged.

        Returns:
            The new versions, by the class that declares the values.

        Raises:
            TypeError: something is no class of modules, or has no Shared values.
            StateError: a value cannot be held, or a merged one does not fit its annotation.
            Conflict: the latest version is not the base, and nobody merges; or others saved again
                and again while it was merged.
            StoreFull: no room; nothing acknowledged was lost.
            StoreClosed: the store was closed.

        Complexity:
            As `save`, for the Shared values.

        Example:
            >>> from dachi_fast import BaseModule, KeyFile, Shared, Store
            >>> class Worker(BaseModule):
            ...     board: dict[str, int] = Shared(default_factory=dict)
            >>> with Store.open("shared.store", keys=KeyFile("shared.key")) as store:
            ...     Worker.board["jobs"] = 3
            ...     saved = store.save_shared(Worker, justification="first jobs")
            ...     Worker.reset_shared()
            ...     _ = store.load_shared(Worker)
            >>> saved[Worker].number, Worker.board
            (1, {'jobs': 3})
        """
        check_text(justification)
        owners = declaring(*classes)
        for left in reversed(range(MOST_MERGES)):
            try:
                rows = self._saved_together(self._parts(owners, base), owners, justification)
                break
            except Conflict as error:
                error.context["base"] = base
                if merge is None or not left:
                    raise
            self._merge(self._theirs(owners), merge)
        return dict(zip(owners, map(version_of, rows), strict=True))

    def load_shared(
        self,
        *classes: ModuleClass,
        version: int | str | None = None,
        report: Told | None = None,
    ) -> dict[ModuleClass, Version]:
        """Loads the Shared values of classes, those that they inherit included, for all instances.

        All of it is as of one commit. Where the classes have changed since, fields and classes that
        were renamed follow their aliases, values are converted without loss, and those that no
        field takes any more are left out; fields that are new keep their values. Migrations
        (`@migration`) concern modules, and do not run.

        Args:
            classes: classes of modules.
            version: number or tag, of each class that declares some; None for the latest.
            report: called with a `MigrationReport` for each class whose values were changed to fit
                it. None: a `SchemaWarning` if values were left out.

        Returns:
            The loaded versions, by the class that declares the values.

        Raises:
            TypeError: something is no class of modules, or has no Shared values.
            UnknownName: nothing was saved of a class; nothing was changed.
            StateError: a value does not fit its annotation; nothing was changed.
            MigrationError: a value of another class has changed, and does not fit it; nothing was
                changed.
            IntegrityError: what lies on disk is not what was saved.
            SnapshotExpired: it took longer than ten minutes, and what it needs was deleted.
            StoreClosed: the store was closed.

        Complexity:
            Linear in the size of the values.
        """
        found = self._read(declaring(*classes), version)
        return self._loaded(found, report)

    def _parts(
        self, owners: Sequence[ModuleClass], base: SharedBase, *, copied: bool = False
    ) -> list[Part]:
        """Takes the Shared values now."""
        if base not in {"auto", "latest"}:
            raise ValueError(f"base is 'auto' or 'latest', not {base!r}")
        parts: list[Part] = []
        for cls in owners:
            mark = self._mark(cls, shared_name(cls))
            capture = _core_state.capture(carrier(cls), copy_arrays=copied)
            parts.append((shared_name(cls), capture, mark if base == "auto" else None, mark))
        return parts

    def _saved_together(
        self, parts: list[Part], owners: Sequence[ModuleClass], justification: str
    ) -> list[Row]:
        """Commits the parts, among them those of the owners."""
        follows = {name: base for name, _, base, _ in parts}
        for cls in owners:
            if follows[shared_name(cls)] is not None:
                self._check_aliases(cls)
        return self._core.save_together(parts, justification)

    def _check_aliases(self, cls: ModuleClass) -> None:
        """Refuses to save a class for the first time where it would hide what it saved before.

        Raises:
            Conflict: something is saved under its former name that this process has not loaded.
        """
        name, *before = known_names(cls)
        if self._base(cls, name):
            return
        for alias in before:
            try:
                latest = self._core.version(alias)[0]
            except UnknownName:
                continue
            if latest != self._base(cls, alias):
                what = f"{cls.__qualname__} was saved before, as {alias!r}: load_shared() it first"
                raise Conflict("conflict", what, name=alias, latest=latest)

    def _read(self, owners: Sequence[ModuleClass], version: int | str | None = None) -> list[Found]:
        names = [known_names(cls) for cls in owners]
        for given in names:
            known(version, given[0])
        found = []
        rows = self._core.load_together(names, version)
        for cls, (name, row, loaded) in zip(owners, rows, strict=True):
            with noted() as notes:
                values = evolved_shared(cls, loaded.state(), notes)
            found.append(Found(cls, name, version_of(row), values, notes.changes()))
        for one in found:
            self._note_migration(one.name, one.version.number, one.changes)
        return found

    def _loaded(self, found: list[Found], report: Told | None = None) -> dict[ModuleClass, Version]:
        swap([place for one in found for place in ready(one.cls, one.values)])
        for cls, name, version, _, _ in found:
            if name != shared_name(cls):  # a former one: under this one nothing was saved yet
                self._track(cls, shared_name(cls), 0)
            self._track(cls, name, version.number)
        for one in found:
            tell(one.name, one.version.number, one.changes, report, level=4)
        return {one.cls: one.version for one in found}

    def _theirs(self, owners: Sequence[ModuleClass]) -> list[Found]:
        """Gives what others saved of the classes since this process knew it."""
        theirs = []
        for cls in owners:
            try:
                [latest] = self._read([cls])
            except UnknownName:  # forgotten meanwhile: there is nothing to follow any more
                self._track(cls, shared_name(cls), 0)
                continue
            if latest.version.number != self._base(cls, latest.name):
                theirs.append(latest)
        return theirs

    def _merge(self, theirs: list[Found], merge: Merge) -> None:
        self._loaded([one._replace(values=merge(values_of(one.cls), one.values)) for one in theirs])
