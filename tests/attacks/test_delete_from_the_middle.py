"""Somebody deletes single records."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks import attacker, table
from tests.attacks.victim import Edits, Victim


def _of_nodes(kind: str) -> Edits:
    def edits(victim: Victim) -> Iterator[str]:
        for key in victim.samples(kind):
            with victim.edited({key: None}):
                yield key.hex()

    return edits


def _of_the_log(victim: Victim) -> Iterator[str]:
    for seq in (0, 1, len(victim.needed["ledger"]) // 2):
        with victim.edited({attacker.ledger_id(seq): None}):
            yield f"entry {seq}"


def _of_the_head(victim: Victim) -> Iterator[str]:
    with victim.with_head(None):
        yield "the head"


def _of_the_keys(victim: Victim) -> Iterator[str]:
    path = victim.store / "keys.sealed"
    content = path.read_bytes()
    path.unlink()
    yield "keys.sealed"
    path.write_bytes(content)


def _of_all_nodes(victim: Victim) -> Iterator[str]:
    with victim.edited(dict.fromkeys(attacker.read(victim.store))):
        yield "all nodes"


EDITS: dict[str, Edits] = {
    **{kind: _of_nodes(kind) for kind in attacker.KINDS if kind != "ledger"},
    "ledger": _of_the_log,
    "head": _of_the_head,
    "keys.sealed": _of_the_keys,
    "all nodes": _of_all_nodes,
}


@pytest.mark.parametrize("of", EDITS)
def test_a_deleted_record_is_missed_by_the_ordinary_read(victim: Victim, of: str) -> None:
    assert victim.refused_with(EDITS[of]) == table.codes(__name__, of)


def test_the_ordinary_reads_open_every_node_that_the_store_consists_of(victim: Victim) -> None:
    assert victim.warm.call("nodes", str(victim.folder)) == sum(map(len, victim.needed.values()))
