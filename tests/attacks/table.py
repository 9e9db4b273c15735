"""The table in README.md, which names what each edit is answered with."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).with_name("README.md")
_ROW = re.compile(r"^\| (\w+) \| ([^|]+) \| ((?:`[a-z-]+`(?:, )?)+|nothing) \|$", re.MULTILINE)


def rows() -> dict[tuple[str, str], set[str]]:
    """Gives the codes of every row, by file and by what is edited; none if nobody is misled."""
    found = _ROW.findall(README.read_text())
    table = {(file, of): set(re.findall(r"`([a-z-]+)`", codes)) for file, of, codes in found}
    assert len(table) == len(found), "a row stands there twice"
    return table


def codes(file: str, of: str) -> set[str]:
    """Gives the codes of one row."""
    return rows()[file.rpartition(".")[2].removeprefix("test_"), of]
