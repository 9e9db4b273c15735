"""Commands that look: names, log, show, diff."""

from __future__ import annotations

import dataclasses

import pytest

from dachi_fast import Attr, BaseModule, Shared, registry, shared_name
from tests.commands import Agent, Place, Tool, Visit
from tests.samples import Late

pytest.importorskip("typer")


def test_names_are_one_a_line(place: Place) -> None:
    with place.open() as store:
        store.fork("critic", "a/b é")
    assert place.run("names").out == "a/b é\ncritic\n"
    assert place.run("names", "--json").lines == [{"name": "a/b é"}, {"name": "critic"}]


def test_a_log_without_a_name_lists_names(place: Place) -> None:
    assert place.run("log").out == place.run("names").out == "critic\n"


def test_a_store_without_names_says_so(place: Place) -> None:
    with place.open() as store:
        store.forget("critic")
    done = place.run("names")
    assert (done.status, done.out) == (0, "")
    assert "nothing was saved" in done.err
    assert place.run("names", "--json").out == ""


def test_a_log_lists_versions_newest_first(place: Place) -> None:
    done = place.run("log", "critic")
    head, *rows = done.out.splitlines()
    assert head.split()[:2] == ["version", "created"]
    assert [row.split()[0] for row in rows] == ["3", "2", "1"]
    assert rows[0].endswith("learned 2")


def test_a_log_in_json_has_what_a_version_has(place: Place) -> None:
    with place.open() as store:
        store.tag("critic", version=1, tag="first")
        store.rollback("critic", to=1)
        store.fork("critic", "twin", version=2)
        created = store.version("critic", version=1).created
    lines = place.run("log", "critic", "--json").lines
    assert [line["number"] for line in lines] == [4, 3, 2, 1]
    assert (lines[0]["restores"], lines[0]["base"]) == (1, 3)
    assert lines[3]["tags"] == ["first"]
    assert lines[3]["created"] == created.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    [twin] = place.run("log", "twin", "--json").lines
    assert twin["source"] == {"name": "critic", "number": 2}
    assert set(twin) == {
        *("name", "number", "created", "justification", "base", "restores", "source", "tags"),
        *("entries", "size_bytes", "written_bytes", "root"),
    }


def test_a_log_says_where_a_version_came_from(place: Place) -> None:
    with place.open() as store:
        store.rollback("critic", to=1, justification="back")
        store.fork("critic", "twin", version=2)
    assert "version 1  back" in place.run("log", "critic", "-n", "1").out
    assert "critic, version 2" in place.run("log", "twin").out


def test_a_log_can_be_limited(place: Place) -> None:
    assert [line["number"] for line in place.run("log", "critic", "-n", "2", "--json").lines] == [
        3,
        2,
    ]
    assert place.run("log", "critic", "-n", "0").status == 2


def test_show_lists_a_state_by_path(place: Place) -> None:
    rows = [line.split(maxsplit=1) for line in place.run("show", "critic").out.splitlines()]
    assert rows[0] == ["path", "value"]
    assert [row[0] for row in rows[1:]] == ["count", "seen", "tool.size", "tool.uses"]
    assert dict(rows[1:])["count"] == "2"
    assert "array(float64, shape=(2,))" in dict(rows[1:])["seen"]


def test_show_of_a_path_gives_its_value_whole(place: Place) -> None:
    assert place.run("show", "critic", "count").out == "2\n"
    assert place.run("show", "critic", "count", "--version", "1").out == "0\n"
    assert place.run("show", "critic", "tool").out.splitlines()[1].split() == ["tool.size", "3"]


def test_show_in_json_says_which_version(place: Place) -> None:
    with place.open() as store:
        store.tag("critic", version=2, tag="middle")
    shown = place.run("show", "critic", "count", "--version", "middle", "--json").json
    assert shown == {"name": "critic", "version": 2, "state": {"count": 1}}
    assert place.run("show", "critic", "--json").json["version"] == 3


def test_show_in_json_writes_values_of_classes_as_kind_and_fields(place: Place) -> None:
    state = place.run("show", "critic", "seen", "--json").json["state"]
    kind = f"{Visit.__module__}:Visit"
    assert state["seen"] == [
        {"$type": kind, "fields": {"place": "Paris", "times": 2}},
        {"$type": "ndarray", "dtype": "float64", "shape": [2], "items": [0.0, 1.0]},
    ]


