"""The table names every edit that is tried, and tries every edit that it names."""

from __future__ import annotations

import importlib
from pathlib import Path

from dachi_fast import errors
from tests.attacks import table


def test_the_table_names_what_is_tried_and_nothing_else() -> None:
    tried = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        if path.stem != "test_table":
            module = importlib.import_module(f"tests.attacks.{path.stem}")
            tried |= {(path.stem.removeprefix("test_"), of) for of in module.EDITS}
    assert set(table.rows()) == tried


def test_every_code_of_the_table_is_one_of_errors() -> None:
    found = {code for refusals in table.rows().values() for codes in refusals for code in codes}
    assert found <= set(errors._BY_CODE)
