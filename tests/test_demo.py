"""`dachi-fast demo`: an agent that is really killed, and what is left of it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import KeyFile, Store
from dachi_fast.cli import _corpus, _demo_run
from dachi_fast.cli import _demo_life as life
from dachi_fast.cli._corpus import read_corpus
from dachi_fast.cli._demo_process import Worker
from dachi_fast.cli._demo_screen import Plain, Rich, Screen, Step, Table
from dachi_fast.cli._demo_worker import NAME, Job
from dachi_fast.cli._librarian import differences, librarian
from dachi_fast.cli.demo import DemoOptions
from dachi_fast.witness import FileWitness

_DEMO = [sys.executable, "-m", "dachi_fast", "demo"]


def _environment(folder: Path) -> dict[str, str]:
    """Gives an environment in which all that a process leaves behind lies in one folder."""
    own = {name: str(folder / "home") for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME")}
    (folder / "tmp").mkdir(parents=True)
    return os.environ | own | {"TMPDIR": str(folder / "tmp"), "COLUMNS": "100"}


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """Gives the JSON document of a run, and the folder it could write to."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [*_DEMO, "--json", "--seed", "7"],
        capture_output=True,
        text=True,
        check=False,
        env=_environment(folder),
    )
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert isinstance(document, dict)
    return document, folder


def test_all_claims_of_a_run_hold(whole_run: tuple[dict[str, Any], Path]) -> None:
    document, _ = whole_run
    assert document["ok"] is True
    assert document["seed"] == 7
    assert len(document["claims"]) > 15
    assert set(document["claims"].values()) == {True}


def test_the_process_is_killed_in_the_middle_of_its_work(
    whole_run: tuple[dict[str, Any], Path],
) -> None:
    document, _ = whole_run
    killed = document["killed"]
    assert killed["status"] == -signal.SIGKILL
    assert killed["acknowledged"] == list(range(1, len(killed["acknowledged"]) + 1))
    assert 0 < len(killed["acknowledged"]) < document["text"]["batches"]


def test_the_next_process_goes_on_where_it_was(whole_run: tuple[dict[str, Any], Path]) -> None:
    document, _ = whole_run
    last = document["killed"]["acknowledged"][-1]
    recovered, curves = document["recovered"], document["curves"]
    assert last <= recovered["version"] <= document["killed"]["newest_save_begun"]
    assert recovered["unequal"] == []
    assert recovered["accuracy"] == curves["before"][-1][1]
    assert curves["resumed"][0][1] > 3 * curves["twin"][0][1]
    assert curves["resumed"][-1] == [document["text"]["batches"], document["compared"]["accuracy"]]
    assert document["compared"]["differences"] == []


def test_a_run_ends_with_history_diff_rollback_and_proof(
    whole_run: tuple[dict[str, Any], Path],
) -> None:
    document, _ = whole_run
    versions = document["history"]["versions"]
    recovered, count = document["recovered"]["version"], document["text"]["batches"]
    assert [version["version"] for version in versions] == list(range(1, count + 1))
    assert (document["diff"]["from"], document["diff"]["to"]) == (recovered, recovered + 1)
    assert 0 < len(document["diff"]["changed"]) < document["diff"]["values"]
    assert document["rollback"]["restores"] == recovered
    assert document["rollback"]["root"] == versions[recovered - 1]["root"]
    assert document["verified"]["versions"] == count + 1
    operations = document["verified"]["ledger"]
    assert operations.pop("retrieve") > 0
    memories = document["recalled"]["memories"] + 1  # and the lie
    assert memories == document["text"]["stream"] + 1
    stored = document["verified"]["stored"]
    assert stored == {"state": count, "task_memory": memories, "memory_source": 1}
    assert (operations["create"], operations["rollback"]) == (1, 1)


def test_an_agent_that_chooses_dies_often_and_ends_where_it_would_have(
    whole_run: tuple[dict[str, Any], Path],
) -> None:
    document, _ = whole_run
    told = document["picked"]
    assert (told["deaths"], told["steps"], told["experiences"]) == (17, 30, 30)
    assert told["equal"]
    assert told["same_acts"]
    assert told["again"] > 0


def test_a_run_leaves_nothing_behind(whole_run: tuple[dict[str, Any], Path]) -> None:
    _, folder = whole_run
    assert [path for path in folder.rglob("*") if path.is_file()] == []
    assert list((folder / "tmp").iterdir()) == []


