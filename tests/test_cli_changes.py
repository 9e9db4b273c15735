"""Commands that change a store: versions, upkeep, keys; and how they ask first."""

from __future__ import annotations

import io
import json
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import EnvKey, KeyFile, Passphrase, Store
from dachi_fast.errors import DachiError, KeyringError
from tests.commands import Place

pytest.importorskip("typer")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Types an answer at a terminal."""
    return lambda text: monkeypatch.setattr(sys, "stdin", _Terminal(text))


# --- versions -------------------------------------------------------------------------------------


def test_a_rollback_makes_a_new_version(place: Place) -> None:
    done = place.run("rollback", "critic", "1", "-m", "it was better")
    assert done.out == "critic: version 4, equal to version 1\n"
    with place.open() as store:
        latest = store.version("critic")
    assert (latest.restores, latest.justification) == (1, "it was better")


def test_a_fork_and_a_copy_get_a_name_of_their_own(place: Place) -> None:
    done = place.run("fork", "critic", "twin", "--version", "2", "-m", "trial")
    assert done.out == "twin: version 1, equal to version 2 of critic\n"
    copy = place.run("copy", "critic", "alone", "--json").json
    assert (copy["name"], copy["number"], copy["source"]) == (
        *("alone", 1),
        {"name": "critic", "number": 3},
    )
    with place.open() as store:
        assert store.names() == ["alone", "critic", "twin"]


def test_a_name_that_is_taken_is_a_conflict(place: Place) -> None:
    done = place.run("fork", "critic", "critic")
    assert (done.status, done.out) == (6, "")
    assert done.err.endswith("[name-taken]\n")


def test_tags_are_put_on_and_taken_off(place: Place) -> None:
    assert place.run("tag", "critic", "good", "--version", "2").out == (
        "critic: version 2, tags: good\n"
    )
    assert place.run("tag", "critic", "good").status == 6
    assert place.run("untag", "critic", "good").out == "critic: version 2, without tags\n"
    assert place.run("untag", "critic", "good").status == 3


# --- upkeep ---------------------------------------------------------------------------------------


def test_verify_says_what_it_proved(place: Place) -> None:
    report = place.run("verify", "--json").json
    assert (report["names"], report["versions"]) == (1, 3)
    assert set(report) == {
        *("names", "versions", "documents", "ledger_entries"),
        *("nodes", "size_bytes", "unused_nodes"),
    }
    assert "proved: 1 name, 3 versions, " in place.run("verify").out


def test_a_dry_run_of_prune_drops_nothing(place: Place) -> None:
    done = place.run("prune", "--keep-last", "1", "--keep-daily", "0", "--dry-run", "--json")
    assert [(line["name"], line["versions"]) for line in done.lines] == [("critic", [1, 2])]
    with place.open() as store:
        assert len(store.history("critic")) == 3


def test_a_dry_run_of_prune_only_reads_the_store(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Symptom: a dry run failed on a store that cannot be written. Cause: it was opened to be
    changed. Fix: to be read."""
    opened: list[bool] = []
    core = Store.open

    def noted(*args: Any, **kwargs: Any) -> Store:
        opened.append(kwargs.get("read_only", False))
        return core(*args, **kwargs)

    monkeypatch.setattr(Store, "open", noted)
    keep_one = ("prune", "--keep-last", "1", "--keep-daily", "0")
    assert "1-2" in place.run(*keep_one, "--dry-run").out
    place.run(*keep_one, "--yes")
    assert opened == [True, False]


def test_prune_drops_what_is_not_kept(place: Place) -> None:
    done = place.run("prune", "critic", "--keep-last", "1", "--keep-daily", "0", "--yes")
    assert done.out.splitlines()[1].split()[:3] == ["critic", "2", "1-2"]
    with place.open() as store:
        assert [version.number for version in store.history("critic")] == [3]
    assert place.run("prune", "--keep-last", "1", "--keep-daily", "0", "--yes").out == ""


def test_prune_keeps_what_a_store_keeps_unless_told_otherwise(place: Place) -> None:
    done = place.run("prune")
    assert (done.status, done.out) == (0, "")
    assert "nothing to drop" in done.err


def test_compact_says_how_large_the_file_was_and_is(place: Place) -> None:
    done = place.run("compact", "--json").json
    assert done["after_bytes"] == (place.folder / "s" / "data.mdb").stat().st_size
    assert done["before_bytes"] >= done["after_bytes"]


