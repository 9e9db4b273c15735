"""Versions of agents: listed, compared, rolled back to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dachi_fast.restore import check_kind, restored_into
from dachi_fast.store._handle import Handle, check_text, known
from dachi_fast.store._records import ABSENT, Change, Version, version_of

if TYPE_CHECKING:
    from dachi_fast.module import BaseModule


class Versions(Handle):
    """Versions of agents: listed, compared, rolled back to."""

    def names(self) -> list[str]:
        """Gives the names that something was saved under, ascending.

        Raises:
            IntegrityError: what lies on disk is not what was saved.
            StoreClosed: the store was closed.
        """
        return self._core.names()

    def history(self, name: str, *, limit: int | None = None) -> list[Version]:
        """Gives the versions of a name, newest first.

        Args:
            name: the name.
            limit: how many at most; None for all.

        Returns:
            The versions.

        Raises:
            UnknownName: nothing was saved under the name.
            IntegrityError: what lies on disk is not what was saved.
            StoreClosed: the store was closed.
        """
        check_text(name)
        versions = [version_of(row) for row in reversed(self._core.history(name))]
        return versions if limit is None else versions[: max(limit, 0)]

    def diff(self, name: str, a: int, b: int) -> list[Change]:
        """Gives what changed from version `a` to version `b`, by path.

        Args:
            name: the name.
            a: number of the version before.
            b: number of the version after.

        Returns:
            The changes, ascending by path.

        Raises:
            UnknownName: no such name or version.
            IntegrityError: what lies on disk is not what was saved.
            StoreClosed: the store was closed.

        Complexity:
            Opens only the parts of the two trees that differ.

        Example:
            >>> from dachi_fast import Attr, BaseModule, KeyFile, Store
            >>> class Tally(BaseModule):
            ...     count: int = Attr(default=0)
            >>> tally = Tally()
            >>> with Store.open("diff.store", keys=KeyFile("diff.key")) as store:
            ...     _ = store.save(tally, "tally")
            ...     tally.count = 7
            ...     _ = store.save(tally, "tally")
            ...     store.diff("tally", 1, 2)
            [Change(path='count', before=0, after=7)]
        """
        rows = self._core.diff(name, known(a, name), known(b, name))
        return [
            Change(
                path,
                ABSENT if before is None else before[0],
                ABSENT if after is None else after[0],
            )
            for path, before, after in rows
        ]

    def rollback(
        self, name: str, *, to: int, into: BaseModule | None = None, justification: str = ""
    ) -> Version:
        """Makes an old version the latest again, as a new version; history is kept.

        Args:
            name: the name.
            to: number of the old version.
            into: a module to load the old version into.
            justification: why, for the ledger and the history.

        Returns:
            The new version, equal to the old one.

        Raises:
            UnknownName: no such name or version.
            SpecError: `into` is not of the saved class; nothing was changed.
            IntegrityError: what lies on disk is not what was saved.
            StoreClosed: the store was closed.

        Complexity:
            Independent of the size of the state, but for `into`.
        """
        check_text(justification)
        if into is None:
            return version_of(self._core.rollback(name, known(to, name), justification))
        _, loaded = self._core.load(name, known(to, name))
        check_kind(into, loaded)
        row = self._core.rollback(name, to, justification)
        restored_into(into, loaded)
        self._track(into, name, row[0])
        return version_of(row)
