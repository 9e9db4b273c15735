"""What a load has changed, collected while it goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, NamedTuple


class Migrated(NamedTuple):
    """A class whose schema version is another than when it was saved.

    Attributes:
        kind: `module:qualname` of the class that declares the version.
        before: the version of what was saved.
        after: the version in this process.
    """

    kind: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What a load changed, because classes are others than when the version was saved.

    Fields are dot paths; those of values that are no modules are `module:Class.field`. False when
    nothing was changed.

    Attributes:
        migrated: classes of another schema version.
        renamed: pairs of what a field or class was called and what it is called.
        dropped: fields that no class has any more.
        defaulted: new fields, which took their defaults.
        converted: fields whose type has changed and whose values were converted without loss.
    """

    migrated: tuple[Migrated, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()
    defaulted: tuple[str, ...] = ()
    converted: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any((self.migrated, self.renamed, self.dropped, self.defaulted, self.converted))

    def __str__(self) -> str:
        said = [f"{kind} {before} -> {after}" for kind, before, after in self.migrated]
        for what in ("renamed", "dropped", "defaulted", "converted"):
            count = len(getattr(self, what))
            said += [f"{count} {what}"] * bool(count)
        return ", ".join(said) or "nothing"


class Notes:
    """An `MigrationReport` in the making; what is noted twice counts once."""

    def __init__(self) -> None:
        # Dicts for their order.
        self.migrated: Final[dict[Migrated, None]] = {}
        self.renamed: Final[dict[tuple[str, str], None]] = {}
        self.dropped: Final[dict[str, None]] = {}
        self.defaulted: Final[dict[str, None]] = {}
        self.converted: Final[dict[str, None]] = {}

    def add_below(self, kind: str, inner: Notes) -> None:
        """Takes over what was noted of a module that is a value somewhere."""

        def below(path: str) -> str:
            return path if ":" in path else f"{kind}.{path}"

        self.migrated.update(inner.migrated)
        self.renamed.update({(below(a), below(b)): None for a, b in inner.renamed})
        self.dropped.update({below(path): None for path in inner.dropped})
        self.defaulted.update({below(path): None for path in inner.defaulted})
        self.converted.update({below(path): None for path in inner.converted})

    def changes(self) -> MigrationReport:
        """Gives what was noted."""
        return MigrationReport(
            tuple(self.migrated),
            tuple(self.renamed),
            tuple(self.dropped),
            tuple(self.defaulted),
            tuple(self.converted),
        )


# Values are put together deep inside the core, which knows nothing of notes.
_notes: ContextVar[Notes | None] = ContextVar("dachi_fast notes", default=None)


def notes() -> Notes:
    """Gives the notes of the load that goes on here; some that nobody reads where none does."""
    return _notes.get() or Notes()


@contextlib.contextmanager
def noted() -> Iterator[Notes]:
    """Collects what the block changes."""
    made = Notes()
    token = _notes.set(made)
    try:
        yield made
    finally:
        _notes.reset(token)
