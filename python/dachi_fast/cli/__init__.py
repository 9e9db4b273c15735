"""The commands: ``dachi-fast ...``.

Only ``demo`` works with what dachi_fast itself requires; all others need the extra ``cli`` (typer
and rich). Each group of commands lives in a file of its name.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

from dachi_fast.errors import DachiError

if TYPE_CHECKING:
    from collections.abc import Sequence

_HINT = "dachi-fast: '{}' needs the commands: pip install 'dachi_fast[cli]'"
_PLAIN_HELP = """\
usage: dachi-fast demo [--json] [--seed N] [--keep DIR] [--plain]
       dachi-fast --version

The other commands need typer and rich: pip install 'dachi_fast[cli]'"""


def main(argv: Sequence[str] | None = None) -> int:
    """Gives the exit status of the command that the arguments name.

    Args:
        argv: arguments without the program's name; those of the process by default.

    Returns:
        0 when the command succeeded, 2 when it was not understood; others say how it failed
        (docs/cli.md).
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if importlib.util.find_spec("typer") is None:
            return _without_typer(arguments)
        from dachi_fast.cli._app import run

        return run(arguments)
    except DachiError as error:
        print(f"dachi-fast: {error} [{error.code}]", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _without_typer(arguments: list[str]) -> int:
    match arguments:
        case ["demo", *rest]:
            from dachi_fast.cli import demo

            return demo.main(rest)
        case ["--version"]:
            print(f"dachi-fast {version('dachi_fast')}")
            return 0
        case [] | ["--help" | "-h", *_]:
            print(_PLAIN_HELP)
            return 0
        case [command, *_]:
            print(_HINT.format(command), file=sys.stderr)
    return 2
