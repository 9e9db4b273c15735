"""Arguments and options that several commands take."""

from typing import Annotated, Final

import typer

_SHARED: Final = "\\x00shared:"


def named(text: str) -> str:
    """Gives a name; that of Shared values is taken as it is shown, for want of a zero character."""
    return "\0" + text.removeprefix("\\x00") if text.startswith(_SHARED) else text


_NAME = typer.Argument(help="The agent's name.", parser=named, metavar="NAME", show_default=False)
Name = Annotated[str, _NAME]
PerhapsName = Annotated[str | None, _NAME]
Pick = Annotated[
    str | None,
    typer.Option("--version", metavar="VERSION", help="Its number or a tag; otherwise the latest."),
]
Justification = Annotated[
    str, typer.Option("--justification", "-m", metavar="TEXT", help="Why, for the ledger.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def picked(text: str) -> int | str:
    """Gives a version's number or tag: no tag is a number."""
    return int(text) if text.isascii() and text.isdigit() else text


def perhaps(text: str | None) -> int | str | None:
    """Gives a version's number or tag; None for the latest."""
    return None if text is None else picked(text)