def test_a_copied_store_is_adopted(place: Place) -> None:
    shutil.copytree(place.folder / "s", place.folder / "old")
    with place.open() as store:
        store.rollback("critic", to=1)
    shutil.rmtree(place.folder / "s")
    (place.folder / "old").rename(place.folder / "s")
    done = place.run("log", "critic")
    assert (done.status, done.out) == (4, "")
    assert done.err.endswith("[rolled-back]\n")
    assert place.run("adopt", "-m", "disk died").status == 0
    assert len(place.run("log", "critic", "--json").lines) == 3


# --- keys -----------------------------------------------------------------------------------------


def test_rotate_begins_a_new_epoch(place: Place) -> None:
    assert place.run("rotate", "-m", "a laptop was lost", "--json").json == {"rotated": True}
    with place.open() as store:
        [entry] = store.ledger(limit=1)
    assert (entry.operation, entry.justification) == ("rotate", "a laptop was lost")


def test_rewrap_moves_a_store_to_another_provider(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTS_KEY", "ab" * 32)
    done = place.run("rewrap", "--to", "env:AGENTS_KEY", "--yes")
    assert (done.status, "ab" * 32 in done.out + done.err) == (0, False)
    with place.open(EnvKey("AGENTS_KEY")) as store:
        assert store.names() == ["critic"]
    wrong = place.run("names")
    assert (wrong.status, wrong.out) == (5, "")


def test_passphrases_come_from_standard_input_one_a_line(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("first secret\n"))
    assert place.run("rewrap", "--to", "passphrase", "--yes").status == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO("first secret\nsecond secret\n"))
    store = ("--store", str(place.folder / "s"))
    done = place.bare(
        "rewrap", *store, "--keys", "passphrase", "--to", "passphrase", "-y", "--json"
    )
    assert done.json == {"keys": "Passphrase(...)"}
    assert "secret" not in done.err
    with place.open(Passphrase("second secret")) as opened:
        assert opened.names() == ["critic"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("first secret\n"))
    assert place.bare("names", *store, "--keys", "passphrase").status == 5


