"""What a command prints: tables for people, JSON for programs.

On a terminal tables are drawn; anywhere else they are columns of plain text that nothing cuts, so
that `grep` and `cut` see whole lines.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, NamedTuple

from dachi_fast.cli._text import plain, safe

Record = dict[str, Any]


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        head: its heading.
        cell: gives a record's text in it.
        side: ``"l"`` or ``"r"``.
        style: of its text on a terminal, as rich names styles.
    """

    head: str
    cell: Callable[[Record], str]
    side: str = "l"
    style: str = ""


class Output:
    """What a command prints.

    Args:
        as_json: whether it prints JSON.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def listing(self, records: Iterable[Record], columns: Sequence[Column], empty: str) -> None:
        """Prints records: a table, or a line of JSON each.

        Args:
            records: what JSON shows of them, as it is.
            columns: what a table shows.
            empty: said to people where there are no records.
        """
        if self.as_json:
            for record in records:
                _print_json(record)
            return
        rows = [[safe(column.cell(record)) for column in columns] for record in records]
        if not rows:
            self.note(empty)
        elif sys.stdout.isatty():
            _draw(columns, rows)
        else:
            _align(columns, rows)

    def document(self, record: Record, *lines: str) -> None:
        """Prints one thing: lines of text, or a line of JSON."""
        if self.as_json:
            _print_json(record)
            return
        for line in lines:
            print(safe(line))

    def raw(self, text: str) -> None:
        """Prints text byte for byte, in UTF-8 whatever the terminal's encoding: it is signed."""
        with self.bytes() as file:
            file.write(text)

    @contextmanager
    def bytes(self) -> Iterator[IO[str]]:
        """Gives standard output as a file that takes text as it is."""
        sys.stdout.flush()
        file = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="\n")
        try:
            yield file
            file.flush()
        finally:
            file.detach()

    def note(self, text: str) -> None:
        """Says something to people, beside the output."""
        if not self.as_json:
            print(f"dachi-fast: {safe(text)}", file=sys.stderr)


def _print_json(record: Record) -> None:
    print(json.dumps({name: plain(value) for name, value in record.items()}))


def _draw(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        side = "right" if column.side == "r" else "left"
        table.add_column(column.head, justify=side, style=column.style, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*map(Text, row))
    Console(highlight=False).print(table)


def _align(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    lines = [[column.head for column in columns], *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    for line in lines:
        cells = zip(columns, line, widths, strict=True)
        text = "  ".join(
            cell.rjust(width) if column.side == "r" else cell.ljust(width)
            for column, cell, width in cells
        )
        print(text.rstrip())
