"""Versions of agents: listed, compared, named, forked, copied, rolled back to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dachi_fast.restore import ready_for
from dachi_fast.store._handle import MOST, Handle, Told, check_text, known, tell
from dachi_fast.store._records import ABSENT, Change, Version, version_of

if TYPE_CHECKING:
    from dachi_fast.module import BaseModule


class Versions(Handle):
    """Versions of agents: listed, compared, named, forked, copied, rolled back to."""

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

        Complexity:
            Reads the versions it gives, and a path to them.
        """
        check_text(name)
        most = MOST if limit is None else min(max(limit, 0), MOST)
        return [version_of(row) for row in self._core.history(name, most)]

    def version(self, name: str, *, version: int | str | None = None) -> Version:
        """Gives one version, as `history` lists it.

        Args:
            name: the name.
            version: its number or tag; None for the latest.

        Raises:
            UnknownName: no such name or version.
            IntegrityError: what lies on disk is not what was saved.
            StoreClosed: the store was closed.

        Complexity:
            Independent of the number of versions.
        """
        return version_of(self._core.version(name, known(version, name)))

    def state(
        self, name: str, *, version: int | str | None = None, under: str | None = None
    ) -> dict[str, Any]:
        """Gives the values of a version by path, without making modules of them.

        Its classes need not be imported: values of classes that this process does not know are
        `Opaque`. Paths are those that were saved: only values of known classes are migrated.

        Args:
            name: the name.
            version: a version's number or tag; None for the latest.
            under: only what lies at this path and below it.

        Returns:
            Dot path -> value, ascending by path.

        Raises:
            UnknownName: no such name or version.
            IntegrityError: what lies on disk is not what was saved.
            StoreClosed: the store was closed.

        Complexity:
            Linear in the size of what it gives.

        Example:
            >>> from dachi_fast import Attr, BaseModule, KeyFile, Store
            >>> class Tally(BaseModule):
            ...     count: int = Attr(default=0)
            ...     last: str = Attr(default="never")
            >>> with Store.open("state.store", keys=KeyFile("state.key")) as store:
            ...     _ = store.save(Tally(), "tally")
            ...     store.state("tally")
            ...     store.state("tally", under="last")
            {'count': 0, 'last': 'never'}
            {'last': 'never'}
        """
        if under is not None:
            check_text(under)
        return self._core.state(name, known(version, name), under)

    def blueprint(self, name: str, *, version: int | str | None = None) -> dict[str, Any]:
        """Gives the blueprint of a version as it was saved, without making modules of it.

        Its classes need not be imported. A module is a dict of ``kind`` (``module:qualname``),
        ``id`` and its fields; one that was met before is ``{"same": id}``, and a plain dict that
        could be taken for either is ``{"$data": dict}``. Values of Params are not here: they are
        part of the state.

        Args:
            name: the name.
            version: a version's number or tag; None for the latest.

        Raises:
            UnknownName: no such name or version.
            IntegrityError: what lies on disk is not what was saved.
            StoreClosed: the store was closed.

        Example:
            >>> from dachi_fast import BaseModule, KeyFile, Store
            >>> class Listener(BaseModule):
            ...     word: str
            >>> with Store.open("blueprint.store", keys=KeyFile("blueprint.key")) as store:
            ...     _ = store.save(Listener(word="the"), "listener")
            ...     store.blueprint("listener")["word"]
            'the'
        """
        return self._core.blueprint(name, known(version, name))

    def diff(self, name: str, a: int | str, b: int | str) -> list[Change]:
        """Gives what changed from version `a` to version `b`, by path.

        Values of classes that this process does not know are `Opaque`.

        Args:
            name: the name.
            a: number or tag of the version before.
            b: number or tag of the version after.

        Returns:
            The changes, ascending by path.

        Raises:
            UnknownName: no such name or version.
            IntegrityError: what lies on disk is not what was saved.
            SnapshotExpired: it took longer than ten minutes, and what it needs was deleted.
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
        self,
        name: str,
        *,
        to: int | str,
        into: BaseModule | None = None,
        justification: str = "",
        report: Told | None = None,
    ) -> Version:
        """Makes an old version the latest again, as a new version; history is kept.

        Args:
            name: the name.
            to: number or tag of the old version.
            into: a module to load the old version into.
            justification: why, for the ledger and the history.
            report: as for `load`, of what `into` gets.

        Returns:
            The new version, equal to the old one.

        Raises:
            UnknownName: no such name or version; one that was pruned is gone for good.
            SpecError: `into` is not of the saved class; nothing was changed.
            StateError: a value does not fit `into`; nothing was changed.
            MigrationError: the classes have changed, and what was saved does not fit `into`;
                nothing was changed.
            StoreFull: no room; nothing was changed.
            IntegrityError: what lies on disk is not what was saved.
            StoreClosed: the store was closed.

        Complexity:
            Independent of the size of the state, but for `into`.
        """
        check_text(justification)
        if into is None:
            return version_of(self._core.rollback(name, known(to, name), justification))
        old, loaded = self._core.load(name, known(to, name))
        plan, changes = ready_for(into, loaded)
        swap = plan()
        row = self._core.rollback(name, old[0], justification)
        self._swap(swap, into, name, row)
        self._note_migration(name, row[0], changes)
        tell(name, row[0], changes, report)
        return version_of(row)

    def fork(
        self, name: str, to: str, *, version: int | str | None = None, justification: str = ""
    ) -> Version:
        """Makes a second agent out of a version of a first one, without copying anything.

        It is a branch of the same namespace: it has a name and versions of its own, from 1 on, but
        shares the key, so that forgetting one forgets both; `copy` makes one that stands alone.

        Args:
            name: the name to fork.
            to: the new name, which nothing was saved under yet.
            version: a version's number or tag; None for the latest.
            justification: why, for the ledger and the history.

        Returns:
            The first version of the new name, equal to the forked one.

        Raises:
            UnknownName: no such name or version.
            AlreadyExists: something was saved under the new name.
            StoreFull: no room; nothing was changed.
            IntegrityError: what lies on disk is not what was saved.
            StoreClosed: the store was closed.

        Complexity:
            Independent of the size of the state.

        Example:
            >>> from dachi_fast import Attr, BaseModule, KeyFile, Store
            >>> class Tally(BaseModule):
            ...     count: int = Attr(default=0)
            >>> with Store.open("fork.store", keys=KeyFile("fork.key")) as store:
            ...     _ = store.save(Tally(), "tally")
            ...     fork = store.fork("tally", "experiment")
            ...     trial = store.load("experiment")
            ...     trial.count = 9
            ...     _ = store.save(trial, "experiment")
            ...     store.load("tally").count
            0
            >>> fork.source
            ('tally', 1)
        """
        check_text(name, to, justification)
        return version_of(self._core.fork(name, to, known(version, name), justification))

    def copy(
        self, name: str, *, to: str, version: int | str | None = None, justification: str = ""
    ) -> Version:
        """Writes a version once more under a new name, encrypted under a key of its own.

        One version is copied, not the history: `version` chooses which. Whatever happens to the
        original later, forgetting included, does not touch the copy.

        Args:
            name: the name to copy.
            to: the new name, which nothing was saved under yet.
            version: a version's number or tag; None for the latest.
            justification: why, for the ledger and the history.

        Returns:
            The first version of the new name, equal to the copied one.

        Raises:
            UnknownName: no such name or version.
            AlreadyExists: something was saved under the new name.
            StoreFull: no room; nothing acknowledged was lost.
            IntegrityError: what lies on disk is not what was saved.
            SnapshotExpired: it took longer than ten minutes, and what it needs was deleted.
            StoreClosed: the store was closed.

        Complexity:
            Linear in the size of the version, which is held in memory meanwhile.
        """
        check_text(name, to, justification)
        return version_of(self._core.copy(name, to, known(version, name), justification))

    def tag(self, name: str, *, version: int | str | None = None, tag: str) -> Version:
        """Gives a version a tag, by which `load`, `diff`, `rollback` and `fork` find it.

        A tagged version is never pruned. A tag belongs to one version of one name; among forks of
        one agent it exists once. To move one, `untag` it first.

        Args:
            name: the name.
            version: a version's number or another tag; None for the latest.
            tag: 1 to 255 bytes of UTF-8 that are not a number and hold no zero character.

        Returns:
            The version with its tags.

        Raises:
            UnknownName: no such name or version.
            AlreadyExists: the tag is on a version already; ``context["version"]`` says which.
            StoreError: not a tag (``name``).
            StoreFull: no room; nothing was changed.
            IntegrityError: what lies on disk is not what was saved.
            StoreClosed: the store was closed.

        Example:
            >>> from dachi_fast import Attr, BaseModule, KeyFile, Store
            >>> class Tally(BaseModule):
            ...     count: int = Attr(default=0)
            >>> with Store.open("tag.store", keys=KeyFile("tag.key")) as store:
            ...     _ = store.save(Tally(), "tally")
            ...     _ = store.tag("tally", tag="before the trial")
            ...     store.load("tally", version="before the trial").count
            0
        """
        check_text(name, tag)
        return version_of(self._core.tag(name, known(version, name), tag))

    def untag(self, name: str, *, tag: str) -> Version:
        """Takes a tag off its version, which from then on may be pruned.

        Args:
            name: the name.
            tag: the tag.

        Returns:
            The version with the tags that it still has.

        Raises:
            UnknownName: no such name or tag.
            StoreFull: no room; nothing was changed.
            IntegrityError: what lies on disk is not what was saved.
            StoreClosed: the store was closed.
        """
        check_text(name, tag)
        return version_of(self._core.untag(name, tag))

    def fingerprint(self, name: str, *, version: int | str | None = None) -> str:
        """Gives 64 hex digits that are equal for equal content.

        Content is the blueprint with the modules' ids, and the state with its paths. How it came
        about does not matter: the same content saved in other steps, under another name or in
        another store has the same fingerprint. Different content has a different one.

        Args:
            name: the name.
            version: a version's number or tag; None for the latest.

        Raises:
            UnknownName: no such name or version.
            IntegrityError: what lies on disk is not what was saved.
            StoreClosed: the store was closed.

        Complexity:
            Independent of the size of the state.
        """
        return self._core.fingerprint(name, known(version, name))
