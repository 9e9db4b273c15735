"""Damaged data files under a real store: a typed error or the same answers, never a death.

`rust/tests/corruption.rs` tries far more of them; here they pass through Python, in a child that
may die, and foreign LMDB files are written by another LMDB. `DACHI_TORTURE=1` tries more.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest

from dachi_fast import Attr, BaseModule, KeyFile, Store, _core
from dachi_fast.errors import DachiError, IntegrityError, Malformed, NotAStore
from tests.children import environment

ROOT = Path(__file__).resolve().parents[2]
PAGE = 4_096
META_BYTES = 152
NAMES = ("one", "two")
TORTURE = bool(os.environ.get("DACHI_TORTURE"))


class Agent(BaseModule):
    step: int = Attr(default=0)
    weights: Any = Attr(default=None)
    notes: Any = Attr(default=None)


# --- what the child runs --------------------------------------------------------------------------


def ask(store: Store) -> list[object]:
    """Everything that is read, or the code of the error in its place."""
    questions: list[Any] = [store.names, lambda: repr(store.verify())]
    for name in NAMES:
        questions.append(lambda name=name: [v.root for v in store.history(name)])
        questions += [
            lambda name=name, version=version: repr(
                store.load(name, version=version).state_dict()["weights"].tobytes()
            )
            for version in (1, None)
        ]
    answers: list[object] = []
    for question in questions:
        try:
            answers.append(question())
        except IntegrityError as error:
            answers.append(error)
    return answers


def try_edits(folder: Path, keys: KeyFile, lines: Iterable[str]) -> None:
    """Applies each line's edits to the good file, reads, and says what came of it."""
    data = folder / "data.mdb"
    good = data.read_bytes()
    with Store.open(folder, keys=keys) as store:
        answers = ask(store)
    for line in lines:
        case = json.loads(line)
        os.write(1, f"{case['name']}\n".encode())
        content = bytearray(good[: case.get("length", len(good))])
        for at, replaced in case.get("edits", []):
            content[at : at + len(replaced) // 2] = bytes.fromhex(replaced)
        data.write_bytes(content)
        try:
            with Store.open(folder, keys=keys) as store:
                found = ask(store)
        except (IntegrityError, NotAStore):
            continue
        for answer, expected in zip(found, answers, strict=True):
            assert isinstance(answer, IntegrityError) or answer == expected, "another answer"


_CHILD = """
import sys
from pathlib import Path
from dachi_fast import KeyFile
from tests.crash import test_flips
test_flips.try_edits(Path(sys.argv[1]), KeyFile(sys.argv[2]), sys.stdin)
"""


@dataclass
class Subject:
    """A closed store with its data file now and a commit earlier."""

    folder: Path
    keys: KeyFile
    good: bytes
    old: bytes

    @property
    def pages(self) -> int:
        return len(self.good) // PAGE

    def survives(self, cases: list[dict[str, object]]) -> None:
        """All cases in one child; a death or a wrong answer is named by the case it was in."""
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, str(self.folder), str(self.keys.path)],
            input="\n".join(json.dumps(case) for case in cases),
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env=environment(),
        )
        names = done.stdout.splitlines()
        died = f" of {signal.Signals(-done.returncode).name}" if done.returncode < 0 else ""
        assert done.returncode == 0, f"died{died} at {names[-1:]}: {done.stderr}"
        assert len(names) == len(cases) > 0


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    folder, keys, rng = tmp_path / "store", KeyFile(tmp_path / "key"), np.random.default_rng(1)
    old = b""
    for step in range(3):
        old = (folder / "data.mdb").read_bytes() if step else b""
        with Store.open(folder, keys=keys) as store:
            for name in NAMES:
                agent = Agent()
                agent.step = step
                agent.weights = rng.standard_normal(12_000)
                agent.notes = {f"key {n}": f"text {n} {step}" for n in range(300)}
                store.save(agent, name, base="latest")
    return Subject(folder, keys, (folder / "data.mdb").read_bytes(), old)


def _page(number: int, content: bytes) -> tuple[int, str]:
    return number * PAGE, content[number * PAGE :][:PAGE].hex()


def _flips(subject: Subject, rng: random.Random) -> Iterator[int]:
    yield from range(0, META_BYTES, 1 if TORTURE else 3)
    yield from range(PAGE, PAGE + META_BYTES, 1 if TORTURE else 3)
    for page in range(2, subject.pages):
        yield page * PAGE + rng.randrange(16)
    for _ in range(20_000 if TORTURE else 60):
        yield rng.randrange(len(subject.good))


# --- damage ---------------------------------------------------------------------------------------


def test_the_damaged_store_has_pages_of_every_kind(subject: Subject) -> None:
    flags = {subject.good[page * PAGE + 10] for page in range(2, subject.pages)}
    assert flags >= {1, 2, 4}
    assert _core.store.check(subject.folder) == (8, False)


