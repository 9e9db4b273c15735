"""The typer app; imported only when typer is installed."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from importlib.metadata import version as version_of
from typing import Annotated, Final

import typer

from dachi_fast.cli import (
    backup,
    demo,
    history,
    keys,
    ledger,
    memory,
    retain,
    stats,
    upkeep,
    versions,
)
from dachi_fast.cli._command import command

app = typer.Typer(
    name="dachi-fast",
    help="Memory for AI agents that learn: encrypted, versioned, proved on every read.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

_PANELS: Final = {
    "Look": (history.names, history.log, history.show, history.diff),
    "Versions": (
        versions.rollback,
        versions.fork,
        versions.copy,
        versions.tag,
        versions.untag,
    ),
    "Memory": (memory.remember, memory.recall, memory.reembed),
    "Evidence": (upkeep.verify, ledger.ledger, ledger.checkpoint, ledger.proof, ledger.export),
    "Upkeep": (stats.stats, upkeep.prune, retain.retain, upkeep.compact, upkeep.adopt),
    "Backups": (backup.backup, backup.backups, backup.restore, backup.drill),
    "Keys": (keys.rotate, keys.rewrap, keys.forget),
}


_MEMORIES: Final[dict[str, Callable[..., None]]] = {
    "list": memory.listed,
    "show": memory.show,
    "forget": memory.forget,
    "release": memory.release,
    "quarantine": memory.quarantine,
}


def _print_version(wanted: bool) -> None:  # noqa: FBT001 -- the signature of a typer callback
    if wanted:
        print(f"dachi-fast {version_of('dachi_fast')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Its version.")
    ] = False,
) -> None:
    """Options before the command."""


# `demo` must read the same arguments where typer is missing, so argparse reads them in both places.
@app.command(
    "demo",
    help="An agent learns, is killed, and goes on where it was.",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    add_help_option=False,
)
def _demo(context: typer.Context) -> None:
    raise typer.Exit(demo.main(context.args))


for panel, functions in _PANELS.items():
    for function in functions:
        app.command(function.__name__, rich_help_panel=panel)(command(function))

memories = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(
    memories, name="memory", help="Look at memories, and judge them.", rich_help_panel="Memory"
)
for name, memorial in _MEMORIES.items():
    memories.command(name)(command(memorial))


def run(arguments: list[str]) -> int:
    """Gives the exit status of one run of the app."""
    # Text that the terminal's encoding lacks is escaped: no character stops a command.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app(arguments, prog_name="dachi-fast")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    return 0
