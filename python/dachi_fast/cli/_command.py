"""Functions of a session made into commands with the options that all of them share."""

import functools
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from dachi_fast.cli import _exit
from dachi_fast.cli._provider import FORMS
from dachi_fast.cli._session import Session
from dachi_fast.errors import DachiError

_PANEL = "Options of every command"


def _shared(
    store: Annotated[
        Path | None,
        typer.Option(
            "--store",
            envvar="DACHI_FAST_STORE",
            metavar="PATH",
            help="The store's folder; otherwise the default store.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    keys: Annotated[
        str | None,
        typer.Option(
            "--keys",
            envvar="DACHI_FAST_KEYS",
            metavar="REFERENCE",
            help=f"Where its key is, never the key: {FORMS}; otherwise the user's key file.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    witness: Annotated[
        str | None,
        typer.Option(
            "--witness",
            envvar="DACHI_FAST_WITNESS",
            metavar="PATH|none",
            help="The folder of its witness, or none; otherwise the user's.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    imports: Annotated[
        list[str] | None,
        typer.Option(
            "--import",
            metavar="PACKAGE",
            help="Import it for its classes; may be given more than once.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON.", rich_help_panel=_PANEL)
    ] = False,
) -> Session:
    return Session(store, keys, witness, imports or (), as_json=as_json)


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Gives a command for typer.

    Args:
        function: takes the session first; its other parameters are the command's own.
    """
    own = list(inspect.signature(function).parameters.values())[1:]
    shared = list(inspect.signature(_shared).parameters.values())
    names = [parameter.name for parameter in shared]

    @functools.wraps(function)
    def run(**given: Any) -> None:
        session = _shared(**{name: given.pop(name) for name in names})
        raise typer.Exit(_ran(session, lambda: function(session, **given)))

    as_keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [parameter.replace(kind=as_keyword) for parameter in (*own, *shared)]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _ran(session: Session, work: Callable[[], None]) -> int:
    """Gives the exit status of a command, and says what went wrong."""
    try:
        with session.telling():
            session.import_all()
            work()
            sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads any more; what is buffered must not fail again when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _exit.BROKEN_PIPE
    except KeyboardInterrupt:
        print("dachi-fast: interrupted", file=sys.stderr)
        return _exit.INTERRUPTED
    except (DachiError, ExceptionGroup, OSError) as error:
        _exit.tell(error, as_json=session.as_json)
        return _exit.status_of(error)
    return 0
