"""Commands for backups."""

from __future__ import annotations

import json

import pytest

from tests.commands import Place

pytest.importorskip("typer")


@pytest.fixture
def archive(place: Place) -> str:
    return str(place.folder / "archive")


def test_a_backup_is_made_listed_tried_and_restored(place: Place, archive: str) -> None:
    made = place.run("backup", archive, "-m", "nightly", "--json").json
    assert made["put_nodes"] == made["nodes"] > 0
    [listed] = place.run("backups", archive, "--json").lines
    assert (listed["id"], listed["commit"]) == (made["id"], made["commit"])
    drilled = place.run("drill", archive, "--backup", made["id"], "--json").json
    assert (drilled["names"], drilled["versions"], drilled["backup"]) == (1, 3, listed)
    assert place.run("restore", archive).status == 6
    done = place.run("restore", archive, "--aside", "-m", "disk died")
    assert done.out == f"{place.folder / 's'} is the store in use now, with 1 name\n"
    with place.open() as store:
        assert [entry.operation for entry in store.ledger(limit=3)] == [
            "adopt",
            "restore",
            "backup",
        ]


def test_people_are_told_in_a_line(place: Place, archive: str) -> None:
    assert ": " in place.run("backup", archive).out
    assert "can be restored: 1 name, 3 versions" in place.run("drill", archive).out
    assert place.run("backups", archive).out.startswith("id ")


def test_exit_statuses_say_what_is_wrong(place: Place, archive: str) -> None:
    assert place.run("drill", archive).status == 3
    assert place.run("backup", "ftp://host/place").status == 10
    assert place.run("backup", archive, "--keep", "0").status == 2
    place.run("backup", archive)
    assert place.run("restore", archive, "--aside", "--backup", "00").status == 3
    (place.folder / "archive" / "keys").write_bytes(b"edited")
    error = place.run("drill", archive, "--json")
    assert (error.status, json.loads(error.err)["error"]["code"]) == (4, "malformed")
