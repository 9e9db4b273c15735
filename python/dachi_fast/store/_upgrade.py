"""Bringing what is saved to the classes of today."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dachi_fast._core import state as _core_state
from dachi_fast.errors import (
    Conflict,
    IntegrityError,
    KeyringError,
    SnapshotExpired,
    StoreError,
    UnknownName,
)
from dachi_fast.migrate._restore import is_current
from dachi_fast.restore import restored
from dachi_fast.store._handle import Handle, check_text, note_of
from dachi_fast.store._records import Version, version_of

if TYPE_CHECKING:
    from dachi_fast.migrate import MigrationReport

# How often a name is tried anew when others save it meanwhile.
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What `Store.upgrade` did with one name.

    Attributes:
        name: the name.
        number: of the version that was looked at, the newest; None if there was none any more.
        version: the new version; None if there is none, because it is not needed, failed, or was
            only tried.
        changes: what was, or would be, changed; None where nothing is to be done, or it failed.
        error: why it cannot be upgraded, if so; the name is as it was.
    """

    name: str
    number: int | None
    version: Version | None = None
    changes: MigrationReport | None = None
    error: Exception | None = None


class Upgrades(Handle):
    """Bringing what is saved to the classes of today."""

    def upgrade(
        self,
        *,
        dry_run: bool = False,
        names: Iterable[str] | None = None,
        justification: str = "",
        progress: Callable[[int, int], object] | None = None,
    ) -> list[Upgraded]:
        """Saves the newest version of every name anew, as the classes of this process have it.

        Each name is upgraded as a whole, by one commit, or not at all; one that fails, whatever its
        classes raise, stops no other, and neither does one that is forgotten meanwhile. A run that
        was interrupted is taken up by the next: names that are done need nothing. Modules that were
        loaded before are behind afterwards, so upgrade first.

        Args:
            dry_run: only say what would be done; every name is read, migrated and checked all the
                same.
            names: upgrade only these; None for all, forks among them.
            justification: why, for the ledger and the history; what was changed when empty.
            progress: called after each name with how many are done, and of how many.

        Returns:
            What was done, or would be, for each name.

        Raises:
            TypeError: `names` is one text.
            UnknownName: nothing was saved under one of `names`; nothing was done.
            StoreReadOnly: something is to be upgraded, but the store was opened to be read only.
            StoreFull: no room; the names before are upgraded.
            IntegrityError: what lies on disk is not what was saved.
            StoreClosed: the store was closed.

        Complexity:
            Reads the newest version of each name, one at a time; writes what changes.

        Example:
            >>> from dachi_fast import Attr, BaseModule, KeyFile, Store
            >>> class Tally(BaseModule):
            ...     count: int = Attr(default=0)
            >>> with Store.open("upgrade.store", keys=KeyFile("upgrade.key")) as store:
            ...     _ = store.save(Tally(), "tally")
            ...     class Tally(BaseModule):
            ...         __schema_version__ = 2
            ...         count: float = Attr(default=0.0)
            ...     [done] = store.upgrade()
            >>> done.changes.converted, done.version.number
            (('count',), 2)
        """
        check_text(justification)
        if isinstance(names, str):
            raise TypeError(f"names is a list of names: write [{names!r}]")
        wanted = self._core.names() if names is None else list(names)
        check_text(*wanted)
        for missing in set(wanted) - set(self._core.names()):
            self._core.version(missing)
        done: list[Upgraded] = []
        for name in wanted:
            done.append(self._upgraded(name, justification, dry_run=dry_run))
            if progress is not None:
                progress(len(done), len(wanted))
        return done

    def _upgraded(self, name: str, justification: str, *, dry_run: bool) -> Upgraded:
        number, attempts = None, 0
        while True:
            attempts += 1
            try:
                row, loaded = self._core.load(name)
                number = row[0]
                module, changes = restored(loaded)
                if is_current(loaded.schema) and not changes:
                    return Upgraded(name, number)
                capture = _core_state.capture(module)
                if dry_run:
                    return Upgraded(name, number, changes=changes)
                why = justification or note_of(changes)
                new = self._core.migrate(name, capture, why, number)
            except Conflict as error:  # somebody has saved meanwhile: there is a newer version
                if attempts == _ATTEMPTS:
                    return Upgraded(name, number, error=error)
            except (UnknownName, SnapshotExpired) as error:
                return Upgraded(name, number, error=error)
            except (IntegrityError, KeyringError, StoreError):
                raise  # it is the store that cannot go on, not this name
            except Exception as error:  # noqa: BLE001 - of a constructor, for instance
                return Upgraded(name, number, error=error)
            else:
                return Upgraded(name, number, version_of(new), changes)
