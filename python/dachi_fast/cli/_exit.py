"""What a command's exit status says, and the line that goes with it."""

from __future__ import annotations

import json
import sys
from typing import Final

from dachi_fast.cli._text import plain, safe
from dachi_fast.errors import (
    AlreadyExists,
    BackendError,
    Conflict,
    DachiError,
    IntegrityError,
    KeyringError,
    NoBackup,
    NotAStore,
    StoreFull,
    StoreIO,
    StoreLocked,
    StoreReadOnly,
    UnknownEntry,
    UnknownName,
)

FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells say it
BROKEN_PIPE: Final = 141  # 128 + SIGPIPE: what a program dies of that does not catch it

# The first class that fits; docs/cli.md has the same table.
_BY_CLASS: Final[tuple[tuple[int, tuple[type[DachiError], ...]], ...]] = (
    (3, (UnknownName, UnknownEntry, NotAStore, NoBackup)),
    (4, (IntegrityError,)),
    (5, (KeyringError,)),
    (6, (Conflict, AlreadyExists)),
    (7, (StoreLocked,)),
    (8, (StoreFull,)),
    (9, (StoreIO, StoreReadOnly)),
    (10, (BackendError,)),
)
_BY_CODE: Final = {"has-forks": 6}


def status_of(error: BaseException) -> int:
    """Gives the exit status of a command that raised."""
    if isinstance(error, ExceptionGroup):
        return status_of(error.exceptions[0])
    if isinstance(error, DachiError) and error.code in _BY_CODE:
        return _BY_CODE[error.code]
    return next((code for code, kinds in _BY_CLASS if isinstance(error, kinds)), FAILED)


def tell(error: BaseException, *, as_json: bool) -> None:
    """Writes what went wrong to stderr: a line for people, or for programs."""
    if isinstance(error, ExceptionGroup):
        for part in error.exceptions:
            tell(part, as_json=as_json)
        return
    code = error.code if isinstance(error, DachiError) else "os"
    notes: list[str] = getattr(error, "__notes__", [])
    if not as_json:
        text = "; ".join([str(error), *notes])
        print(f"dachi-fast: {safe(text)} [{code}]", file=sys.stderr)
        return
    context = error.context if isinstance(error, DachiError) else {}
    said = {
        "code": code,
        "message": str(error),
        "notes": notes,
        "context": {name: plain(value) for name, value in context.items()},
        "exit_status": status_of(error),
    }
    print(json.dumps({"error": said}), file=sys.stderr)
