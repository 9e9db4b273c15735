"""Somebody changes what records say, bit by bit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks import attacker, table
from tests.attacks.victim import Edits, Victim


def _of_nodes(kind: str) -> Edits:
    def edits(victim: Victim) -> Iterator[str]:
        nodes = attacker.read(victim.store)
        for key in victim.samples(kind):
            for at in (attacker.ENVELOPE_BYTES, len(nodes[key]) // 2, -1):
                with victim.edited({key: attacker.flipped(nodes[key], at)}):
                    yield f"byte {at} of {key.hex()}"

    return edits


def _of_the_head(victim: Victim) -> Iterator[str]:
    record = attacker.head(victim.store)
    for at in (66, 100, len(record) // 2, -1):
        with victim.with_head(attacker.flipped(record, at)):
            yield f"byte {at}"


def _of_the_keys(victim: Victim) -> Iterator[str]:
    path = victim.store / "keys.sealed"
    content = path.read_bytes()
    for at in (len(content) // 2, -1):
        with victim.replaced(path, attacker.flipped(content, at)):
            yield f"byte {at}"


def _of_the_witness(victim: Victim) -> Iterator[str]:
    path = victim.witness_file
    content = path.read_bytes()
    with victim.replaced(path, attacker.flipped(attacker.flipped(content, 20), 4_096 + 20)):
        yield "both slots"


EDITS: dict[str, Edits] = {
    **{kind: _of_nodes(kind) for kind in attacker.KINDS},
    "head": _of_the_head,
    "keys.sealed": _of_the_keys,
    "witness": _of_the_witness,
}


@pytest.mark.parametrize("of", EDITS)
def test_a_changed_record_is_refused_by_the_ordinary_read(victim: Victim, of: str) -> None:
    assert victim.refused_with(EDITS[of]) == table.codes(__name__, of)