def test_flipped_bytes_kill_nobody_and_change_no_answer(subject: Subject) -> None:
    rng = random.Random(1)
    cases: list[dict[str, object]] = []
    for at in _flips(subject, rng):
        flipped = subject.good[at] ^ rng.choice((1, 2, 0x80, 0xFF))
        cases.append({"name": f"{at} to {flipped:#x}", "edits": [(at, f"{flipped:02x}")]})
    subject.survives(cases)


def test_cuts_kill_nobody_and_change_no_answer(subject: Subject) -> None:
    lengths = {1, 16, 151, 152, PAGE, PAGE + 151, len(subject.good) - 1}
    lengths |= {page * PAGE + more for page in range(2, subject.pages, 7) for more in (0, 15)}
    subject.survives([{"name": f"{length} bytes", "length": length} for length in lengths])


def test_zeroed_swapped_and_stale_pages_kill_nobody_and_change_no_answer(subject: Subject) -> None:
    good, old, rng = subject.good, subject.old, random.Random(2)
    cases: list[dict[str, object]] = []
    for page in range(0, subject.pages, 3):
        other = rng.randrange(subject.pages)
        swap = [_page(page, good), _page(other, good)]
        swapped = [(swap[0][0], swap[1][1]), (swap[1][0], swap[0][1])]
        cases += [
            {"name": f"page {page} of zeros", "edits": [_page(page, bytes(len(good)))]},
            {"name": f"pages {page} and {other} swapped", "edits": swapped},
        ]
    stale = [page for page in range(len(old) // PAGE) if _page(page, old) != _page(page, good)]
    cases += [{"name": f"stale page {page}", "edits": [_page(page, old)]} for page in stale]
    for pages in ([0, 1], stale, *(rng.sample(stale, len(stale) // 2) for _ in range(10))):
        cases.append({"name": f"stale pages {pages}", "edits": [_page(p, old) for p in pages]})
    subject.survives(cases)


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\xff" * 10_000, bytes(1_000_000)])
def test_a_damaged_lock_file_of_lmdb_is_made_anew(subject: Subject, content: bytes) -> None:
    (subject.folder / "lock.mdb").write_bytes(content)
    subject.survives([{"name": "the good file"}])


# --- another LMDB's files -------------------------------------------------------------------------


def _plain(env: lmdb.Environment) -> None:
    with env.begin(write=True) as txn:
        for number in range(5_000):
            txn.put(b"%08d" % number, b"value" * 20)


def _one_entry(env: lmdb.Environment) -> None:
    with env.begin(write=True) as txn:
        txn.put(b"key", b"value")


def _other_names(env: lmdb.Environment) -> None:
    for name in (b"users", b"orders"):
        with env.begin(write=True, db=env.open_db(name)) as txn:
            txn.put(b"key", b"value")


def _our_names_with_duplicates(env: lmdb.Environment) -> None:
    for name in (b"nodes", b"meta"):
        with env.begin(write=True, db=env.open_db(name, dupsort=True)) as txn:
            for number in range(5_000):
                txn.put(b"key %d" % (number % 3), b"%08d" % number)


@pytest.mark.parametrize("fill", [_plain, _one_entry, _other_names, _our_names_with_duplicates])
def test_a_file_of_somebody_elses_lmdb_is_no_store(subject: Subject, fill: Any) -> None:
    data = subject.folder / "data.mdb"
    data.unlink()
    (subject.folder / "lock.mdb").unlink()
    with lmdb.open(str(subject.folder), map_size=1 << 30, max_dbs=4) as env:
        fill(env)
    content = data.read_bytes()
    with pytest.raises((NotAStore, Malformed)) as caught:
        Store.open(subject.folder, keys=subject.keys)
    assert "data.mdb" in str(caught.value)
    assert data.read_bytes() == content


def test_our_databases_written_by_another_lmdb_pass_the_check(tmp_path: Path) -> None:
    rng = random.Random(3)
    for step in range(6):
        with lmdb.open(str(tmp_path), map_size=1 << 30, max_dbs=4) as env:
            nodes = env.open_db(b"nodes")
            env.open_db(b"meta")
            with env.begin(write=True, db=nodes) as txn:
                for _ in range(2_000):
                    key = rng.randrange(3_000).to_bytes(16, "big")
                    if rng.random() < 0.4:
                        txn.delete(key)
                    else:
                        txn.put(key, rng.randbytes(rng.choice((0, 90, 2_500, 9_000))))
        transaction, doubtful = _core.store.check(tmp_path)
        assert transaction > step
        assert not doubtful


def test_errors_of_the_check_say_what_to_do(subject: Subject) -> None:
    data = subject.folder / "data.mdb"
    data.write_bytes(subject.good[: 20 * PAGE])
    with pytest.raises(DachiError, match=r"cut short.*restore") as caught:
        Store.open(subject.folder, keys=subject.keys)
    assert caught.value.code == "malformed"
    assert isinstance(caught.value.context["page"], int)
