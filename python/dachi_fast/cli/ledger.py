"""The ledger of a store: listed, signed, proved, exported."""

import contextlib
import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import typer

from dachi_fast.cli._options import Justification
from dachi_fast.cli._output import Column, Record
from dachi_fast.cli._progress import progress
from dachi_fast.cli._session import Session
from dachi_fast.cli._text import counted
from dachi_fast.ledger import ConsistencyProof, InclusionProof, SignedCheckpoint, encoded

_ENTRIES = (
    Column("entry", lambda e: str(e["seq"]), "r", "cyan"),
    Column("time", lambda e: e["timestamp"][:19] + "Z"),
    Column("operation", lambda e: e["operation"]),
    Column("agent", lambda e: "(erased)" if e["agent_id"] is None else e["agent_id"]),
    Column("memory", lambda e: e["memory_type"] or ""),
    Column("version", lambda e: "" if e["version"] is None else str(e["version"]), "r"),
    Column("count", lambda e: "" if e["count"] is None else str(e["count"]), "r"),
    Column("justification", lambda e: e["justification"] or ""),
)


def ledger(
    session: Session,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, metavar="N", help="How many at most.")
    ] = 100,
) -> None:
    """List the newest entries of the ledger, newest first."""
    with session.open("read") as store:
        entries = store.ledger(limit=limit)
    session.out.listing(map(dataclasses.asdict, entries), _ENTRIES, "the ledger is empty")


def checkpoint(
    session: Session,
    *,
    verifier_key: Annotated[
        bool,
        typer.Option("--verifier-key", help="Print the key that others check checkpoints with."),
    ] = False,
) -> None:
    """Print size and root of the ledger, signed: a note to keep elsewhere."""
    with session.open("read") as store:
        key, made = store.verifier_key, store.checkpoint()
    if verifier_key:
        session.out.document({"verifier_key": key}, key)
    else:
        _print(session, {**_signed(made), "verifier_key": key}, made.text)


def proof(
    session: Session,
    seq: Annotated[
        int | None,
        typer.Argument(min=0, help="An entry's number, from 0.", show_default=False),
    ] = None,
    since: Annotated[
        int | None, typer.Option(min=0, metavar="SIZE", help="A size that the ledger had before.")
    ] = None,
    until: Annotated[
        int | None, typer.Option(min=0, metavar="SIZE", help="With --since: a later size.")
    ] = None,
) -> None:
    """Prove that an entry is in the ledger, or that it only grew since it had a size."""
    if (seq is None) == (since is None):
        raise typer.BadParameter("give the number of an entry, or a size with --since")
    with session.open("read") as store:
        key = store.verifier_key
        if seq is not None:
            included = store.prove(seq)
            record, text = _included(included), str(included)
        else:
            grown = store.prove_consistency(since or 0, until)
            record, text = _grown(grown), _grown_text(grown)
    _print(session, {**record, "verifier_key": key}, text)


def export(
    session: Session,
    file: Annotated[Path, typer.Argument(help="Where to, - for standard output.")],
    *,
    details: Annotated[
        bool, typer.Option("--details/--no-details", help="Names, reasons and roots go with it.")
    ] = True,
    justification: Justification = "",
) -> None:
    """Write the ledger as JSON lines that others can check without this package."""
    to_stdout = str(file) == "-"
    if to_stdout and sys.stdout.isatty():
        raise typer.BadParameter("an export is no text for a terminal: name a file, or pipe it")
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(session.open("write"))
        target = stack.enter_context(session.out.bytes()) if to_stdout else file
        advance = stack.enter_context(progress("writing"))
        made = store.export(target, disclose=details, justification=justification, progress=advance)
    if not to_stdout:
        record = {"path": str(file), "entries": made.size, **_signed(made)}
        session.out.document(record, f"{file}: {counted(made.size, 'entry', 'entries')}")


def _signed(made: SignedCheckpoint) -> Record:
    return {
        "origin": made.origin,
        "size": made.size,
        "root": encoded(made.root),
        "checkpoint": made.text,
    }


def _included(proved: InclusionProof) -> Record:
    return {
        "seq": proved.index,
        "entry": proved.leaf,
        "hashes": list(map(encoded, proved.hashes)),
        "checkpoint": proved.checkpoint.text,
        "proof": str(proved),
    }


def _grown(proved: ConsistencyProof) -> Record:
    return {
        "since": proved.old.size,
        "until": proved.new.size,
        "hashes": list(map(encoded, proved.hashes)),
        "old_checkpoint": proved.old.text,
        "new_checkpoint": proved.new.text,
    }


def _grown_text(proved: ConsistencyProof) -> str:
    return "\n".join([*map(encoded, proved.hashes), "", proved.old.text, proved.new.text])


def _print(session: Session, record: Record, note: str) -> None:
    if session.as_json:
        session.out.document(record)
    else:
        session.out.raw(note)