def test_show_of_a_blueprint_gives_kinds_and_fields(place: Place) -> None:
    blueprint = place.run("show", "critic", "--blueprint", "--json").json["blueprint"]
    assert blueprint["kind"].endswith(":Agent")
    assert blueprint["tool"]["kind"].endswith(":Tool")
    assert ":Tool" in place.run("show", "critic", "--blueprint").out
    assert place.run("show", "critic", "count", "--blueprint").status == 2


def test_show_of_a_path_that_is_not_there_says_so(place: Place) -> None:
    done = place.run("show", "critic", "nothing")
    assert (done.status, done.out) == (3, "")
    assert "'nothing'" in done.err
    assert "[unknown-path]" in done.err


def test_show_of_an_agent_without_state_says_so(place: Place) -> None:
    with place.open() as store:
        store.save(BaseModule(), "bare")
    assert "empty" in place.run("show", "bare").err
    assert place.run("show", "bare", "--json").json["state"] == {}


def test_a_diff_is_of_the_latest_and_what_it_follows(place: Place) -> None:
    done = place.run("diff", "critic")
    assert [line.split()[0] for line in done.out.splitlines()] == ["path", "count", "seen"]
    assert done.out.splitlines()[1].split() == ["count", "1", "2"]


def test_a_diff_is_of_any_two_versions(place: Place) -> None:
    with place.open() as store:
        store.tag("critic", version=1, tag="first")
    for arguments in (("1", "3"), ("first", "3"), ("first",)):
        [count, _] = place.run("diff", "critic", *arguments, "--json").lines
        assert count == {"path": "count", "before": 0, "after": 2}
    done = place.run("diff", "critic", "3", "3")
    assert (done.out, done.status) == ("", 0)
    assert "equal" in done.err


def test_a_diff_leaves_out_the_side_on_which_a_path_is_not(place: Place) -> None:
    with place.open() as store:
        store.save(Tool(), "critic", base="latest")
    lines = {line.pop("path"): line for line in place.run("diff", "critic", "--json").lines}
    assert (lines["count"], lines["size"]) == ({"before": 2}, {"after": 3})
    rows = [line.split() for line in place.run("diff", "critic").out.splitlines()]
    assert ["count", "2"] in rows


