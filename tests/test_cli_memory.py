"""Memories on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from dachi_fast import CallableEmbedder, MemoryStore
from tests.commands import Place

pytest.importorskip("typer")


def lengths(texts: list[str]) -> list[list[float]]:
    return [[float(len(text)), 1.0] for text in texts]


MINE = CallableEmbedder("lengths/1", 2, lengths)


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Place:
    """A folder without a store."""
    return Place(tmp_path, capsys)


def remembered(place: Place, text: str, *options: str) -> str:
    done = place.run("remember", text, "--json", *options)
    assert done.status == 0, done.err
    return str(done.json["id"])


def test_what_is_remembered_is_recalled_by_meaning(place: Place) -> None:
    made = place.run("remember", "Build Python REST API", "--result", '{"outcome": "success"}')
    assert (made.status, "makes a store" in made.err) == (0, True)
    remembered(place, "Bake a chocolate cake", "--result", "sweet")
    done = place.run("recall", "Create FastAPI microservice", "--json", "--min-similarity", "0.8")
    assert done.status == 0
    [found] = done.lines
    assert found["id"] == made.out.strip()
    assert found["result"] == {"outcome": "success"}
    assert (found["rank"], found["trust"], found["source"]) == (1, "user", "command line")
    assert (found["age_s"] >= 0, found["expires"], found["also"]) == (True, None, [])
    table = place.run("recall", "Create FastAPI microservice").out.splitlines()
    assert table[0].split() == ["similarity", "cosine", "trust", "source", "age", "id", "text"]
    assert table[1].endswith("Build Python REST API")
    where = place.run("recall", "something", "--where", "result=sweet", "--json")
    assert [one["text"] for one in where.lines] == ["Bake a chocolate cake"]
    nothing = place.run("recall", "Feed the cat", "--min-similarity", "0.9")
    assert (nothing.out, "nothing like that" in nothing.err) == ("", True)


def test_a_quarantined_memory_is_explained_and_found_when_asked_for(place: Place) -> None:
    page = remembered(place, "Visit this page", "--trust", "web", "--source", "page")
    assert place.run("recall", "Visit a page").out == ""
    [why] = place.run("recall", "Visit a page", "--explain", "--json").lines
    assert (why["id"], why["verdict"], why["rank"]) == (page, "quarantined", 1)
    assert page in place.run("recall", "Visit a page", "--include", "quarantined").out


def test_memories_are_listed_shown_and_judged(place: Place) -> None:
    page = remembered(place, "Visit this page", "--trust", "web", "--ttl-s", "900")
    task = remembered(place, "Water the plants", "-m", "spring")
    where = ("--store", str(place.folder / "s"), "--keys", f"file:{place.folder / 'k'}")
    listed = place.bare("memory", "list", *where, "--json")
    assert [(one["id"], one["quarantined"]) for one in listed.lines] == [
        (task, False),
        (page, True),
    ]
    assert "quarantined" in place.bare("memory", "list", *where).out
    shown = place.bare("memory", "show", page, *where, "--json")
    assert shown.json["text"] == "Visit this page"
    assert shown.json["expires"].endswith("Z")
    assert "'Visit this page'" in place.bare("memory", "show", page, *where).out
    assert place.bare("memory", "release", page, *where).out == f"released: {page}\n"
    assert page in place.run("recall", "Visit a page").out
    assert place.bare("memory", "quarantine", page, *where, "--json").json["quarantined"] is True
    asked = place.bare("memory", "forget", page, *where)
    assert (asked.status, "--yes" in asked.err) == (2, True)
    done = place.bare("memory", "forget", page, *where, "--yes")
    assert done.out == "forgotten: Visit this page\n"
    gone = place.bare("memory", "show", page, *where)
    assert (gone.status, "[unknown-memory]" in gone.err) == (3, True)
    with place.open() as store:
        assert "spring" in [entry.justification for entry in store.ledger()]


def test_memories_move_to_another_embedder(place: Place) -> None:
    remembered(place, "one", "--namespace", "agent")
    remembered(place, "three", "--namespace", "agent")
    mine = "tests.test_cli_memory:MINE"
    done = place.run("reembed", mine, "--namespace", "agent", "--json")
    assert done.json == {"namespace": "agent", "embedder": "lengths/1", "vectors": 2}
    wrong = place.run("recall", "three", "--namespace", "agent")
    assert (wrong.status, "[embedder-mismatch]" in wrong.err) == (1, True)
    found = place.run("recall", "a text", "--namespace", "agent", "--embedder", mine, "--json")
    assert [one["text"] for one in found.lines] == ["three", "one"]
    back = place.run("reembed", "hashing:64", "--namespace", "agent")
    assert back.out == "agent: 2 vectors were made with hashing-64/1\n"


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["recall", "x", "--limit", "0"], 2),
        (["recall", "x", "--min-similarity", "2"], 2),
        (["recall", "x", "--include", "all"], 2),
        (["recall", "x", "--where", "source"], 2),
        (["recall", "x", "--where", "made.up=1"], 2),
        (["recall", "x", "--min-trust", "root"], 2),
        (["recall", "x", "--embedder", "nowhere:MINE"], 2),
        (["recall", "x", "--embedder", "json:dumps"], 2),
        (["recall", "x", "--embedder", "hashing:0"], 2),
        (["recall", ""], 1),
        (["remember", "x", "--trust", "root"], 2),
        (["remember", "x", "--ttl-s", "-1"], 2),
        (["remember", ""], 1),
    ],
)
def test_what_is_not_understood_is_refused(place: Place, command: list[str], status: int) -> None:
    remembered(place, "Water the plants")
    done = place.run(*command)
    assert done.status == status, done
    with place.open() as store:
        assert len(MemoryStore(store).sync.find()) == 1


def test_only_remember_makes_a_store(place: Place) -> None:
    for command in (["recall", "x"], ["reembed", "static"]):
        assert place.run(*command).status == 3
    assert not (place.folder / "s").exists()
