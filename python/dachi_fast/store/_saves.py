"""Saving and loading agents."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeVar, overload

from dachi_fast._core import state as _core_state
from dachi_fast.errors import Conflict, UnknownName
from dachi_fast.module import BaseModule
from dachi_fast.restore import restored, restored_into
from dachi_fast.store._handle import MOST, Handle, check_text, known
from dachi_fast.store._records import Version, version_of

D = TypeVar("D")
M = TypeVar("M", bound=BaseModule)

_RAISE: Final = object()


class Saves(Handle):
    """Saving and loading agents."""

    def save(
        self,
        module: BaseModule,
        name: str,
        *,
        justification: str = "",
        base: int | Literal["auto", "latest"] = "auto",
    ) -> Version:
        """Saves an agent as the next version of a name; returned means on disk.

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

        Returns:
            The new version.

        Raises:
            StateError: a value cannot be held; its path is in ``context["path"]`` and nothing was
                written.
            Conflict: the latest version is not the base.
            StoreFull: no room; nothing acknowledged was lost.
            StoreClosed: the store was closed.

        Complexity:
            Reads and hashes the whole state once; encrypts and writes what changed.
        """
        if not isinstance(module, BaseModule):
            raise TypeError(
                f"save() takes a module (an instance of BaseModule), not {type(module).__name__}"
            )
        check_text(name, justification)
        expected = self._base(module, name) if base == "auto" else _base_number(base)
        capture = _core_state.capture(module)
        try:
            row = self._core.save(name, capture, justification, expected)
        except Conflict as error:
            error.context["base"] = base
            raise
        self._track(module, name, row[0])
        return version_of(row)

    @overload
    def load(self, name: str, *, version: int | str | None = None) -> Any: ...
    @overload
    def load(self, name: str, *, version: int | str | None = None, default: D) -> Any | D: ...
    def load(self, name: str, *, version: int | str | None = None, default: Any = _RAISE) -> Any:
        """Gives an agent as it was saved.

        Args:
            name: the name it was saved under.
            version: a version's number or tag; None for the latest.
            default: what to give when nothing was saved under the name (or number, or tag).

        Returns:
            A new module, equal in structure, ids and values.

        Raises:
            UnknownName: no such name or version, and no default.
            SpecError: its classes are not imported in this process.
            IntegrityError: what lies on disk is not what was saved (`Tampered`, `Missing`,
                `WrongContext`, `RolledBack`, `Malformed`).
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
        module = restored(loaded)
        self._track(module, name, row[0])
        return module

    def load_into(self, module: M, name: str, *, version: int | str | None = None) -> M:
        """Loads a version into an existing module, in place.

        Fields whose structure differs (other modules than the saved ones) are rebuilt.

        Args:
            module: of the saved class.
            name: the name it was saved under.
            version: a version's number or tag; None for the latest.

        Returns:
            The module.

        Raises:
            UnknownName: no such name or version.
            SpecError: the module is not of the saved class; nothing was changed.
            StateError: a value does not fit; nothing was changed.
            IntegrityError: what lies on disk is not what was saved.
            StoreClosed: the store was closed.
        """
        row, loaded = self._core.load(name, known(version, name))
        restored_into(module, loaded)
        self._track(module, name, row[0])
        return module


def _base_number(base: object) -> int | None:
    """Gives the number that a version must follow, None for whatever is the latest."""
    if base == "latest":
        return None
    if isinstance(base, int) and 0 <= base <= MOST:
        return base
    raise ValueError(f"base is a version's number, 'auto' or 'latest', not {base!r}")
