"""The table in README.md, which names what each edit is answered with."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

README = Path(__file__).with_name("README.md")
_CODES = r"((?:`[a-z-]+`(?:, )?)+)"
_ROW = re.compile(rf"^\| (\w+) \| ([^|]+) \| {_CODES} \| {_CODES} \|$", re.MULTILINE)


class Refusals(NamedTuple):
    """The codes that all edits of one row are refused with, by the core and the second reader."""

    core: set[str]
    reader: set[str]


def rows() -> dict[tuple[str, str], Refusals]:
    """Gives the codes of every row, by file and by what is edited."""
    found = _ROW.findall(README.read_text())
    table = {(file, of): Refusals(_codes(core), _codes(reader)) for file, of, core, reader in found}
    assert len(table) == len(found), "a row stands there twice"
    return table


def _codes(text: str) -> set[str]:
    return set(re.findall(r"`([a-z-]+)`", text))


def codes(file: str, of: str) -> Refusals:
    """Gives the codes of one row."""
    return rows()[file.rpartition(".")[2].removeprefix("test_"), of]
