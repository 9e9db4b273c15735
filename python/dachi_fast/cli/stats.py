"""What takes the space in a store."""

import dataclasses
import datetime
from typing import Any

from dachi_fast.cli._options import PerhapsName
from dachi_fast.cli._output import Column, Record
from dachi_fast.cli._session import Session
from dachi_fast.cli._text import moment, size
from dachi_fast.store import NameStats, Stats

_SPACE = (
    Column("what", lambda s: s["what"]),
    Column("size", lambda s: size(s["bytes"]), "r"),
)
_NAMES = (
    Column("name", lambda n: n["name"], style="cyan"),
    Column("versions", lambda n: f"{n['versions']:,}", "r"),
    Column("latest", lambda n: str(n["latest"]), "r"),
    Column("state", lambda n: size(n["state_bytes"]), "r"),
    Column("takes", lambda n: size(n["size_bytes"]), "r"),
    Column("alone", lambda n: size(n["own_bytes"]), "r"),
)
_LARGEST = (
    Column("path", lambda v: v["path"], style="cyan"),
    Column("encoded", lambda v: size(v["bytes"]), "r"),
)
# What a store's bytes are for, in the order in which people look.
_PARTS = {
    "file_bytes": "data file",
    "names_bytes": "names",
    "directory_bytes": "directory",
    "ledger_bytes": "ledger",
    "garbage_bytes": "not needed any more",
    "reclaimable_bytes": "compact gives back",
    "keys_bytes": "keys",
}


def stats(session: Session, name: PerhapsName = None) -> None:
    """Show what takes the space: in the store, or of one agent with its largest values."""
    if name is None:
        with session.open("read") as store:
            everything = store.stats()
        _say_store(session, everything)
    else:
        with session.open("audited") as store:
            found = store.stats(name)
        _say_name(session, found)


def _say_store(session: Session, found: Stats) -> None:
    if session.as_json:
        session.out.document(_record(found))
        return
    parts = [{"what": what, "bytes": getattr(found, part)} for part, what in _PARTS.items()]
    session.out.listing(parts, _SPACE, "")
    names = [_record(name) for name in (*found.names, *found.shared)]
    session.out.listing(names, _NAMES, "nothing was saved yet")


def _say_name(session: Session, found: NameStats) -> None:
    record = _record(found)
    if session.as_json:
        session.out.document(record)
        return
    session.out.listing([record], _NAMES, "")
    largest = [{"path": path, "bytes": size_bytes} for path, size_bytes in found.largest]
    session.out.listing(largest, _LARGEST, "its state is empty")


def _record(found: Stats | NameStats) -> Record:
    """Gives numbers as JSON shows them."""
    return {field: _shown(value) for field, value in dataclasses.asdict(found).items()}


def _shown(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return moment(value)
    if isinstance(value, dict):
        return {field: _shown(part) for field, part in value.items()}
    return [_shown(part) for part in value] if isinstance(value, tuple | list) else value
