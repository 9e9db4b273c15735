"""How the demo shows its steps: plain text, or rich on a terminal, or not at all."""

from __future__ import annotations

import textwrap
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

_WIDTH = 100


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows to look at.

    Attributes:
        heads: one for each column.
        aligned: one letter for each column: ``l`` or ``r``.
        rows: as many cells as there are heads; a row of one cell is a remark between the others.
    """

    heads: Sequence[str]
    aligned: str
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the story.

    Attributes:
        name: one or two words.
        what: one sentence: what happened.
        why: one sentence: why it can be trusted.
        holds: what it claims, and whether that was found to be so.
        table: more, for those who look closer.
    """

    name: str
    what: str
    why: str
    holds: dict[str, bool] = field(default_factory=dict)
    table: Table | None = None

    @property
    def broken(self) -> list[str]:
        """The claims that did not hold."""
        return [claim for claim, held in self.holds.items() if not held]


class Screen(ABC):
    """Where the steps are shown."""

    @abstractmethod
    def say(self, text: str) -> None:
        """Shows one line beside the steps."""

    @abstractmethod
    def show(self, number: int, step: Step) -> None:
        """Shows one step."""

    @contextmanager
    def busy(self, text: str) -> Iterator[None]:  # noqa: ARG002 -- shown where lines can be erased
        """Shows what goes on until the `with` ends."""
        yield


class Silent(Screen):
    """Shows nothing: all goes into one JSON document at the end."""

    def say(self, text: str) -> None:
        """Drops the line."""

    def show(self, number: int, step: Step) -> None:
        """Drops the step."""


class Plain(Screen):
    """Text without control codes, for pipes, files and old terminals."""

    def say(self, text: str) -> None:
        """Prints a line."""
        print(text, flush=True)

    def show(self, number: int, step: Step) -> None:
        """Prints a step, wrapped."""
        print(f"\n{number} {step.name}")
        for label, text in (("what", step.what), ("why ", step.why)):
            lead = f"  {label}  "
            print(textwrap.fill(text, _WIDTH, initial_indent=lead, subsequent_indent=" " * 8))
        for claim in step.broken:
            print(f"  DOES NOT HOLD: {claim}")
        if step.table is not None:
            widths = _widths(step.table)
            for row in (step.table.heads, *step.table.rows):
                print(f"        {_line(row, widths, step.table.aligned)}".rstrip())
        print(end="", flush=True)


def _widths(table: Table) -> list[int]:
    full = [row for row in (table.heads, *table.rows) if len(row) == len(table.heads)]
    return [max(len(row[column]) for row in full) for column in range(len(table.heads))]


def _line(row: Sequence[str], widths: Sequence[int], aligned: str) -> str:
    if len(row) == 1:
        return f"-- {row[0]} --"
    cells = zip(row, widths, aligned, strict=True)
    return "  ".join(
        cell.rjust(width) if side == "r" else cell.ljust(width) for cell, width, side in cells
    )


class Rich(Screen):
    """Colour and tables on a terminal; needs the extra `cli`."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(highlight=False)

    def say(self, text: str) -> None:
        """Prints a line."""
        self._console.print(text, style="bold", markup=False)

    @contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """Shows a spinner; it is gone when the `with` ends."""
        with self._console.status(text):
            yield

    def show(self, number: int, step: Step) -> None:
        """Prints a step."""
        from rich import box
        from rich.padding import Padding
        from rich.table import Table as RichTable
        from rich.text import Text

        colour = "red" if step.broken else "green"
        self._console.print()
        self._console.print(Text(f"{number} {step.name}", style=f"bold {colour}"))
        self._console.print(Padding(Text(step.what), (0, 0, 0, 2)))
        self._console.print(Padding(Text(step.why, style="dim"), (0, 0, 0, 2)))
        for claim in step.broken:
            self._console.print(Padding(Text(f"does not hold: {claim}", "bold red"), (0, 0, 0, 2)))
        if step.table is not None:
            grid = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
            for head, side in zip(step.table.heads, step.table.aligned, strict=True):
                grid.add_column(head, justify="right" if side == "r" else "left", style="cyan")
            for row in step.table.rows:
                remark = len(row) == 1
                cells = [Text(cell, style="bold red" if remark else "") for cell in row]
                grid.add_row(*cells, end_section=remark)
            self._console.print(Padding(grid, (0, 0, 0, 4)))


def screen_for(output: str) -> Screen:
    """Gives the screen for an output of `DemoOptions`."""
    if output == "rich":
        return Rich()
    return Silent() if output == "json" else Plain()