def test_forget_says_whether_old_copies_still_open(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with place.open() as store:
        store.copy("critic", to="other")
    done = place.run("forget", "critic", "--yes", "-m", "request 4711")
    assert done.out.splitlines()[0] == "forgotten: critic"
    assert "no old copy" in done.out
    monkeypatch.setenv("AGENTS_KEY", "ab" * 32)
    place.run("rewrap", "--to", "env:AGENTS_KEY", "--yes")
    where = ("--store", str(place.folder / "s"), "--keys", "env:AGENTS_KEY")
    done = place.bare("forget", "other", *where, "--yes", "--json")
    assert done.json == {"names": ["other"], "key_replaced": False}


def test_forget_refuses_forks_until_told(place: Place) -> None:
    with place.open() as store:
        store.fork("critic", "twin")
    done = place.run("forget", "critic", "--yes")
    assert (done.status, done.out) == (6, "")
    assert "twin" in done.err
    done = place.run("forget", "critic", "--forks", "--yes", "--json")
    assert done.json["names"] == ["critic", "twin"]


@pytest.mark.parametrize("name", ["policy.toml", "policy.json"])
def test_retain_keeps_to_a_policy_file(place: Place, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    state, others = {"purge_days": 0}, {"hot_days": 1, "warm_days": 2, "purge_days": "never"}
    if name.endswith("json"):
        file.write_text(json.dumps({"state": state, "*": others}))
    else:
        file.write_text('[state]\npurge_days = 0\n["*"]\nwarm_days = 2\npurge_days = "never"\n')
    done = place.run("retain", "--policy", str(file), "--dry-run", "--json")
    row = {"name": "critic", "memory_type": "state", "hot": 0, "warm": 0, "cold": 0}
    assert done.json == {**row, "purged": 2, "kept": 1}
    assert place.run("retain", "--policy", str(file), "--yes", "--json").json == done.json
    with place.open() as store:
        assert [version.number for version in store.history("critic")] == [3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no toml", "holds no policy"),
        ("state = 3", "holds no policy"),
        ("[state]\nolder_than = 3", "unknown: older_than"),
        ("[state]\npurge_days = 'soon'", "holds no policy"),
        ("[state]\nhot_days = 9\npurge_days = 3", "ascend"),
    ],
)
def test_a_policy_that_says_nothing_is_refused(
    place: Place, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    for options in (["--policy", str(file)], ["--policy", str(file), "--type", "x"], []):
        done = place.run("retain", *options, "--yes")
        assert done.status == 2
        assert done.out == ""
    done = place.run("retain", "--policy", str(file), "--yes")
    assert said in " ".join(done.err.replace("│", " ").split())


# --- asking first ---------------------------------------------------------------------------------

DESTRUCTIVE = [
    ("forget", "critic"),
    ("rewrap", "--to", "env:AGENTS_KEY"),
    ("prune", "--keep-last", "1", "--keep-daily", "0"),
    ("retain", "--purge-days", "0"),
]


def _unchanged(place: Place) -> bool:
    with place.open() as store:
        return [version.number for version in store.history("critic")] == [3, 2, 1]


@pytest.mark.parametrize("arguments", DESTRUCTIVE)
@pytest.mark.parametrize("said", ["n\n", "\n", "", "yess\n"])
def test_what_cannot_be_undone_is_done_only_after_a_yes(
    place: Place,
    arguments: tuple[str, ...],
    said: str,
    answer: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AGENTS_KEY", "ab" * 32)
    answer(said)
    done = place.run(*arguments)
    assert (done.status, done.out) == (1, "")
    assert "[y/N]" in done.err
    assert "nothing was done" in done.err
    assert _unchanged(place)


def _is_forgotten(place: Place) -> bool:
    with place.open() as store:
        return store.names() == []


def _is_rewrapped(place: Place) -> bool:
    with pytest.raises(KeyringError), place.open():
        pass
    with place.open(EnvKey("AGENTS_KEY")) as store:
        return store.names() == ["critic"]


def _is_pruned(place: Place) -> bool:
    with place.open() as store:
        return [version.number for version in store.history("critic")] == [3]


@pytest.mark.parametrize(
    ("arguments", "is_done"),
    list(zip(DESTRUCTIVE, [_is_forgotten, _is_rewrapped, _is_pruned, _is_pruned], strict=True)),
)
def test_a_yes_at_the_terminal_will_do(
    place: Place,
    arguments: tuple[str, ...],
    is_done: Callable[[Place], bool],
    answer: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AGENTS_KEY", "ab" * 32)
    answer("y\n")
    assert place.run(*arguments).status == 0
    assert is_done(place)


@pytest.mark.parametrize("arguments", DESTRUCTIVE)
def test_where_nobody_can_be_asked_nothing_is_done(
    place: Place, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTS_KEY", "ab" * 32)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    done = place.run(*arguments)
    assert (done.status, done.out) == (2, "")
    assert "--yes" in done.err
    assert _unchanged(place)


# --- interruption ---------------------------------------------------------------------------------


def _interrupting(module: str, monkeypatch: pytest.MonkeyPatch, *, at: str) -> None:
    """Presses Ctrl-C when a command begins its work, or first says how far it is."""

    @contextmanager
    def progress(_: str) -> Iterator[Callable[..., None]]:
        if at == "start":
            signal.raise_signal(signal.SIGINT)
        yield lambda *_: signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(f"dachi_fast.cli.{module}.progress", progress)


def test_an_interrupted_verify_ends_with_130(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    _interrupting("upkeep", monkeypatch, at="start")
    done = place.run("verify")
    assert (done.status, done.out, done.err) == (130, "", "dachi-fast: interrupted\n")


def test_an_interrupted_export_leaves_no_file(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    _interrupting("ledger", monkeypatch, at="progress")
    assert place.run("export", str(place.folder / "ledger.jsonl")).status == 130
    assert sorted(path.name for path in place.folder.iterdir()) == ["k", "s"]
    with place.open() as store:
        store.verify()


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["names", "verify", "rotate", "ledger", "adopt", "compact"])
def test_no_command_makes_a_store(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = Place(tmp_path, capsys).run(command)
    assert (done.status, done.out) == (3, "")
    assert "--store" in done.err
    assert list(tmp_path.iterdir()) == []


def test_errors_in_json_are_one_line_on_stderr(place: Place) -> None:
    done = place.run("log", "nobody", "--json")
    assert done.out == ""
    error = json.loads(done.err)["error"]
    assert (error["code"], error["exit_status"]) == ("unknown-name", 3)
    assert error["context"] == {"name": "nobody"}
    assert "nobody" in error["message"]


def test_a_tampered_store_ends_with_4(place: Place) -> None:
    data = place.folder / "s" / "data.mdb"
    data.write_bytes(data.read_bytes()[:5000])
    done = place.run("verify")
    assert (done.status, done.out) == (4, "")
    assert done.err.count("\n") == 1


def test_a_missing_key_file_ends_with_5(place: Place) -> None:
    (place.folder / "k").unlink()
    done = place.run("names")
    assert (done.status, done.out) == (5, "")
    assert not (place.folder / "k").exists()


def test_a_store_in_use_ends_with_7(place: Place) -> None:
    with place.open():
        assert place.run("names").status == 7


def test_a_file_that_cannot_be_written_is_said(place: Place) -> None:
    done = place.run("export", str(place.folder / "nowhere" / "ledger.jsonl"))
    assert (done.status, done.out) == (1, "")
    assert "nowhere" in done.err
    assert done.err.endswith("[os]\n")


def test_a_warning_is_one_line(place: Place, tmp_path: Path) -> None:
    done = place.run("names", "--witness", str(tmp_path / "other"))
    assert (done.status, done.out) == (0, "critic\n")
    assert done.err.startswith("dachi-fast: warning: ")
    assert done.err.count("\n") == 1
    assert place.run("names", "--witness", "none").err == ""


def test_several_errors_are_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    from dachi_fast.cli import _exit

    errors = ExceptionGroup("two", [KeyringError("wrong-key", "one"), DachiError("x", "two")])
    _exit.tell(errors, as_json=False)
    assert _exit.status_of(errors) == 5
    assert capsys.readouterr().err == "dachi-fast: one [wrong-key]\ndachi-fast: two [x]\n"


def test_a_note_of_an_error_is_said_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    from dachi_fast.cli import _exit

    error = KeyringError("keyring", "the provider failed")
    error.add_note("'x' is forgotten all the same")
    _exit.tell(error, as_json=False)
    assert capsys.readouterr().err == (
        "dachi-fast: the provider failed; 'x' is forgotten all the same [keyring]\n"
    )


def test_classes_are_imported_when_asked(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "my_agents.py").write_text("print('imported')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert place.run("names", "--import", "my_agents").out == "imported\ncritic\n"
    del sys.modules["my_agents"]
    done = place.run("names", "--import", "no_such_package")
    assert done.status == 2
    assert "no_such_package" in done.err


def test_the_default_store_is_used_where_none_is_named(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ("--keys", f"file:{place.folder / 'k'}")
    assert "default.store" in place.bare("names").err
    monkeypatch.setenv("DACHI_FAST_STORE", str(place.folder / "s"))
    assert place.bare("names", *keys).out == "critic\n"
    monkeypatch.setenv("DACHI_FAST_KEYS", f"file:{place.folder / 'k'}")
    assert place.bare("names").out == "critic\n"
    with Store.open(place.folder / "empty", keys=KeyFile(place.folder / "k")):
        pass
    assert place.bare("names", "--store", str(place.folder / "empty")).out == ""


# Each command with what it needs, in an order in which all succeed; what it writes is JSON.
JSON = {
    "names": (),
    "log": ("critic",),
    "show": ("critic",),
    "diff": ("critic",),
    "stats": (),
    "verify": (),
    "ledger": (),
    "checkpoint": (),
    "proof": ("1",),
    "export": ("{folder}/ledger.jsonl",),
    "rollback": ("critic", "1"),
    "fork": ("critic", "twin"),
    "copy": ("critic", "alone"),
    "tag": ("critic", "good"),
    "untag": ("critic", "good"),
    "prune": ("--keep-last", "1", "--keep-daily", "0", "--yes"),
    "retain": ("--purge-days", "0", "--yes"),
    "compact": (),
    "remember": ("a task of a word or two",),
    "recall": ("a task",),
    "reembed": ("hashing:64",),
    "rotate": (),
    "adopt": (),
    "forget": ("alone", "--yes"),
    "backup": ("{folder}/archive",),
    "backups": ("{folder}/archive",),
    "drill": ("{folder}/archive",),
    "restore": ("{folder}/archive", "--aside"),
    "rewrap": ("--to", "env:AGENTS_KEY", "--yes"),
}


def test_every_command_has_help_and_writes_json(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dachi_fast.cli._app import app

    # The demo makes a store of its own, and has tests of its own.
    assert {info.name for info in app.registered_commands} == {*JSON, "demo"}
    monkeypatch.setenv("AGENTS_KEY", "ab" * 32)
    for name, arguments in JSON.items():
        done = place.run(name, *(each.format(folder=place.folder) for each in arguments), "--json")
        assert (done.status, done.err) == (0, ""), name
        assert done.lines, name
        shown = place.bare(name, "--help")
        assert (shown.status, shown.err) == (0, "")
        assert f"{name} " in shown.out
        assert "--json" in shown.out
