"""Somebody puts the whole folder of yesterday back: every record in it is genuine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks import table
from tests.attacks.victim import NAMES, Edits, Victim


def _yesterday(victim: Victim) -> Path:
    """Keeps a copy, lets the owner go on, and gives the copy."""
    kept = victim.folder / "yesterday"
    shutil.copytree(victim.store, kept)
    victim.warm.call("save", str(victim.folder), NAMES[1], "today")
    return kept


def _put_back(victim: Victim) -> Iterator[str]:
    kept = _yesterday(victim)
    shutil.rmtree(victim.store)
    shutil.copytree(kept, victim.store)
    yield "yesterday's folder"


def _continued(victim: Victim) -> Iterator[str]:
    """The owner was led to go on from yesterday's folder where no witness was."""
    kept = _yesterday(victim)
    shutil.rmtree(victim.store)
    shutil.copytree(kept, victim.store)
    witness = victim.folder / "witness"
    witness.rename(victim.folder / "witness of today")
    for note in ("one", "two", "three"):
        victim.warm.call("save", str(victim.folder), NAMES[0], note)
    shutil.rmtree(witness)
    (victim.folder / "witness of today").rename(witness)
    yield "a branch of yesterday's folder"


EDITS: dict[str, Edits] = {"put back": _put_back, "put back and continued": _continued}


@pytest.mark.parametrize("of", EDITS)
def test_yesterdays_folder_is_refused_by_the_ordinary_read(victim: Victim, of: str) -> None:
    assert victim.refused_with(EDITS[of]) == table.codes(__name__, of)


def test_nothing_can_be_saved_over_yesterdays_folder(victim: Victim) -> None:
    for _ in _put_back(victim):
        assert victim.warm.call("refused_save", str(victim.folder), NAMES[1]) == "rolled-back"
        assert victim.codes() == {"rolled-back"}
