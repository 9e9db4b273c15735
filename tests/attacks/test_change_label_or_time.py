"""Somebody changes what is readable without a key: kinds, epochs, formats, store ids, node ids."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks import attacker, table
from tests.attacks.victim import Edits, Victim

ZEROS = bytes(64)


def _of_nodes(field: str, *values: bytes) -> Edits:
    def edits(victim: Victim) -> Iterator[str]:
        nodes, place = attacker.read(victim.store), attacker.ENVELOPE[field]
        for kind in attacker.KINDS:
            key = victim.samples(kind)[0]
            for value in values:
                if nodes[key][place[0] : place[0] + place[1]] != value:
                    with victim.edited({key: attacker.with_field(nodes[key], place, value)}):
                        yield f"{kind}: {value.hex()}"

    return edits


def _of_the_head(field: str, value: bytes) -> Edits:
    def edits(victim: Victim) -> Iterator[str]:
        record = attacker.head(victim.store)
        with victim.with_head(attacker.with_field(record, attacker.RECORD[field], value)):
            yield field

    return edits


def _of_the_heads_envelope(field: str, value: bytes) -> Edits:
    at, length = attacker.ENVELOPE[field]

    def edits(victim: Victim) -> Iterator[str]:
        record = attacker.head(victim.store)
        with victim.with_head(attacker.with_field(record, (36 + at, length), value)):
            yield field

    return edits


def _of_the_keys(field: str, value: bytes) -> Edits:
    def edits(victim: Victim) -> Iterator[str]:
        path = victim.store / "keys.sealed"
        changed = attacker.with_field(path.read_bytes(), attacker.KEYS[field], value)
        with victim.replaced(path, changed):
            yield field

    return edits


def _of_ids(victim: Victim) -> Iterator[str]:
    nodes = attacker.read(victim.store)
    for kind in attacker.KINDS:
        key = victim.samples(kind)[0]
        later = (int.from_bytes(key[:8], "big") - 10**9).to_bytes(8, "big") + key[8:]
        with victim.edited({key: None, later: nodes[key]}):
            yield f"{kind}, a second earlier"


EDITS: dict[str, Edits] = {
    "version of a node": _of_nodes("version", b"\0", b"\2"),
    "kind of a node": _of_nodes("kind", b"\3", b"\6", b"\xff"),
    "epoch of a node": _of_nodes("epoch", ZEROS[:4], b"\xff" * 4),
    "salt of a node": _of_nodes("salt", ZEROS[:24]),
    "time in a node's id": _of_ids,
    "magic of the head": _of_the_head("magic", ZEROS[:16]),
    "format of the head, none": _of_the_head("format", ZEROS[:4]),
    "format of the head, newer": _of_the_head("format", b"\xff" * 4),
    "store id of the head": _of_the_head("store id", ZEROS[:16]),
    "kind of the head": _of_the_heads_envelope("kind", b"\2"),
    "epoch of the head": _of_the_heads_envelope("epoch", b"\xff" * 4),
    "salt of the head": _of_the_heads_envelope("salt", ZEROS[:24]),
    "format of keys.sealed": _of_the_keys("format", b"\xff" * 4),
    "store id of keys.sealed": _of_the_keys("store id", ZEROS[:16]),
    "generation of keys.sealed": _of_the_keys("generation", b"\xff" * 8),
}


@pytest.mark.parametrize("of", EDITS)
def test_a_changed_label_is_refused_by_the_ordinary_read(victim: Victim, of: str) -> None:
    assert victim.refused_with(EDITS[of]) == table.codes(__name__, of)
