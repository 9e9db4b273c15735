"""Exports, checked by the example's verifier in a process of its own; every edit is refused."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import runpy
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dachi_fast import KeyFile, SignedCheckpoint, Store
from dachi_fast.errors import Missing
from tests.ledgers import grow, unsynced
from tests.stores import Counter

VERIFIER = Path(__file__).parent.parent / "examples" / "verify_export.py"


class Export(NamedTuple):
    """An export's lines, what checks them, and who can sign others."""

    lines: list[str]
    key: str
    store: Store


@pytest.fixture(params=[True, False], ids=["disclosed", "withheld"])
def export(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Export]:
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        counter = Counter()
        for count in range(3):
            counter.count = count
            store.save(counter, "caf\u00e9", justification=f'step "{count}"\n')
        store.load("caf\u00e9")
        yield Export(_exported(store, disclose=request.param), store.verifier_key, store)


def _exported(store: Store, *, disclose: bool = True) -> list[str]:
    file = io.StringIO()
    store.export(file, disclose=disclose)
    return file.getvalue().splitlines(keepends=True)


def _verified(
    folder: Path, lines: list[str], *key: str, packages: bool = True
) -> subprocess.CompletedProcess[str]:
    """Runs the verifier; without packages it has the standard library only."""
    path = folder / "export.jsonl"
    path.write_text("".join(lines), "utf-8", newline="\n")
    return subprocess.run(
        [sys.executable, *([] if packages else ["-S"]), VERIFIER, path, *key],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env={"PYTHONUTF8": "1"},
    )


def _resigned(store: Store, lines: list[str]) -> list[str]:
    """Signs edited lines anew: what an edit meets when the digest of the lines is no help."""
    note = json.loads(lines[-1])["checkpoint"]
    name, size, root, _ = note.partition("\n\n")[0].split("\n")
    digest = hashlib.sha256("".join(lines[:-1]).encode()).hexdigest()
    signed = store._signed(int(size), base64.b64decode(root), f"export sha256:{digest}")
    assert signed.origin == name
    return [*lines[:-1], _line({"checkpoint": signed.text})]


def _line(members: dict[str, Any]) -> str:
    return json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"


def _refused(folder: Path, lines: list[str], *key: str, line: int | None = None) -> str:
    done = _verified(folder, lines, *key, packages=False)
    assert (done.returncode, done.stdout) == (1, ""), done.stdout
    if line is not None:
        assert f", line {line}: " in done.stderr
    return done.stderr


