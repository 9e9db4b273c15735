"""Somebody cuts the end off: of records, of the log, of what was saved last."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks import attacker, table
from tests.attacks.victim import Edits, Victim


def _within_the_header(victim: Victim) -> Iterator[str]:
    nodes = attacker.read(victim.store)
    for kind in attacker.KINDS:
        key = victim.samples(kind)[-1]
        for length in (0, attacker.ENVELOPE_BYTES - 1):
            with victim.edited({key: nodes[key][:length]}):
                yield f"{kind} of {length} bytes"


def _within_the_content(victim: Victim) -> Iterator[str]:
    nodes = attacker.read(victim.store)
    for kind in attacker.KINDS:
        key = victim.samples(kind)[-1]
        for cut in (1, 64, len(nodes[key]) - attacker.ENVELOPE_BYTES):
            with victim.edited({key: nodes[key][:-cut]}):
                yield f"{kind} without its last {cut} bytes"


def _of_the_log(victim: Victim) -> Iterator[str]:
    size = len(victim.needed["ledger"])
    for count in (1, size // 2, size):
        entries = range(size - count, size)
        with victim.edited(dict.fromkeys(attacker.ledger_id(seq) for seq in entries)):
            yield f"the last {count} entries"


def _of_the_newest_nodes(victim: Victim) -> Iterator[str]:
    newest = sorted(key for kind, ids in victim.needed.items() if kind != "ledger" for key in ids)
    for count in (1, 3, 20):
        with victim.edited(dict.fromkeys(newest[-count:])):
            yield f"the {count} newest nodes"


def _of_the_head(victim: Victim) -> Iterator[str]:
    record = attacker.head(victim.store)
    for length in (0, 15, 19, 35, 36 + attacker.ENVELOPE_BYTES + 31):
        with victim.with_head(record[:length]):
            yield f"{length} bytes"


def _of_the_heads_content(victim: Victim) -> Iterator[str]:
    record = attacker.head(victim.store)
    for cut in (1, 64):
        with victim.with_head(record[:-cut]):
            yield f"without its last {cut} bytes"


def _of_the_keys(victim: Victim) -> Iterator[str]:
    path = victim.store / "keys.sealed"
    content = path.read_bytes()
    for cut in (1, 64, 4_096):
        with victim.replaced(path, content[:-cut]):
            yield f"without its last {cut} bytes"


EDITS: dict[str, Edits] = {
    "header of a node": _within_the_header,
    "content of a node": _within_the_content,
    "log": _of_the_log,
    "newest nodes": _of_the_newest_nodes,
    "header of the head": _of_the_head,
    "content of the head": _of_the_heads_content,
    "keys.sealed": _of_the_keys,
}


@pytest.mark.parametrize("of", EDITS)
def test_a_cut_tail_is_refused_by_the_ordinary_read(victim: Victim, of: str) -> None:
    assert victim.refused_with(EDITS[of]) == table.codes(__name__, of)
