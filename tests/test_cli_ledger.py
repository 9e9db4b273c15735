"""Commands of the ledger: what they print can be checked without the store."""

from __future__ import annotations

import base64
import json
import sys

import pytest

from dachi_fast import InclusionProof, SignedCheckpoint
from dachi_fast.ledger import ConsistencyProof
from tests.commands import Place

pytest.importorskip("typer")


def _key(place: Place) -> str:
    return place.run("checkpoint", "--verifier-key").out.strip()


def test_a_ledger_is_listed_newest_first(place: Place) -> None:
    head, *rows = place.run("ledger").out.splitlines()
    assert head.split()[:4] == ["entry", "time", "operation", "agent"]
    assert [row.split()[0] for row in rows] == ["3", "2", "1", "0"]
    assert rows[0].endswith("learned 2")
    assert len(place.run("ledger", "-n", "2").out.splitlines()) == 3


def test_a_ledger_in_json_has_what_an_entry_has(place: Place) -> None:
    newest, *_ = place.run("ledger", "--json").lines
    assert (newest["operation"], newest["agent_id"], newest["justification"]) == (
        *("store", "critic"),
        "learned 2",
    )
    assert newest["hash"].startswith("sha256:")


def test_what_was_forgotten_is_erased(place: Place) -> None:
    assert place.run("forget", "critic", "--yes").status == 0
    assert "(erased)" in place.run("ledger").out
    assert {line["agent_id"] for line in place.run("ledger", "--json").lines} >= {None}


def test_a_checkpoint_is_a_note_that_verifies(place: Place) -> None:
    checkpoint = SignedCheckpoint.parse(place.run("checkpoint").out)
    checkpoint.verify(_key(place))
    assert checkpoint.size == 4
    said = place.run("checkpoint", "--json").json
    assert (said["checkpoint"], said["verifier_key"]) == (checkpoint.text, _key(place))
    assert (said["size"], said["origin"]) == (4, checkpoint.origin)
    assert place.run("checkpoint", "--verifier-key", "--json").json == {"verifier_key": _key(place)}


def test_a_proof_of_an_entry_verifies(place: Place) -> None:
    proof = InclusionProof.parse(place.run("proof", "1").out)
    proof.verify(_key(place))
    said = place.run("proof", "1", "--json").json
    assert (said["proof"], said["seq"], said["entry"]) == (str(proof), 1, proof.leaf)
    assert set(said) == {"seq", "entry", "hashes", "checkpoint", "proof", "verifier_key"}


def test_a_proof_that_the_ledger_only_grew_verifies(place: Place) -> None:
    said = place.run("proof", "--since", "2", "--until", "3", "--json").json
    ConsistencyProof(
        SignedCheckpoint.parse(said["old_checkpoint"]),
        SignedCheckpoint.parse(said["new_checkpoint"]),
        tuple(map(base64.b64decode, said["hashes"])),
    ).verify(said["verifier_key"])
    assert (said["since"], said["until"]) == (2, 3)
    text = place.run("proof", "--since", "2", "--until", "3").out
    assert text == "\n".join([*said["hashes"], "", said["old_checkpoint"], said["new_checkpoint"]])


@pytest.mark.parametrize(
    ("arguments", "status"),
    [((), 2), (("1", "--since", "0"), 2), (("4",), 3), (("--since", "9"), 3), (("-1",), 2)],
)
def test_a_proof_of_what_is_not_there_is_refused(
    place: Place, arguments: tuple[str, ...], status: int
) -> None:
    assert place.run("proof", *arguments).status == status


def test_an_export_goes_to_a_file_or_standard_output(place: Place) -> None:
    file = place.folder / "ledger.jsonl"
    done = place.run("export", str(file), "-m", "yearly audit")
    assert done.out == f"{file}: 5 entries\n"
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert lines[-2]["detail"]["justification"] == "yearly audit"
    again = place.run("export", "-", "--no-details").lines
    assert (again[0]["details"], again[0]["entries"]) == ("withheld", 6)
    said = place.run("export", str(file), "--json").json
    assert (said["path"], said["entries"]) == (str(file), 7)


def test_an_export_is_not_written_to_a_terminal(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    done = place.run("export", "-")
    assert (done.status, done.out) == (2, "")
