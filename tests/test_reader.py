"""The second reader: what it opens, what it refuses, and that it changes nothing."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

import dachi_fast
from dachi_fast import Attr, BaseModule, FileWitness, Param, Store, reader
from dachi_fast.errors import DachiError, KeyringError, UnknownName, WitnessMissing
from dachi_fast.reader import Opaque, StoreReader
from dachi_fast.reader.__main__ import main
from dachi_fast.reader._keys import Key
from dachi_fast.types import KeyProvider
from tests.attacks import attacker
from tests.samples import Mood

FIELDS: Final = {**attacker.ENVELOPE, "body": (40, 1), "tag": (-1, 1)}


class Part(BaseModule):
    value: Any = Attr(default=None)


class Agent(BaseModule):
    parts: list[BaseModule] = Param(default_factory=list)
    array: Any = Attr(default=None)


def agent(seed: int) -> Agent:
    made = Agent(parts=[Part() for _ in range(150)])
    made.parts[1].value = {"mood": Mood.CALM, "nan": float("nan"), "b": b"\0", 3: (1, {2})}  # type: ignore[attr-defined]
    made.array = np.random.default_rng(seed).standard_normal(5_000)
    return made


def write(folder: Path) -> None:
    """Writes a store with nodes of every kind, its key and its witness into a folder."""
    keys, witness = dachi_fast.KeyFile(folder / "key"), FileWitness(folder / "witness")
    with Store.open(folder / "store", keys=keys, witness=witness, audit_reads="off") as store:
        for seed in range(3):
            store.save(agent(seed), "agent", base="latest", justification=f"seed {seed}")
        store.tag("agent", version=2, tag="best")
        for _ in range(126):  # the ledger's tree gets a tile
            store.tag("agent", tag="soon gone")
            store.untag("agent", tag="soon gone")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    write(folder)
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    return shutil.copytree(written, tmp_path / "copy")


def opened(folder: Path, **arguments: Any) -> StoreReader:
    key = arguments.pop("key", reader.KeyFile(folder / "key"))
    return StoreReader(folder / "store", key=key, **arguments)


def refusal(folder: Path, **arguments: Any) -> str:
    """Gives the code of the error with which a store is refused; "accepted" if it is not."""
    try:
        with opened(folder, **arguments) as store:
            store.verify()
    except DachiError as error:
        return error.code
    return "accepted"


def _needed(folder: Path) -> dict[int, list[bytes]]:
    """Gives the nodes that the store consists of, by kind."""
    with opened(folder) as store:
        store.verify()
        needed = store._met
    nodes = attacker.read(folder / "store")
    kinds = {nodes[node][1] for node in needed}
    return {kind: sorted(node for node in needed if nodes[node][1] == kind) for kind in kinds}


@contextmanager
def _edited(folder: Path, node: bytes, record: bytes) -> Iterator[None]:
    before = attacker.read(folder / "store")[node]
    attacker.write(folder / "store", {node: record})
    yield
    attacker.write(folder / "store", {node: before})


@pytest.mark.parametrize("field", FIELDS)
def test_a_flipped_bit_in_a_node_of_any_kind_is_refused(folder: Path, field: str) -> None:
    nodes, needed = attacker.read(folder / "store"), _needed(folder)
    assert set(needed) == {3, 4, 5, 6, 7, 8, 9, 12}
    at, length = FIELDS[field]
    for kind, ids in needed.items():
        for node in random.sample(ids, min(4, len(ids))):
            flipped = attacker.flipped(nodes[node], at + random.randrange(length))
            with _edited(folder, node, flipped):
                assert refusal(folder) in {"tampered", "wrong-context", "malformed"}, (kind, node)
    assert refusal(folder) == "accepted"


def test_a_node_that_is_gone_or_lies_in_anothers_place_is_refused(folder: Path) -> None:
    nodes, needed = attacker.read(folder / "store"), _needed(folder)
    for kind, ids in needed.items():
        attacker.write(folder / "store", {ids[0]: None})
        assert refusal(folder) == "missing", kind
        attacker.write(folder / "store", {ids[0]: nodes[ids[0]]})
        if len(ids) > 1:
            with _edited(folder, ids[0], nodes[ids[1]]):
                assert refusal(folder) == "tampered", kind


def test_a_flipped_bit_anywhere_in_the_head_is_refused(folder: Path) -> None:
    head = attacker.head(folder / "store")
    for at in random.sample(range(len(head)), 60):
        attacker.put_head(folder / "store", attacker.flipped(head, at))
        assert refusal(folder) != "accepted", at


def test_a_flipped_bit_anywhere_in_the_keys_is_refused(folder: Path) -> None:
    path = folder / "store" / "keys.sealed"
    keys = path.read_bytes()
    for at in random.sample(range(len(keys)), 200):
        path.write_bytes(attacker.flipped(keys, at))
        assert refusal(folder) != "accepted", at


def test_a_newer_format_is_refused(folder: Path) -> None:
    head = attacker.head(folder / "store")
    attacker.put_head(
        folder / "store", attacker.with_field(head, attacker.RECORD["format"], b"\2\0\0\0")
    )
    assert refusal(folder) == "format-too-new"


def test_older_keys_are_refused(folder: Path) -> None:
    older = (folder / "store" / "keys.sealed").read_bytes()
    with Store.open(
        folder / "store", keys=dachi_fast.KeyFile(folder / "key"), witness=None
    ) as store:
        store.rotate_now()
    (folder / "store" / "keys.sealed").write_bytes(older)
    assert refusal(folder) in {"rolled-back", "wrong-context", "tampered"}


def test_a_store_older_than_its_witness_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "store", tmp_path / "yesterday")
    keys, witness = dachi_fast.KeyFile(folder / "key"), FileWitness(folder / "witness")
    with Store.open(folder / "store", keys=keys, witness=witness) as store:
        store.rollback("agent", to=2)
    assert refusal(folder, witness=folder / "witness") == "accepted"
    shutil.rmtree(folder / "store")
    shutil.copytree(tmp_path / "yesterday", folder / "store")
    assert refusal(folder) == "accepted"
    assert refusal(folder, witness=folder / "witness") == "rolled-back"
    with Store.open(folder / "store", keys=keys, witness=None) as store:
        store.rollback("agent", to=1)
        store.rollback("agent", to=1)
    assert refusal(folder, witness=folder / "witness") == "rolled-back"


def test_a_witness_that_knows_nothing_or_was_edited_is_told_apart(
    folder: Path, tmp_path: Path
) -> None:
    """Symptom: the path of a witness that was written wrong switched it off in silence. Cause: one
    that knows nothing was taken for none. Fix: it is a warning, as `Store.open` has it."""
    with pytest.warns(WitnessMissing, match="it tells no older copy"):
        assert refusal(folder, witness=tmp_path) == "accepted"
    [file] = (file for file in (folder / "witness").iterdir() if not file.suffix)
    content = file.read_bytes()
    file.write_bytes(bytes(len(content)))
    with pytest.warns(WitnessMissing):
        assert refusal(folder, witness=folder / "witness") == "accepted"
    file.write_bytes(bytes(16) + content[16 : 4096 + 20] + bytes(len(content)))
    assert refusal(folder, witness=folder / "witness") == "tampered"


def test_every_kind_of_key_opens_its_stores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE_KEY", "42" * 32)
    word = "p\u00e4ssword"
    providers: dict[str, tuple[KeyProvider, Key]] = {
        "env": (dachi_fast.EnvKey("STORE_KEY"), reader.EnvKey("STORE_KEY")),
        "word": (
            dachi_fast.Passphrase(word, memory_kib=64, passes=1),
            reader.Passphrase("pa\u0308ssword"),
        ),
        "file": (dachi_fast.KeyFile(tmp_path / "key"), reader.KeyFile(tmp_path / "key")),
    }
    for name, (keys, key) in providers.items():
        with Store.open(tmp_path / name, keys=keys, witness=None) as store:
            store.save(agent(0), name)
        with StoreReader(tmp_path / name, key=key) as opened:
            assert opened.names() == [name]
    monkeypatch.setenv("STORE_KEY", "43" * 32)
    others: list[tuple[str, Key]] = [
        ("env", reader.EnvKey("STORE_KEY")),
        ("env", reader.EnvKey("NO_SUCH_KEY")),
        ("word", reader.Passphrase("another")),
        ("file", reader.KeyFile(tmp_path / "nowhere")),
        ("word", reader.KeyFile(tmp_path / "key")),
    ]
    for name, wrong in others:
        with pytest.raises(KeyringError):
            StoreReader(tmp_path / name, key=wrong)


def test_reading_changes_nothing_in_the_folder(folder: Path) -> None:
    def content() -> dict[str, tuple[int, bytes]]:
        files = (folder / "store").iterdir()
        return {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in files}

    (folder / "store" / "lock.mdb").unlink()
    before = content()
    with opened(folder, witness=folder / "witness") as store:
        store.verify()
        store.state("agent")
    assert content() == before


def test_a_store_that_somebody_has_open_is_locked_either_way(folder: Path) -> None:
    keys = dachi_fast.KeyFile(folder / "key")
    with Store.open(folder / "store", keys=keys, witness=None):
        assert refusal(folder) == "locked"
    with opened(folder):
        with pytest.raises(DachiError) as caught:
            Store.open(folder / "store", keys=keys, witness=None)
        assert caught.value.code == "locked"
    Store.open(folder / "store", keys=keys, witness=None).close()


def test_a_folder_that_is_no_whole_store_is_refused(folder: Path) -> None:
    (folder / "store" / "data.mdb").unlink()
    assert refusal(folder) == "missing"
    (folder / "store" / "data.mdb").write_bytes(b"no LMDB" * 1_000)
    assert refusal(folder) == "malformed"
    (folder / "store" / "keys.sealed").unlink()
    assert refusal(folder) == "missing"
    (folder / "store" / "data.mdb").unlink()
    assert refusal(folder) == "not-a-store"


def test_versions_are_found_by_number_and_tag(folder: Path) -> None:
    with opened(folder) as store:
        assert store.version("agent").number == 3
        assert store.version("agent", 2) == store.version("agent", "best")
        for name, which in [("nobody", None), ("agent", 999), ("agent", "worst"), ("agent", "2")]:
            with pytest.raises(UnknownName):
                store.version(name, which)


def test_values_of_classes_are_shown_as_they_are(folder: Path) -> None:
    with opened(folder) as store:
        mood = store.state("agent")["parts.1.value"]["mood"]
    assert type(mood) is Opaque
    assert (mood.tag, mood.content) == ("enum", ["tests.samples:Mood", 1, "CALM"])


def test_the_command_verifies_and_lists(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(folder / "store"), "--key", str(folder / "key")]
    assert main(arguments) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0].endswith("all proved")
    assert listed[1:4:2] == ["agent", listed[3]]
    assert "#best" in listed[3]
    assert listed[3].endswith("seed 1")


def test_the_command_gives_everything_as_json(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(folder / "store"), "--key", str(folder / "key"), "--json"]
    assert main(arguments) == 0
    dump = json.loads(capsys.readouterr().out)
    version = dump["names"]["agent"][2]
    assert version["justification"] == "seed 2"
    assert version["blueprint"]["kind"] == f"{__name__}:Agent"
    value = version["state"]["parts.1.value"]["$dict"]
    assert value == [
        ["mood", {"$enum": ["tests.samples:Mood", 1, "CALM"]}],
        ["nan", {"$float": "nan"}],
        ["b", {"$bytes": "AA=="}],
        [3, {"$tuple": [1, {"$set": [2]}]}],
    ]
    assert version["state"]["array"]["$array"]["shape"] == [5_000]
    assert dump["ledger"][1]["entry"]["operation"] == "store"


def test_the_command_says_why_a_store_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [file] = (file for file in (folder / "witness").iterdir() if not file.suffix)
    file.write_bytes(b"edited" * 1_000)
    arguments = [str(folder / "store"), "--key", str(folder / "key")]
    assert main([*arguments, "--witness", str(folder / "witness")]) == 1
    assert capsys.readouterr().err.startswith("tampered: ")


def test_the_command_says_in_a_line_what_it_cannot_read_and_what_it_was_not_told(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Symptom: a traceback. Cause: errors of the operating system were not those of the package.
    Fix: they are told like those."""
    arguments = [str(folder / "store"), "--key", str(folder / "key"), "--witness"]
    assert main([*arguments, str(folder / "key")]) == 1
    assert capsys.readouterr().err.startswith("io: ")
    assert main([*arguments, str(tmp_path / "none")]) == 0
    assert capsys.readouterr().err.startswith("warning: the witness in ")
