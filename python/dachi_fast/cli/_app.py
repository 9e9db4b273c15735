"""The typer app; imported only when typer is installed."""

from __future__ import annotations

from importlib.metadata import version as version_of
from typing import Annotated

import typer

from dachi_fast.cli import demo

app = typer.Typer(
    name="dachi-fast",
    help="Memory for AI agents that learn: encrypted, versioned, proved on every read.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


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


def run(arguments: list[str]) -> int:
    """Gives the exit status of one run of the app."""
    try:
        app(arguments, prog_name="dachi-fast")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    return 0
