"""Keys of a store: rotated, moved, destroyed."""

from typing import Annotated

import typer

from dachi_fast.cli._options import Justification, Name, Yes
from dachi_fast.cli._progress import progress
from dachi_fast.cli._provider import FORMS, provider
from dachi_fast.cli._session import Session


def rotate(session: Session, justification: Justification = "") -> None:
    """Seal what is saved from now on under a new key."""
    with session.open("write") as store:
        store.rotate_now(justification=justification)
    session.out.document({"rotated": True}, "what is saved from now on has a new key")


def rewrap(
    session: Session,
    *,
    to: Annotated[str, typer.Option("--to", metavar="REFERENCE", help=f"The new one: {FORMS}.")],
    justification: Justification = "",
    yes: Yes = False,
) -> None:
    """Move the store to another key provider; nothing that was saved is written again."""
    with session.open("write") as store:
        keys = provider(to, new=True)
        session.confirm(f"have {keys!r} alone open {session.path} from now on?", yes=yes)
        store.rewrap(keys, justification=justification)
    session.out.document({"keys": repr(keys)}, f"{keys!r} opens the store from now on")


def forget(
    session: Session,
    name: Name,
    *,
    forks: Annotated[
        bool, typer.Option("--forks", help="Forget those with it that share its key.")
    ] = False,
    justification: Annotated[
        str,
        typer.Option(
            "--justification", "-m", metavar="TEXT", help="Why; stays readable in the ledger."
        ),
    ] = "",
    yes: Yes = False,
) -> None:
    """Destroy an agent's key: nothing ever saved under the name can be read again."""
    with session.open("write") as store:
        others = " and what shares its key" if forks else ""
        session.confirm(f"forget {name!r}{others} for ever, in all versions?", yes=yes)
        with progress("forgetting"):
            done = store.forget(
                name, forks="forget" if forks else "refuse", justification=justification
            )
    old = "no old copy of the store opens it: its provider replaced the key"
    if not done.key_replaced:
        old = "an old copy with its keys.sealed is still open to who has the provider's key"
    record = {"names": list(done.names), "key_replaced": done.key_replaced}
    session.out.document(record, f"forgotten: {', '.join(done.names)}", old)