def test_a_diff_of_a_first_version_says_that_it_follows_none(place: Place) -> None:
    with place.open() as store:
        store.fork("critic", "twin")
    done = place.run("diff", "twin")
    assert done.status == 3
    assert "follows none" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("log", "nobody"),
        ("show", "nobody"),
        ("diff", "nobody"),
        ("show", "critic", "--version", "9"),
        ("show", "critic", "--version", "no tag"),
        ("diff", "critic", "8", "9"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(place: Place, arguments: tuple[str, ...]) -> None:
    done = place.run(*arguments)
    assert (done.status, done.out) == (3, "")
    assert done.err.count("\n") == 1
    assert "Traceback" not in done.err


# --- what takes the space -------------------------------------------------------------------------


def test_stats_say_what_takes_the_space(place: Place) -> None:
    said = place.run("stats", "--json").json
    with place.open() as store:
        found = store.stats()
    assert set(said) == {field.name for field in dataclasses.fields(found)}
    assert (said["file_bytes"], said["names"][0]["name"]) == (found.file_bytes, "critic")
    assert said["rotation_due"].endswith("Z")
    rows = [line.split() for line in place.run("stats").out.splitlines()]
    assert ["what", "size"] in rows
    assert [row[:3] for row in rows if row[0] == "critic"] == [["critic", "3", "3"]]


def test_stats_of_an_agent_list_its_largest_values(place: Place) -> None:
    with place.open() as store:
        largest = store.stats("critic").largest
    said = place.run("stats", "critic", "--json").json
    assert said["largest"] == [[path, size_bytes] for path, size_bytes in largest]
    assert (said["name"], said["versions"], said["latest"]) == ("critic", 3, 3)
    assert largest[0][0] in place.run("stats", "critic").out
    assert place.run("stats", "nobody").status == 3


class Team(BaseModule):
    board: dict[str, int] = Shared(default_factory=dict)


def test_shared_values_are_found_by_the_name_that_is_shown(place: Place) -> None:
    with place.open() as store:
        store.save_shared(Team, justification="first week")
    shown = f"\\x00{shared_name(Team)[1:]}"
    assert shown in place.run("stats").out
    assert shown in place.run("ledger").out
    assert "first week" in place.run("log", shown).out
    assert place.run("show", shown, "--json").json["state"] == {"board": {}}
    assert place.run("forget", shown, "--yes").status == 0
    assert place.run("log", shown).status == 3


# --- the ledger's part ----------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["log", "show", "diff", "stats"])
def test_looking_at_an_agent_is_an_entry_of_the_ledger(place: Place, command: str) -> None:
    place.run(command, "critic")
    with place.open() as store:
        assert store.ledger(limit=1)[0].operation == "retrieve"


@pytest.mark.parametrize("command", ["names", "ledger", "verify", "checkpoint", "stats"])
def test_what_shows_no_agent_writes_nothing(place: Place, command: str) -> None:
    with place.open() as store:
        before = store.checkpoint().size
    assert place.run(command).status == 0
    with place.open() as store:
        assert store.checkpoint().size == before


# --- what names and values may hold ---------------------------------------------------------------

NAMES = [
    "team/critic",
    "../etc/passwd",
    "名前 🙂",
    "\x1b[2J\x1b[31mred",
    "\x9b31mc1",
    "\u202etxt.exe",
    "two\nlines\tand tabs",
    "\x07bell",
    "-dash",
    "a" * 1024,
]


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


@pytest.mark.parametrize("name", NAMES)
def test_no_name_steers_the_terminal(place: Place, name: str) -> None:
    with place.open() as store:
        store.fork("critic", name, justification=f"because {name}")
        store.tag(name, tag=name[:200])
    shown = [
        place.run("names"),
        place.run("log", "--", name),
        place.run("show", "--", name),
        place.run("diff", "--", name),
        place.run("ledger"),
        place.run("untag", "--", name, name[:200]),
        place.run("show", "--", name, name),
        place.run("rollback", "--", name, name),
    ]
    # A fork has no version before its first, no such path, and that tag no more.
    assert [done.status for done in shown] == [0, 0, 0, 3, 0, 0, 3, 3]
    for done in shown:
        assert all(line.isprintable() for line in (done.out + done.err).splitlines())
        assert not set(done.out + done.err) & set("\x1b\x9b\x07\t\u202e\r")
    assert {"name": name} in place.run("names", "--json").lines
    assert set(shown[0].out.splitlines()) == {"critic", _printable(name)}
    assert _printable(name)[:200] in shown[4].out


def test_no_value_steers_the_terminal(place: Place) -> None:
    agent = Agent(tool=Tool())
    agent.seen = {"\x1b[2J": "\x1b]0;title\x07", "list": ["\u202e", Visit("\x9b")]}
    with place.open() as store:
        store.save(agent, "evil")
        agent.seen = "\x1b[31m"
        store.save(agent, "evil")
    for arguments in (("show", "evil"), ("show", "evil", "seen"), ("diff", "evil")):
        for more in ((), ("--json",)):
            done = place.run(*arguments, *more)
            assert (done.status, done.err) == (0, "")
            assert done.out.replace("\n", "").isprintable()
            assert "[31m" in done.out


def test_no_path_steers_the_terminal(place: Place) -> None:
    done = place.bare("names", "--store", str(place.folder / "\x1b[31m"))
    assert done.status == 3
    assert "\\x1b[31m;" in done.err


class _Loud:
    def __repr__(self) -> str:
        return "\x1b[31mloud\nvery"


registry.converter(_Loud, "loud", to=lambda _: 0, back=lambda _: _Loud())


def test_a_value_that_cannot_show_itself_is_shown(place: Place) -> None:
    agent = Agent(tool=Tool())
    agent.seen = Late(1)  # type: ignore[call-arg, unused-ignore]
    with place.open() as store:
        store.save(agent, "late")
    assert place.run("show", "late").status == 0
    done = place.run("show", "late", "seen")
    assert (done.status, "'fields': {'a': 1}" in done.out) == (0, True)


def test_no_class_of_the_user_steers_the_terminal_by_how_it_shows_itself(place: Place) -> None:
    agent = Agent(tool=Tool())
    agent.seen = _Loud()
    with place.open() as store:
        store.save(agent, "loud")
    for arguments in (("show", "loud"), ("show", "loud", "seen")):
        assert "\\x1b[31mloud" in place.run(*arguments).out
    assert len(place.run("show", "loud").out.splitlines()) == 5


def test_long_values_are_cut_in_tables_and_whole_alone(place: Place) -> None:
    class Long(BaseModule):
        text: str = Attr(default="")

    long = Long()
    long.text = "x" * 100_000
    with place.open() as store:
        store.save(long, "long")
    assert max(map(len, place.run("show", "long").out.splitlines())) < 200
    assert len(place.run("show", "long", "text").out) > 100_000
    assert len(place.run("show", "long", "--json").json["state"]["text"]) == 100_000
