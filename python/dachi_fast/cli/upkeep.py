"""A store proved, kept small, taken over."""

import dataclasses
import datetime
from typing import Annotated

import typer

from dachi_fast.cli._options import Justification, PerhapsName, Yes
from dachi_fast.cli._output import Column, Output
from dachi_fast.cli._progress import progress
from dachi_fast.cli._session import Session
from dachi_fast.cli._text import counted, size
from dachi_fast.store import Limits, Pruned, Store

_DEFAULTS = Limits()
_PRUNED = (
    Column("name", lambda p: p["name"], style="cyan"),
    Column("versions", lambda p: str(len(p["versions"])), "r"),
    Column("which", lambda p: _ranges(p["versions"])),
    Column("only they need", lambda p: size(p["size_bytes"]), "r"),
    Column("freed", lambda p: size(p["freed_bytes"]), "r"),
    Column("expired", lambda p: str(p["expired"]), "r"),
)


def verify(session: Session) -> None:
    """Prove every record, version and ledger entry."""
    with session.open("read") as store, progress("proving") as advance:
        report = store.verify(progress=advance)
    text = (
        f"proved: {counted(report.names, 'name')}, {counted(report.versions, 'version')}, "
        f"{counted(report.documents, 'document')}, "
        f"{counted(report.ledger_entries, 'ledger entry', 'ledger entries')}, in "
        f"{counted(report.nodes, 'record')} of {size(report.size_bytes)}; "
        f"{counted(report.unused_nodes, 'record is', 'records are')} not needed any more"
    )
    session.out.document(dataclasses.asdict(report), text)


def prune(
    session: Session,
    name: PerhapsName = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be dropped.")
    ] = False,
    keep_last: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Keep the newest N.")
    ] = _DEFAULTS.versions,
    keep_daily: Annotated[
        int, typer.Option(min=0, metavar="N", help="Beyond those, one a day for N days.")
    ] = _DEFAULTS.days,
    max_bytes: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Drop what was written before these.")
    ] = None,
    max_age_days: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Drop what is older.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Drop old versions, of one agent or all; the newest and tagged ones stay."""
    age = None if max_age_days is None else datetime.timedelta(days=max_age_days)
    limits = Limits(versions=keep_last, days=keep_daily, size_bytes=max_bytes, age=age)
    with session.open("read" if dry_run else "write", limits=limits) as store:
        pruned = store.prune(name, dry_run=True)
        if not dry_run:
            pruned = _prune(session, store, name, pruned, yes=yes)
    _say_pruned(session.out, pruned)


def _prune(
    session: Session, store: Store, name: str | None, would: list[Pruned], *, yes: bool
) -> list[Pruned]:
    """Asks, unless nothing would be dropped: what was dropped before may still be freed."""
    count = sum(len(pruned.versions) for pruned in would)
    if count:
        agents = sum(bool(pruned.versions) for pruned in would)
        what = f"{counted(count, 'version')} of {counted(agents, 'agent')}"
        session.confirm(f"drop {what}?", yes=yes)
    with progress("pruning"):
        return store.prune(name)


def _say_pruned(out: Output, pruned: list[Pruned]) -> None:
    records = [{**dataclasses.asdict(p), "versions": list(p.versions)} for p in pruned]
    if not out.as_json:
        records = [r for r in records if r["versions"] or r["freed_bytes"] or r["expired"]]
    out.listing(records, _PRUNED, "nothing to drop")


def _ranges(numbers: list[int]) -> str:
    """Gives ascending numbers with their runs folded.

    Example:
        >>> _ranges([1, 2, 3, 7])
        '1-3, 7'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def compact(session: Session) -> None:
    """Give the room that nothing needs any more back to the file system."""
    data = session.path / "data.mdb"
    with session.open("write") as store, progress("compacting") as advance:
        before = data.stat().st_size
        store.compact(progress=advance)
        after = data.stat().st_size
    record = {"before_bytes": before, "after_bytes": after}
    session.out.document(record, f"{size(before)} before, {size(after)} now")


def adopt(session: Session, justification: Justification = "") -> None:
    """Take a backup or copy into use: its witness begins again with it."""
    session.check()
    keys, witness = session.provider, session.seen_by
    with Store.adopt(session.path, keys=keys, witness=witness, justification=justification):
        pass
    session.out.document({"path": str(session.path)}, f"{session.path} is the store in use now")
