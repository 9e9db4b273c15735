"""Witnesses: what remembers the newest commit outside the store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dachi_fast._dirs import state_folder

if TYPE_CHECKING:
    from dachi_fast.types import Witness

Missing = Literal["warn", "refuse"]


class FileWitness:
    """Remembers the newest commit of each store in a small file of its own.

    A store that is older than its witness, or not its continuation, is refused at open, at read
    and at save: yesterday's copy put in today's place does not pass for today's. Keep the folder
    where who can replace the store cannot write, if you can.

    Args:
        folder: where the files lie, one a store, named by its id. Default: ``witness`` in the
            user's state folder (``$XDG_STATE_HOME/dachi_fast``), never beside the store.
        missing: what happens to a store with commits that has no file here, as after a move to
            another machine. ``"warn"``: a `WitnessMissing` warning and a ledger entry, and the
            file begins with what is there. ``"refuse"``: `WitnessMissing` is raised; `Store.adopt`
            is the way on.

    Example:
        >>> from dachi_fast import FileWitness
        >>> FileWitness("seen")
        FileWitness('seen')
    """

    def __init__(
        self, folder: str | os.PathLike[str] | None = None, *, missing: Missing = "warn"
    ) -> None:
        self.folder = Path(folder) if folder is not None else state_folder() / "witness"
        self.missing = checked_missing(missing)

    def __repr__(self) -> str:
        policy = "" if self.missing == "warn" else f", missing={self.missing!r}"
        return f"FileWitness({str(self.folder)!r}{policy})"


def checked_missing(missing: object) -> Missing:
    """Gives a policy for missing witnesses, if it is one."""
    if missing == "warn" or missing == "refuse":  # noqa: PLR1714 (so that mypy narrows)
        return missing
    raise ValueError(f"missing is 'warn' or 'refuse', not {missing!r}")


def core_witness(
    witness: FileWitness | Witness | Literal["default"] | None,
) -> tuple[Path | Witness | None, bool]:
    """Gives a witness as the core takes it, and whether it refuses a store it does not know."""
    given = FileWitness() if witness == "default" else witness
    if given is None:
        return None, False
    refuses = checked_missing(getattr(given, "missing", "warn")) == "refuse"
    if isinstance(given, FileWitness):
        return given.folder.absolute(), refuses
    if not (hasattr(given, "newest") and hasattr(given, "advance")):
        raise TypeError(
            "witness= takes a FileWitness, an object with newest() and advance(), 'default' or "
            f"None, not {type(given).__name__}"
        )
    return given, refuses
