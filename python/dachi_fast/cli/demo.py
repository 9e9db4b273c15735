"""The front of ``dachi-fast demo``: reads its options and hands over."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """What a run of the demo was asked for.

    Attributes:
        output: ``"rich"`` on a terminal with rich installed, ``"json"`` when asked for, otherwise
            ``"plain"``.
        seed: decides what is sampled and when the kill comes; ``None`` draws one.
        keep: a folder in which the store stays; ``None`` uses a temporary one.
    """

    output: str
    seed: int | None
    keep: Path | None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dachi-fast demo",
        description="An agent learns from this machine's Python documentation, is killed in the "
        "middle, and goes on where it was.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document instead")
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="repeat a run: its text, and about when the kill comes",
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the store in this folder")
    parser.add_argument(
        "--plain", "--no-color", action="store_true", help="no colour, no boxes (as when piped)"
    )
    return parser


def parse(argv: Sequence[str]) -> DemoOptions:
    """Gives the options that the arguments spell.

    Args:
        argv: arguments after ``demo``.

    Raises:
        SystemExit: an argument is not understood (2), or ``--help`` was asked for (0).
    """
    given = _parser().parse_args(argv)
    output = "json" if given.json else "plain" if given.plain or not _can_be_rich() else "rich"
    return DemoOptions(output=output, seed=given.seed, keep=given.keep)


def main(argv: Sequence[str]) -> int:
    """Gives the exit status of the demo.

    Args:
        argv: arguments after ``demo``.
    """
    try:
        options = parse(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    from dachi_fast.cli import _demo_run

    return _demo_run.run(options)


def _can_be_rich() -> bool:
    # NO_COLOR is the convention of no-color.org: any value that is not empty.
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return False
    from importlib.util import find_spec

    return find_spec("rich") is not None
