"""Versions rolled back to, forked, copied, tagged."""

from typing import Annotated

import typer

from dachi_fast.cli._options import Justification, Name, Pick, perhaps, picked
from dachi_fast.cli._session import Session
from dachi_fast.cli.history import version_record
from dachi_fast.store import Version

_NewName = Annotated[str, typer.Argument(help="A name that is free.", show_default=False)]
_Tag = Annotated[str, typer.Argument(help="Text that is no number.", show_default=False)]


def rollback(
    session: Session,
    name: Name,
    to: Annotated[str, typer.Argument(help="Number or tag.", show_default=False)],
    justification: Justification = "",
) -> None:
    """Make an old version the latest again, as a new one."""
    with session.open("write") as store:
        version = store.rollback(name, to=picked(to), justification=justification)
    _say(session, name, version, f"equal to version {version.restores}")


def fork(
    session: Session,
    name: Name,
    to: _NewName,
    version: Pick = None,
    justification: Justification = "",
) -> None:
    """Give a version a second name, under which it goes on; forgetting one forgets both."""
    with session.open("write") as store:
        made = store.fork(name, to, version=perhaps(version), justification=justification)
    _say(session, to, made, _from(made))


def copy(
    session: Session,
    name: Name,
    to: _NewName,
    version: Pick = None,
    justification: Justification = "",
) -> None:
    """Write a version again under a name and a key of its own."""
    with session.open("write") as store:
        made = store.copy(name, to=to, version=perhaps(version), justification=justification)
    _say(session, to, made, _from(made))


def tag(session: Session, name: Name, tag: _Tag, version: Pick = None) -> None:
    """Give a version a tag: it goes by it, and is never pruned."""
    with session.open("write") as store:
        tagged = store.tag(name, version=perhaps(version), tag=tag)
    _say(session, name, tagged, _tags(tagged))


def untag(session: Session, name: Name, tag: _Tag) -> None:
    """Take a tag off its version."""
    with session.open("write") as store:
        version = store.untag(name, tag=tag)
    _say(session, name, version, _tags(version))


def _say(session: Session, name: str, version: Version, what: str) -> None:
    record = version_record(name, version)
    session.out.document(record, f"{name}: version {version.number}, {what}")


def _from(version: Version) -> str:
    name, number = version.source or ("", 0)
    return f"equal to version {number} of {name}"


def _tags(version: Version) -> str:
    return f"tags: {', '.join(version.tags)}" if version.tags else "without tags"
