"""Somebody puts genuine records of the same agent in place, but older ones."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.attacks import attacker, table
from tests.attacks.victim import NAMES, Edits, Victim


def _of_nodes(kind: str) -> Edits:
    def edits(victim: Victim) -> Iterator[str]:
        nodes = attacker.read(victim.store)
        for key in victim.samples(kind)[1:]:
            older = [other for other in attacker.of_kind(nodes, kind) if other < key][-1]
            with victim.edited({key: nodes[older]}):
                yield f"{older.hex()} as {key.hex()}"

    return edits


def _save(victim: Victim) -> None:
    victim.warm.call("save", str(victim.folder), NAMES[1], "later")
    victim.answers = victim.warm.call("ask", str(victim.folder))


def _of_the_head(victim: Victim) -> Iterator[str]:
    older = attacker.head(victim.store)
    _save(victim)
    with victim.with_head(older):
        yield "the head of a commit before"


def _of_the_data(victim: Victim) -> Iterator[str]:
    older = (victim.store / "data.mdb").read_bytes()
    _save(victim)
    with victim.replaced(victim.store / "data.mdb", older):
        yield "data.mdb of a commit before"


def _of_a_meta_page(victim: Victim) -> Iterator[str]:
    """LMDB keeps two: which is newer is a number that anybody can write."""
    _save(victim)
    path = victim.store / "data.mdb"
    content = path.read_bytes()
    # Each meta page ends with the number of its transaction, at byte 144 of the page.
    numbers = [int.from_bytes(content[page + 144 : page + 152], "little") for page in (0, 4_096)]
    older = 4_096 * numbers.index(min(numbers))
    raised = (max(numbers) + 1).to_bytes(8, "little")
    with victim.replaced(path, content[: older + 144] + raised + content[older + 152 :]):
        yield "the older meta page made the newer one"


def _of_the_keys(victim: Victim) -> Iterator[str]:
    older = (victim.store / "keys.sealed").read_bytes()
    victim.warm.call("fill", str(victim.folder))
    victim.answers = victim.warm.call("ask", str(victim.folder))
    with victim.replaced(victim.store / "keys.sealed", older):
        yield "keys.sealed of before the newest keys"


def _of_data_with_newer_keys(victim: Victim) -> Iterator[str]:
    older = (victim.store / "data.mdb").read_bytes()
    victim.warm.call("fill", str(victim.folder))
    with victim.replaced(victim.store / "data.mdb", older):
        yield "data.mdb of before the newest keys"


EDITS: dict[str, Edits] = {
    **{kind: _of_nodes(kind) for kind in attacker.KINDS},
    "head": _of_the_head,
    "data.mdb": _of_the_data,
    "meta page": _of_a_meta_page,
    "keys.sealed": _of_the_keys,
    "data.mdb under newer keys": _of_data_with_newer_keys,
}


@pytest.mark.parametrize("of", EDITS)
def test_an_older_record_is_refused_by_the_ordinary_read(victim: Victim, of: str) -> None:
    assert victim.refused_with(EDITS[of]) == table.codes(__name__, of)


def test_an_older_witness_alone_misleads_nobody(victim: Victim) -> None:
    older = victim.witness_file.read_bytes()
    _save(victim)
    with victim.replaced(victim.witness_file, older):
        assert victim.codes() == set()
    shutil.rmtree(victim.folder / "witness")
    answers = victim.warm.call("ask", str(victim.folder))
    # The ledger says from now on that the witness was missing.
    changed = {
        question for question, answer in answers.items() if answer != victim.answers[question]
    }
    assert (changed, answers["ledger"][0]) == ({"ledger"}, "answered")
