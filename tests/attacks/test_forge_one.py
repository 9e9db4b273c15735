"""Somebody with this software, the store's id and keys of his own makes records himself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dachi_fast import KeyFile, _core
from tests.attacks import attacker, table
from tests.attacks.victim import Edits, Victim


def _forgery(victim: Victim) -> Path:
    """Gives a store with the victim's id and wrapped root, but under another root key."""
    folder = victim.folder / "forgery"
    if not folder.exists():
        found = _core.store.probe(victim.store)
        assert found is not None
        store_id, wrapped = found
        theirs = (KeyFile(victim.folder / "their key"), b"their store")
        _core.store.Store(folder, store_id, os.urandom(32), wrapped, theirs, None).close()
    return folder


def _of_nodes(kind: str) -> Edits:
    def edits(victim: Victim) -> Iterator[str]:
        nodes = attacker.read(victim.store)
        for key in victim.samples(kind):
            with victim.edited({key: attacker.forged(nodes[key])}):
                yield key.hex()

    return edits


def _of_the_log(victim: Victim) -> Iterator[str]:
    entry = attacker.read(_forgery(victim))[attacker.ledger_id(0)]
    for seq in (0, len(victim.needed["ledger"]) - 1):
        with victim.edited({attacker.ledger_id(seq): entry}):
            yield f"entry {seq}"


def _of_the_head(victim: Victim) -> Iterator[str]:
    with victim.with_head(attacker.head(_forgery(victim))):
        yield "a head that their keys sealed"


def _of_the_data(victim: Victim) -> Iterator[str]:
    with victim.replaced(victim.store / "data.mdb", (_forgery(victim) / "data.mdb").read_bytes()):
        yield "all records"


def _of_the_keys(victim: Victim) -> Iterator[str]:
    path = victim.store / "keys.sealed"
    with victim.replaced(path, (_forgery(victim) / "keys.sealed").read_bytes()):
        yield "keys.sealed"


def _of_the_folder(victim: Victim) -> Iterator[str]:
    forgery = _forgery(victim)
    shutil.rmtree(victim.store)
    shutil.copytree(forgery, victim.store)
    yield "the whole folder"


def _of_the_witness(victim: Victim) -> Iterator[str]:
    content = victim.witness_file.read_bytes()
    with victim.replaced(victim.witness_file, content[:16] + os.urandom(len(content) - 16)):
        yield "a witness that their keys sealed"


EDITS: dict[str, Edits] = {
    **{kind: _of_nodes(kind) for kind in attacker.KINDS if kind != "ledger"},
    "ledger": _of_the_log,
    "head": _of_the_head,
    "data.mdb": _of_the_data,
    "keys.sealed": _of_the_keys,
    "the whole folder": _of_the_folder,
    "witness": _of_the_witness,
}


@pytest.mark.parametrize("of", EDITS)
def test_a_forged_record_is_refused_by_the_ordinary_read(victim: Victim, of: str) -> None:
    assert victim.refused_with(EDITS[of]) == table.codes(__name__, of)


def test_an_entry_forged_behind_the_logs_end_is_not_part_of_it(victim: Victim) -> None:
    size = len(victim.needed["ledger"])
    entry = attacker.read(victim.store)[attacker.ledger_id(size - 1)]
    with victim.edited({attacker.ledger_id(size): entry}):
        assert victim.codes() == set()