def test_an_export_is_proved_with_the_standard_library_alone(
    export: Export, tmp_path: Path
) -> None:
    done = _verified(tmp_path, export.lines, packages=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "6 entries of store" in done.stdout
    assert "NOT checked: the signature" in done.stdout


def test_the_signature_is_checked_where_cryptography_is_installed(
    export: Export, tmp_path: Path
) -> None:
    pytest.importorskip("cryptography")
    done = _verified(tmp_path, export.lines, export.key)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"signed by {export.key}\n" in done.stdout
    for at in (0, 3, 4, 30, 67):  # four bytes of key hash, then the signature
        what = "is by another key" if at < 4 else "does not hold"
        note = json.loads(export.lines[-1])["checkpoint"]
        head, _, signature = note.rpartition(" ")
        data = bytearray(base64.b64decode(signature))
        data[at] ^= 1
        edited = {"checkpoint": f"{head} {base64.b64encode(data).decode()}\n"}
        done = _verified(tmp_path, [*export.lines[:-1], _line(edited)], export.key)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"line {len(export.lines)}: the signature {what}" in done.stderr


def test_an_export_holds_what_happened_and_itself(export: Export) -> None:
    header, *lines, last = map(json.loads, export.lines)
    assert header["entries"] == len(lines) == 6
    operations = [line["entry"]["operation"] for line in lines]
    assert operations == ["create", "store", "store", "store", "retrieve", "export"]
    if header["details"] == "disclosed":
        assert lines[3]["detail"]["justification"] == 'step "2"\n'
        assert {line["detail"]["agent_id"] for line in lines[1:5]} == {"caf\u00e9"}
    else:
        assert all(set(line) == {"entry", "hash"} for line in lines)
        assert "caf\u00e9" not in "".join(export.lines)
    checkpoint = SignedCheckpoint.parse(last["checkpoint"])
    checkpoint.verify(export.key)
    assert checkpoint.root == export.store.checkpoint().root
    [entry] = export.store.ledger(limit=1)
    assert (entry.operation, entry.memory_type) == ("export", "ledger")


def _changed(value: Any) -> Any:
    """Gives something of the same type that differs a little."""
    if isinstance(value, int):
        return value + 1
    return value[:-1] + ("0" if value[-1:] != "0" else "1")


def _members(value: dict[str, Any], *before: str) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, inner in value.items():
        here = (*before, name)
        found += _members(inner, *here) if isinstance(inner, dict) else [here]
    return found


def _edited(line: str, where: tuple[str, ...], edit: Callable[[dict[str, Any], str], None]) -> str:
    members = inner = json.loads(line)
    for name in where[:-1]:
        inner = inner[name]
    edit(inner, where[-1])
    return _line(members)


def test_every_field_of_every_line_matters(
    export: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Hundreds of edits: not a process each.
    main = runpy.run_path(str(VERIFIER))["main"]
    path = tmp_path / "edited.jsonl"

    def refused(lines: list[str]) -> str:
        path.write_text("".join(lines), "utf-8", newline="\n")
        assert main(path, export.key) == 1
        out, error = capsys.readouterr()
        assert out == ""
        return error

    def change(members: dict[str, Any], name: str) -> None:
        members[name] = _changed(members[name])

    def remove(members: dict[str, Any], name: str) -> None:
        del members[name]

    def add(members: dict[str, Any], name: str) -> None:
        members[f"{name} too"] = members[name]

    for at in (0, 1, 3, len(export.lines) - 2):
        for where in _members(json.loads(export.lines[at])):
            for edit in (change, remove, add):
                lines = list(export.lines)
                lines[at] = _edited(lines[at], where, edit)
                refused(lines)
                # Nor does it pass when whoever has the key signs what was edited.
                if at > 0:
                    assert f", line {at + 1}: " in refused(_resigned(export.store, lines))


def test_lines_cannot_be_removed_repeated_swapped_or_added(export: Export, tmp_path: Path) -> None:
    lines, count = export.lines, len(export.lines)
    for at in range(count):
        _refused(tmp_path, [*lines[:at], *lines[at + 1 :]])
        _refused(tmp_path, [*lines[: at + 1], *lines[at:]])
    for at in range(1, count - 2):
        edited = [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]
        _refused(tmp_path, _resigned(export.store, edited), line=at + 1)
    for end in ("\n", "{}\n", "x"):
        _refused(tmp_path, [*lines, end], line=count + 1)


def test_an_export_that_was_cut_is_refused(export: Export, tmp_path: Path) -> None:
    text = "".join(export.lines)
    for length in (0, 1, len(export.lines[0]), len(text) // 2, len(text) - 2, len(text) - 1):
        _refused(tmp_path, [text[:length]])


def test_an_entry_with_the_detail_of_another_is_refused(export: Export, tmp_path: Path) -> None:
    first, second = (json.loads(export.lines[at]) for at in (2, 3))
    if "detail" not in first:
        return
    for names in (["detail"], ["salt"], ["detail", "salt"]):
        edited = first | {name: second[name] for name in names}
        lines = [*export.lines[:2], _line(edited), *export.lines[3:]]
        error = _refused(tmp_path, _resigned(export.store, lines), line=3)
        assert "not the one that was committed to" in error


def test_an_entry_that_was_hidden_or_called_erased_is_refused(
    export: Export, tmp_path: Path
) -> None:
    line = json.loads(export.lines[2])
    hidden = {"entry": line["entry"], "hash": line["hash"]}
    for edited in (hidden, hidden | {"detail": "erased"}):
        lines = [*export.lines[:2], _line(edited), *export.lines[3:]]
        if lines != export.lines:
            _refused(tmp_path, lines)


def test_what_was_forgotten_is_erased_and_the_ledger_is_still_proved(
    export: Export, tmp_path: Path
) -> None:
    store = export.store
    store.save(Counter(), "kept")
    store.load("caf\u00e9")  # written with the tombstone
    store.forget("caf\u00e9")
    lines = _exported(store)
    assert "caf\u00e9" not in "".join(lines)
    done = _verified(tmp_path, lines, packages=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "details erased" in done.stdout
    entries = [json.loads(line) for line in lines[1:-1]]
    kept = [line for line in entries if line["detail"] != "erased"]
    assert {line["detail"]["agent_id"] for line in kept} == {"", "kept"}
    store.verify()
    store.prove(2).verify(export.key)
    store.prove_consistency(6).verify(export.key)


def test_the_checkpoint_or_key_of_another_store_is_refused(export: Export, tmp_path: Path) -> None:
    with unsynced(tmp_path / "other") as other:
        grow(other, 5)
        lines = _exported(other)
        assert len(lines) == len(export.lines)
        key = other.verifier_key
    _refused(tmp_path, [*export.lines[:-1], lines[-1]], line=len(export.lines))
    _refused(tmp_path, [lines[0], *export.lines[1:]])
    _refused(tmp_path, export.lines, key, line=1)


def test_json_that_can_be_read_in_two_ways_is_refused(export: Export, tmp_path: Path) -> None:
    twice = export.lines[1].replace('"seq":0', '"seq":1,"seq":0')
    for edited in (twice, export.lines[1].replace('"seq":0', '"seq":0.0'), "[]\n", "NaN\n"):
        assert edited != export.lines[1]
        _refused(tmp_path, [export.lines[0], edited, *export.lines[2:]], line=2)


# --- writing --------------------------------------------------------------------------------------


def test_a_file_appears_only_when_the_export_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "ledger.jsonl"

    def stop(_done: int, _of: int) -> None:
        raise KeyboardInterrupt

    with unsynced(tmp_path / "store") as store:
        target.write_text("before")
        with pytest.raises(KeyboardInterrupt):
            store.export(target, progress=stop)
        assert target.read_text() == "before"
        checkpoint = store.export(target, justification="for the auditor")
        last = json.loads(target.read_text().splitlines()[-1])
        assert SignedCheckpoint.parse(last["checkpoint"]) == checkpoint
        assert target.stat().st_mode & 0o777 == 0o600
        assert store.ledger()[0].justification == "for the auditor"
        assert checkpoint.size == 3
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["ledger.jsonl"]


def test_an_export_is_on_disk_before_it_takes_anothers_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Symptom: none seen; after a power failure the file could be empty. Cause: it took the place
    of another one while only memory had it. Fix: it is synced before, and its name after."""
    target, synced, fsync = tmp_path / "export.jsonl", list[tuple[bool, bool]](), os.fsync

    def noted(file: int) -> None:
        synced.append((stat.S_ISDIR(os.fstat(file).st_mode), target.exists()))
        fsync(file)

    with Store.open(tmp_path / "synced", keys=KeyFile(tmp_path / "key")) as store:
        monkeypatch.setattr(os, "fsync", noted)
        store.export(target)
        monkeypatch.undo()
    assert synced == [(False, False), (True, True)]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_progress_counts_up_to_all_entries(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    with unsynced(tmp_path / "store") as store:
        grow(store, 2100)
        store.export(io.StringIO(), progress=lambda done, of: calls.append((done, of)))
    assert calls == [(1000, 2101), (2000, 2101), (2101, 2101)]


def test_a_ledger_with_a_missing_entry_is_not_exported(tmp_path: Path) -> None:
    lmdb: Any = pytest.importorskip("lmdb", reason="the attacker edits the file with lmdb")
    with unsynced(tmp_path / "store") as store:
        grow(store, 20)
    with lmdb.open(str(tmp_path / "store"), max_dbs=4) as env:
        database = env.open_db(b"log")
        with env.begin(db=database, write=True) as txn:
            assert txn.delete(b"\xff" * 8 + (7).to_bytes(8, "big"))
    with unsynced(tmp_path / "store") as store:
        with pytest.raises(Missing):
            store.export(tmp_path / "ledger.jsonl")
        assert not (tmp_path / "ledger.jsonl").exists()
