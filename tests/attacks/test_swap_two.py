"""Somebody exchanges two genuine records of one store."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.attacks import attacker, table
from tests.attacks.victim import Edits, Victim


def _of_nodes(kind: str) -> Edits:
    def edits(victim: Victim) -> Iterator[str]:
        nodes = attacker.read(victim.store)
        ids = victim.samples(kind)
        assert len(ids) > 1
        for a, b in pairwise(ids):
            with victim.edited({a: nodes[b], b: nodes[a]}):
                yield f"{a.hex()} and {b.hex()}"

    return edits


def _of_neighbours_in_the_log(victim: Victim) -> Iterator[str]:
    nodes = attacker.read(victim.store)
    last = attacker.ledger_id(len(victim.needed["ledger"]) - 1)
    before = attacker.ledger_id(len(victim.needed["ledger"]) - 2)
    with victim.edited({last: nodes[before], before: nodes[last]}):
        yield "the last two entries"


def _of_two_kinds(victim: Victim) -> Iterator[str]:
    nodes = attacker.read(victim.store)
    for a, b in pairwise([*attacker.KINDS, "leaf"]):
        one, other = victim.samples(a)[0], victim.samples(b)[0]
        with victim.edited({one: nodes[other], other: nodes[one]}):
            yield f"a {a} and a {b}"


EDITS: dict[str, Edits] = {
    **{f"two of kind {kind}": _of_nodes(kind) for kind in attacker.KINDS},
    "the newest ledger entries": _of_neighbours_in_the_log,
    "two kinds": _of_two_kinds,
}


@pytest.mark.parametrize("of", EDITS)
def test_exchanged_records_are_refused_by_the_ordinary_read(victim: Victim, of: str) -> None:
    assert victim.refused_with(EDITS[of]) == table.codes(__name__, of)
