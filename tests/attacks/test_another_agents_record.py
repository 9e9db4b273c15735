"""Somebody puts genuine records of another agent, of the same kind and shape, in place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks import attacker, table
from tests.attacks.victim import NAMES, Edits, Victim


def _own(victim: Victim, kind: str) -> list[list[bytes]]:
    """Gives, for each agent, the nodes of a kind that it needs and the other does not."""
    own: list[list[bytes]] = [[], []]
    for key in victim.needed[kind]:
        with victim.edited({key: None}):
            refused = " ".join(victim.refused_questions())
        if sum(name in refused for name in NAMES) == 1:
            own[NAMES[1] in refused].append(key)
    return own


def _of_nodes(kind: str) -> Edits:
    def edits(victim: Victim) -> Iterator[str]:
        nodes = attacker.read(victim.store)
        mine, theirs = _own(victim, kind)
        assert mine
        assert theirs
        for key, other in list(zip(mine, theirs, strict=False))[:2]:
            with victim.edited({key: nodes[other]}):
                yield f"{other.hex()} as {key.hex()}"

    return edits


def _of_the_log(victim: Victim) -> Iterator[str]:
    nodes = attacker.read(victim.store)
    size = len(victim.needed["ledger"])
    # The twin was saved after the agent: entries 1 to 4 are of one, 5 to 8 of the other.
    for seq, other in ((1, 5), (size - 1, 5), (5, size - 1)):
        with victim.edited({attacker.ledger_id(seq): nodes[attacker.ledger_id(other)]}):
            yield f"entry {other} as {seq}"


def _another_store(victim: Victim) -> Path:
    folder = victim.folder / "another"
    folder.mkdir()
    victim.warm.call("make", str(folder))
    return folder / "store"


def _of_another_stores_head(victim: Victim) -> Iterator[str]:
    with victim.with_head(attacker.head(_another_store(victim))):
        yield "the head"


def _of_another_stores_log(victim: Victim) -> Iterator[str]:
    theirs = attacker.read(_another_store(victim))
    for seq in (0, 1):
        key = attacker.ledger_id(seq)
        with victim.edited({key: theirs[key]}):
            yield f"entry {seq}"


def _of_another_stores_data(victim: Victim) -> Iterator[str]:
    theirs = _another_store(victim) / "data.mdb"
    with victim.replaced(victim.store / "data.mdb", theirs.read_bytes()):
        yield "all records"


def _of_another_stores_keys(victim: Victim) -> Iterator[str]:
    theirs = _another_store(victim) / "keys.sealed"
    with victim.replaced(victim.store / "keys.sealed", theirs.read_bytes()):
        yield "keys.sealed"


EDITS: dict[str, Edits] = {
    **{kind: _of_nodes(kind) for kind in attacker.KINDS if kind != "ledger"},
    "ledger": _of_the_log,
    "head of another store": _of_another_stores_head,
    "ledger of another store": _of_another_stores_log,
    "data.mdb of another store": _of_another_stores_data,
    "keys.sealed of another store": _of_another_stores_keys,
}


@pytest.mark.parametrize("of", EDITS)
def test_a_record_of_another_agent_is_refused_by_the_ordinary_read(victim: Victim, of: str) -> None:
    assert victim.refused_with(EDITS[of]) == table.codes(__name__, of)
