"""What a store holds: names, versions, values, differences."""

from typing import Annotated, Any

import typer

from dachi_fast.cli._options import Name, PerhapsName, Pick, perhaps, picked
from dachi_fast.cli._output import Column, Record
from dachi_fast.cli._session import Session
from dachi_fast.cli._text import moment, short, size, whole
from dachi_fast.errors import UnknownName
from dachi_fast.store import ABSENT, Change, Version


def _origin(version: Record) -> str:
    if version["restores"] is not None:
        return f"version {version['restores']}"
    source = version["source"]
    return "" if source is None else f"{source['name']}, version {source['number']}"


_VERSIONS = (
    Column("version", lambda v: str(v["number"]), "r", "cyan"),
    Column("created", lambda v: v["created"][:19] + "Z"),
    Column("state", lambda v: size(v["size_bytes"]), "r"),
    Column("written", lambda v: size(v["written_bytes"]), "r"),
    Column("tags", lambda v: ", ".join(v["tags"]), style="yellow"),
    Column("from", _origin),
    Column("justification", lambda v: v["justification"]),
)
_CHANGES = (
    Column("path", lambda c: c["path"], style="cyan"),
    Column("before", lambda c: short(c["before"]) if "before" in c else "", style="red"),
    Column("after", lambda c: short(c["after"]) if "after" in c else "", style="green"),
)
_VALUES = (
    Column("path", lambda v: v["path"], style="cyan"),
    Column("value", lambda v: short(v["value"])),
)


def version_record(name: str, version: Version) -> Record:
    """Gives a version as JSON shows it."""
    source = version.source and {"name": version.source[0], "number": version.source[1]}
    return {
        "name": name,
        "number": version.number,
        "created": moment(version.created),
        "justification": version.justification,
        "base": version.base,
        "restores": version.restores,
        "source": source,
        "tags": list(version.tags),
        "entries": version.entries,
        "size_bytes": version.size_bytes,
        "written_bytes": version.written_bytes,
        "root": version.root,
    }


def names(session: Session) -> None:
    """List the names that something was saved under."""
    with session.open("read") as store:
        records = [{"name": name} for name in store.names()]
    if session.as_json:
        session.out.listing(records, (), "")
    elif records:
        session.out.document({}, *(record["name"] for record in records))
    else:
        session.out.note("nothing was saved yet")


def log(
    session: Session,
    name: PerhapsName = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, metavar="N", help="How many at most.")
    ] = None,
) -> None:
    """List the versions of an agent, newest first; without a name, the names."""
    if name is None:
        names(session)
        return
    with session.open("audited") as store:
        versions = store.history(name, limit=limit)
    session.out.listing([version_record(name, v) for v in versions], _VERSIONS, "no versions")


def show(
    session: Session,
    name: Name,
    path: Annotated[
        str | None, typer.Argument(help="Only this dot path and what is below.", show_default=False)
    ] = None,
    *,
    version: Pick = None,
    blueprint: Annotated[
        bool, typer.Option("--blueprint", help="Its kinds, ids and fields instead of its state.")
    ] = False,
) -> None:
    """Show the state of an agent by path, or its blueprint; its classes are not needed."""
    if blueprint and path is not None:
        raise typer.BadParameter("a blueprint is shown whole: leave out PATH or --blueprint")
    with session.open("audited") as store:
        number = perhaps(version)
        if not isinstance(number, int):
            number = store.version(name, version=number).number
        if blueprint:
            found = store.blueprint(name, version=number)
        else:
            found = store.state(name, version=number, under=path)
    if path is not None and not found:
        what = f"version {number} of {name!r} has nothing at {path!r}; show it without a path"
        raise UnknownName("unknown-path", what, name=name, version=number, path=path)
    about = {"name": name, "version": number}
    if blueprint:
        record = {**about, "blueprint": found}
        session.out.document(record, *whole(found))
    elif session.as_json:
        session.out.document({**about, "state": found})
    elif path is not None and list(found) == [path]:
        session.out.document({}, *whole(found[path]))
    else:
        records = [{"path": at, "value": value} for at, value in found.items()]
        session.out.listing(records, _VALUES, "its state is empty")


def diff(
    session: Session,
    name: Name,
    a: Annotated[
        str | None,
        typer.Argument(help="Number or tag before; otherwise what B follows.", show_default=False),
    ] = None,
    b: Annotated[
        str | None,
        typer.Argument(help="Number or tag after; otherwise the latest.", show_default=False),
    ] = None,
) -> None:
    """Show what changed from version A to version B, by path."""
    with session.open("audited") as store:
        after = store.version(name, version=perhaps(b))
        before = after.base if a is None else picked(a)
        if before is None:
            what = f"version {after.number} of {name!r} is the first: it follows none"
            raise UnknownName("unknown-version", what, name=name, version=after.number)
        changes = store.diff(name, before, after.number)
    session.out.listing(map(_change_record, changes), _CHANGES, "they are equal")


def _change_record(change: Change) -> Record:
    record: dict[str, Any] = {"path": change.path}
    if change.before is not ABSENT:
        record["before"] = change.before
    if change.after is not ABSENT:
        record["after"] = change.after
    return record
