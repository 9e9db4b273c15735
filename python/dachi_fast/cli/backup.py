"""Backups: made, listed, restored, tried."""

import dataclasses
from typing import Annotated, Literal

import typer

from dachi_fast.archive import Backup
from dachi_fast.cli._options import Justification
from dachi_fast.cli._output import Column
from dachi_fast.cli._progress import progress
from dachi_fast.cli._session import Session
from dachi_fast.cli._text import counted, moment, size
from dachi_fast.store import Store

_COLUMNS = (
    Column("id", lambda b: b["id"], style="cyan"),
    Column("made", lambda b: b["created"]),
    Column("commit", lambda b: str(b["commit"]), "r"),
    Column("records", lambda b: f"{b['nodes']:,}", "r"),
    Column("size", lambda b: size(b["size_bytes"]), "r"),
)

_Archive = Annotated[
    str,
    typer.Argument(
        metavar="ARCHIVE",
        help="A folder, or file://, s3://, az://, gs://; credentials come from the environment.",
        show_default=False,
    ),
]
_Pick = Annotated[
    str | None,
    typer.Option("--backup", metavar="ID", help="Which backup; otherwise the newest."),
]


def backup(
    session: Session,
    archive: _Archive,
    *,
    keep: Annotated[
        int, typer.Option(min=1, metavar="N", help="Keep the newest N backups, with this one.")
    ] = 7,
    branch: Annotated[
        bool,
        typer.Option(
            "--branch", help="Go on from here, though the newest backup is not of this past."
        ),
    ] = False,
    justification: Justification = "",
) -> None:
    """Put what is new into an archive, sealed as it is here."""
    how: Literal["refuse", "allow"] = "allow" if branch else "refuse"
    with session.open("audited") as store, progress("putting") as advance:
        report = store.backup(
            archive, keep=keep, branch=how, justification=justification, progress=advance
        )
    text = (
        f"backup {report.id} of commit {report.commit}: {counted(report.nodes, 'record')} of "
        f"{size(report.size_bytes)}; {counted(report.put_nodes, 'record was', 'records were')} "
        f"new, {size(report.put_bytes)} put; {counted(len(report.dropped), 'older backup')} deleted"
    )
    record = dataclasses.asdict(report)
    session.out.document({**record, "created": moment(report.created)}, text)


def backups(session: Session, archive: _Archive) -> None:
    """List the backups in an archive, newest first."""
    records = [_record(found) for found in Store.backups(archive, keys=session.provider)]
    session.out.listing(records, _COLUMNS, "no backups")


def restore(
    session: Session,
    archive: _Archive,
    *,
    pick: _Pick = None,
    aside: Annotated[
        bool,
        typer.Option("--aside", help="Rename the store that is there; otherwise it is an error."),
    ] = False,
    justification: Justification = "",
) -> None:
    """Make the store from a backup: proved first, then taken into use."""
    with (
        progress("fetching") as advance,
        Store.restore(
            archive,
            session.path,
            keys=session.provider,
            witness=session.seen_by,
            backup=pick,
            existing="aside" if aside else "refuse",
            justification=justification,
            progress=advance,
        ) as store,
    ):
        names = len(store.names())
    session.out.document(
        {"path": str(session.path), "names": names},
        f"{session.path} is the store in use now, with {counted(names, 'name')}",
    )


def drill(session: Session, archive: _Archive, *, pick: _Pick = None) -> None:
    """Restore a backup into a temporary folder, prove it, remove it."""
    with progress("fetching") as advance:
        report = Store.drill(archive, keys=session.provider, backup=pick, progress=advance)
    found = report.backup
    text = (
        f"backup {found.id} of commit {found.commit} can be restored: "
        f"{counted(report.names, 'name')}, {counted(report.versions, 'version')}, "
        f"{counted(report.documents, 'document')}, "
        f"{counted(report.ledger_entries, 'ledger entry', 'ledger entries')}, in "
        f"{counted(report.nodes, 'record')} of {size(report.size_bytes)}; it took "
        f"{report.seconds:.1f} s"
    )
    record = {**dataclasses.asdict(report), "backup": _record(found)}
    session.out.document(record, text)


def _record(found: Backup) -> dict[str, object]:
    record = dataclasses.asdict(found)
    return {
        **record,
        "created": moment(found.created),
        "committed": moment(found.committed),
    }
