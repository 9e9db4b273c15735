"""Every store that a released version wrote opens, proves itself, and holds what was saved."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dachi_fast import (
    FileWitness,
    KeyFile,
    LmdbMemoryProvider,
    Store,
    TransactionManager,
    reader,
)
from tests.compat.agent import Frozen, document, frozen
from tests.compat.generate import DOCUMENTS, HERE, NAMES, VERSIONS, generate, number_of
from tests.oracles.reading import described
from tests.tokens import same

FROZEN = sorted(HERE.glob("format-*"))
MOST_BYTES = 400 << 10


def _check(folder: Path) -> None:
    (folder / "key").chmod(0o600)  # version control does not keep this
    expected = json.loads((folder / "expected.json").read_text())
    _check_with_the_reader(folder, expected["entries"])
    witness = FileWitness(folder / "witness", missing="refuse")
    with Store.open(folder / "store", keys=KeyFile(folder / "key"), witness=witness) as store:
        assert store.names() == NAMES
        for name in NAMES:
            assert [v.root for v in store.history(name)] == expected["roots"][name]
            assert store.fingerprint(name) == expected["fingerprints"][name]
        history = store.history("agent")
        assert [version.number for version in history] == list(range(VERSIONS + 1, 0, -1))
        assert (history[0].restores, history[2].tags) == (1, ("best",))
        assert history[1].justification == f"version {VERSIONS}"
        for number in range(1, VERSIONS + 1):
            loaded = store.load("agent", version=number)
            assert same(loaded.state_dict(), frozen(number).state_dict())
        assert same(store.load("fork").state_dict(), frozen(2).state_dict())
        assert same(store.load("copy").state_dict(), frozen(1).state_dict())
        Frozen.board.clear()
        store.load_shared(Frozen)
        assert Frozen.board == {"jobs": 3}
        for name in NAMES:
            with TransactionManager(LmdbMemoryProvider(store, namespace=name)).sync as tx:
                for number in range(DOCUMENTS):
                    [found] = tx.find("note", where={"number": number})
                    assert found.content == document(number)
                    assert (found.expires is None) == (number > 0)
        assert [entry.hash for entry in store.ledger(limit=3)] == expected["ledger"]
        assert store.verify().ledger_entries == expected["entries"]
        store.prove(0).verify(store.verifier_key)
        # It goes on.
        agent = store.load("agent")
        assert store.save(agent, "agent").number == VERSIONS + 2
        store.verify()


def _check_with_the_reader(folder: Path, entries: int) -> None:
    key, witness = reader.KeyFile(folder / "key"), folder / "witness"
    with reader.StoreReader(folder / "store", key=key, witness=witness) as store:
        assert store.verify().entries == entries
        assert store.names() == NAMES
        assert store.document_names() == NAMES
        for name in NAMES:
            found = [one.value for one in store.documents(name)]
            assert found == [document(number) for number in range(DOCUMENTS)]
        [shared] = store.shared_names()
        assert store.state(shared) == {"board": {"jobs": 3}}
        for number in range(1, VERSIONS + 1):
            saved = frozen(number).state_dict()
            assert {path: described(value) for path, value in saved.items()} == {
                path: described(value) for path, value in store.state("agent", number).items()
            }


@pytest.mark.parametrize("folder", FROZEN, ids=lambda folder: folder.name)
def test_a_frozen_store_opens_and_holds_what_was_saved(folder: Path, tmp_path: Path) -> None:
    _check(shutil.copytree(folder, tmp_path / "frozen"))


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh")
    generate(folder)
    return folder


def test_a_store_frozen_today_would_pass(fresh: Path, tmp_path: Path) -> None:
    _check(shutil.copytree(fresh, tmp_path / "frozen"))


def test_this_format_has_a_frozen_store_and_all_are_small(fresh: Path) -> None:
    assert f"format-{number_of(fresh)}" in {folder.name for folder in FROZEN}
    for folder in FROZEN:
        files = [file for file in folder.rglob("*") if file.is_file()]
        assert sum(file.stat().st_size for file in files) < MOST_BYTES
