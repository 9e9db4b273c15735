"""Shared values in a store: saved when asked, alone or in one commit with an agent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from dachi_fast._core import state as _core_state
from dachi_fast.errors import Conflict, UnknownName
from dachi_fast.module import BaseModule
from dachi_fast.module._shared import (
    Values,
    carrier,
    declaring,
    ready,
    shared_name,
    swap,
    values_of,
)
from dachi_fast.store._handle import check_text, known
from dachi_fast.store._queue import Queued
from dachi_fast.store._records import Version, version_of

if TYPE_CHECKING:
    from dachi_fast._core.store import Mark

ModuleClass: TypeAlias = type[BaseModule]
Merge: TypeAlias = Callable[[Values, Values], Values]
SharedBase: TypeAlias = Literal["auto", "latest"]
Part: TypeAlias = "tuple[str, _core_state.Capture, Mark | int | None, Mark]"

# How often what others saved is merged in before it is left to the caller: each time somebody else
# was faster.
MOST_MERGES: Final = 16


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
                rows = self._core.save_together(self._parts(owners, base), justification)
                break
            except Conflict as error:
                error.context["base"] = base
                if merge is None or not left:
                    raise
            self._merge(self._theirs(owners), merge)
        return dict(zip(owners, map(version_of, rows), strict=True))

    def load_shared(
        self, *classes: ModuleClass, version: int | str | None = None
    ) -> dict[ModuleClass, Version]:
        """Loads the Shared values of classes, those that they inherit included, for all instances.

        Fields that the classes have got since keep their values.

        Args:
            classes: classes of modules.
            version: number or tag, of each class that declares some; None for the latest.

        Returns:
            The loaded versions, by the class that declares the values.

        Raises:
            TypeError: something is no class of modules, or has no Shared values.
            UnknownName: nothing was saved of a class; nothing was changed.
            StateError: a value does not fit its annotation, or has no field any more; nothing was
                changed.
            IntegrityError: what lies on disk is not what was saved.
            StoreClosed: the store was closed.

        Complexity:
            Linear in the size of the values.
        """
        return self._loaded(self._read(declaring(*classes), version))

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

    def _read(
        self, owners: Sequence[ModuleClass], version: int | str | None = None
    ) -> list[tuple[ModuleClass, Version, Values]]:
        found = []
        for cls in owners:
            name = shared_name(cls)
            row, loaded = self._core.load(name, known(version, name))
            found.append((cls, version_of(row), loaded.state()))
        return found

    def _loaded(
        self, found: list[tuple[ModuleClass, Version, Values]]
    ) -> dict[ModuleClass, Version]:
        swap([place for cls, _, values in found for place in ready(cls, values)])
        for cls, version, _ in found:
            self._track(cls, shared_name(cls), version.number)
        return {cls: version for cls, version, _ in found}

    def _theirs(self, owners: Sequence[ModuleClass]) -> list[tuple[ModuleClass, Version, Values]]:
        """Gives what others saved of the classes since this process knew it."""
        theirs = []
        for cls in owners:
            try:
                [latest] = self._read([cls])
            except UnknownName:  # forgotten meanwhile: there is nothing to follow any more
                self._track(cls, shared_name(cls), 0)
                continue
            if latest[1].number != self._base(cls, shared_name(cls)):
                theirs.append(latest)
        return theirs

    def _merge(self, theirs: list[tuple[ModuleClass, Version, Values]], merge: Merge) -> None:
        self._loaded(
            [(cls, version, merge(values_of(cls), values)) for cls, version, values in theirs]
        )