def test_plain_output_has_no_control_codes_and_a_kept_store_stays_usable(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    command = [*_DEMO, "--seed", "11", "--keep", str(kept)]
    environment = _environment(tmp_path) | {"TERM": "xterm-256color", "FORCE_COLOR": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"[^\x20-\x7e\n]", done.stdout) == []
    assert max(map(len, done.stdout.splitlines())) <= 100
    steps = re.findall(r"^(\d+) (?!of)", done.stdout, re.MULTILINE)
    assert steps == [str(number) for number in range(1, 12)]
    witness = FileWitness(kept / "witness")
    with Store.open(
        kept / "librarian.store", keys=KeyFile(kept / "librarian.key"), witness=witness
    ) as store:
        agent = store.load(NAME)
    assert agent.guess("Return a JSON string representation of a Python data structure.") == "json"

    again = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (again.returncode, again.stdout) == (2, "")
    assert "has a store already" in again.stderr


def _small_job(folder: Path, seed: int) -> Job:
    corpus = read_corpus(seed)
    return Job(
        task="learn",
        store=str(folder / "agents.store"),
        key=str(folder / "agents.key"),
        witness=str(folder / "witness"),
        labels=corpus.labels,
        batches=[corpus.stream[at : at + 6] for at in range(0, 600, 6)],
        held_out=corpus.held_out[:20],
        ask_every=10,
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_acknowledged_is_lost_wherever_the_kill_comes(seed: int, tmp_path: Path) -> None:
    job = _small_job(tmp_path, seed)
    first = life.first_life(job, seed)
    second = life.second_life(job, first)
    for step in (
        life.kill_step(job, first),
        life.recover_step(first, second),
    ):
        assert step.broken == []
    unbroken = librarian(job.labels)
    for text, label in (sentence for batch in job.batches for sentence in batch):
        unbroken.learn(text, label)
    with job.open() as store:
        assert list(differences(store.load(NAME), unbroken)) == []


def test_a_process_killed_inside_a_save_loses_at_most_that_save(tmp_path: Path) -> None:
    job = _small_job(tmp_path, 4)
    with Worker(job) as worker:
        first = life.Life(pid=worker.pid)
        for event in worker.events():
            first.hear(event)
            if event == {"event": "saving", "batch": 20}:
                worker.kill()
        first.status = worker.status()
    with job.open() as store:
        numbers = [version.number for version in reversed(store.history(NAME))]
        store.verify()
    assert first.status == -signal.SIGKILL
    assert numbers[: len(first.acknowledged)] == first.acknowledged
    assert numbers[-1] <= first.started


def _processes_with(word: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):  # ended meanwhile, or of another user
            if entry.name.isdigit() and word.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="lists processes by /proc")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, {130, 1}), (signal.SIGTERM, {143})])
def test_an_interrupted_run_leaves_no_process_and_no_folder(
    number: signal.Signals, status: set[int], tmp_path: Path
) -> None:
    environment = _environment(tmp_path)
    with subprocess.Popen(
        [*_DEMO, "--seed", "5"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if line.startswith("1 "):  # the text is read: the learner starts
                break
        assert list((tmp_path / "tmp").iterdir()) != []
        demo.send_signal(number)
        demo.stdout.read()
    assert demo.returncode in status
    assert list((tmp_path / "tmp").iterdir()) == []
    assert _processes_with(environment["TMPDIR"]) == []


def test_a_python_without_documentation_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_corpus, "_docstrings", lambda _: iter(()))
    assert _demo_run.run(DemoOptions(output="plain", seed=1, keep=None)) == 1
    assert "run it without -OO" in capsys.readouterr().err


def test_a_seed_decides_the_text() -> None:
    one, same, other = read_corpus(1), read_corpus(1), read_corpus(2)
    assert one == same
    assert one.stream != other.stream
    assert {text for text, _ in one.stream}.isdisjoint({text for text, _ in one.held_out})
    assert {label for _, label in one.stream} == set(one.labels)


def test_a_lost_version_would_be_noticed() -> None:
    first = life.Life(pid=1, status=-9, acknowledged=[1, 2, 3], started=4, agent={3: 0.5})
    found = {"version": 2, "read": 16, "unequal": [2], "accuracy": 0.4}
    second = life.Life(pid=2, recovered=found)
    assert life.recover_step(first, second).broken == [
        "everything acknowledged is there",
        "each version is what was learned",
        "it answers as before",
    ]


def test_a_claim_that_does_not_hold_makes_the_run_fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def tell(story: _demo_run._Story, _: Screen, folder: Path) -> None:
        assert folder.is_dir()
        story.tell(Step(name="try", what="It is so.", why="I say so.", holds={"it is so": False}))

    monkeypatch.setattr(_demo_run, "_tell_all", tell)
    assert _demo_run.run(DemoOptions(output="plain", seed=1, keep=None)) == 1
    assert "DOES NOT HOLD: it is so" in capsys.readouterr().out
    assert _demo_run.run(DemoOptions(output="json", seed=1, keep=None)) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False


@pytest.mark.parametrize("screen", ["plain", "rich"])
def test_a_step_shows_what_why_and_its_table(
    screen: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if screen == "rich" and importlib.util.find_spec("rich") is None:
        pytest.skip("the extra `cli` is not installed")
    monkeypatch.setenv("COLUMNS", "100")
    table = Table(
        heads=["name", "count"], aligned="lr", rows=[["one", "1"], ["KILL"], ["two", "22"]]
    )
    step = Step(name="look", what="It happened.", why="It was seen.", table=table)
    (Plain() if screen == "plain" else Rich()).show(3, step)
    shown = capsys.readouterr().out
    words = ["3 look", "It happened.", "It was seen.", "name", "one", "KILL", "two", "22"]
    assert [word for word in words if word not in shown] == []
    assert [shown.index(word) for word in words] == sorted(shown.index(word) for word in words)
