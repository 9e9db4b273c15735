"""Witnesses: what remembers the newest commit outside the store."""

from __future__ import annotations

import os
from pathlib import Path

from dachi_fast._dirs import state_folder


class FileWitness:
    """Remembers the newest commit of each store in a small file of its own.

    A store that is older than its witness, or not its continuation, is refused at open and at
    read: yesterday's copy put in today's place does not pass for today's. Keep the folder where
    who can replace the store cannot write, if you can.

    Args:
        folder: where the files lie. Default: ``witness`` in the user's state folder
            (``$XDG_STATE_HOME/dachi_fast``), never beside the store.

    Example:
        >>> from dachi_fast import FileWitness
        >>> FileWitness("seen")
        FileWitness('seen')
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self.folder = Path(folder) if folder is not None else state_folder() / "witness"

    def __repr__(self) -> str:
        return f"FileWitness({str(self.folder)!r})"
