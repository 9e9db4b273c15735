"""Processes that change the keys of one store at once."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dachi_fast import Attr, BaseModule, KeyFile, Passphrase, Store
from dachi_fast.errors import KeyringError, UnknownName
from tests.children import environment

ROOT = Path(__file__).resolve().parents[1]
CHILDREN = 3
ROUNDS = 8


class Note(BaseModule):
    text: str = Attr(default="")


def note(text: str) -> Note:
    """Gives a note of a text."""
    made = Note()
    made.text = text
    return made


def change_everything(folder: Path, me: str) -> None:
    """Saves new names, forgets the one before, begins epochs and replaces the root key."""
    keys = KeyFile(folder / "key")
    with Store.open(folder / "store", keys=keys) as store:
        for step in range(ROUNDS):
            store.save(note(f"{me} {step}"), f"{me} {step}")
            if step % 2:
                store.rotate_now()
            if step % 3 == 0:
                store.rewrap(keys)
            if step:
                store.forget(f"{me} {step - 1}")
            assert store.load(f"{me} {step}").state_dict() == {"text": f"{me} {step}"}


@pytest.mark.timeout(120)
def test_processes_that_rotate_rewrap_and_forget_at_once_lose_nothing(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "key")
    Store.open(tmp_path / "store", keys=keys).close()
    code = (
        "import sys; from pathlib import Path; from tests import test_keys_processes as t; "
        "t.change_everything(Path(sys.argv[1]), sys.argv[2])"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), f"child {number}"],
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment(),
        )
        for number in range(CHILDREN)
    ]
    for child in children:
        _, errors = child.communicate()
        assert child.returncode == 0, errors
        assert errors == ""
    with Store.open(tmp_path / "store", keys=keys) as store:
        left = [f"child {number} {ROUNDS - 1}" for number in range(CHILDREN)]
        assert store.names() == left
        for name in left:
            assert store.load(name).state_dict() == {"text": name}
        assert store.verify().names == CHILDREN
        operations = [entry.operation for entry in store.ledger(limit=1000)]
        assert operations.count("forget") == CHILDREN * (ROUNDS - 1)
        assert operations.count("rotate") == CHILDREN * ROUNDS // 2
    assert len(keys.path.read_text().splitlines()) == 2


def test_threads_that_rotate_rewrap_and_forget_at_once_lose_nothing(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys) as store:
        start = threading.Barrier(6)

        def change(number: int) -> None:
            start.wait()
            for step in range(5):
                store.save(note("x"), f"{number} {step}")
                if number % 2:
                    store.rotate_now()
                store.forget(f"{number} {step}")
                store.save(note("again"), f"{number} {step}")

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(change, range(6)))
        assert len(store.names()) == 30
        assert all(store.load(name).state_dict() == {"text": "again"} for name in store.names())
    with Store.open(tmp_path / "store", keys=keys) as store:
        assert store.verify().names == 30
    assert len(keys.path.read_text().splitlines()) == 2


def test_a_handle_in_another_process_follows(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "key")
    child = (
        "import sys; from pathlib import Path; from dachi_fast import KeyFile, Passphrase, Store; "
        "from tests.test_keys_processes import note; folder = Path(sys.argv[1])\n"
        "with Store.open(folder / 'store', keys=KeyFile(folder / 'key')) as s:"
    )

    def run(what: str) -> None:
        subprocess.run(
            [sys.executable, "-c", f"{child}\n    {what}", str(tmp_path)],
            check=True,
            cwd=ROOT,
            env=environment(),
        )

    # In the end this handle cannot write any more: not what it has read either.
    with Store.open(tmp_path / "store", keys=keys, audit_reads="off") as store:
        store.save(note("secret"), "secret")
        store.save(note("other"), "other")
        run("s.rotate_now(); s.save(note('new epoch'), 'other', base='latest')")
        assert store.load("other").state_dict() == {"text": "new epoch"}
        run("s.forget('secret')")
        with pytest.raises(UnknownName):
            store.load("secret")
        assert [entry.agent_id for entry in store.ledger()].count(None) == 1
        store.save(note("anew"), "secret", base="latest")
        assert store.load("secret").state_dict() == {"text": "anew"}
        run("s.forget('secret'); s.save(note('theirs'), 'secret')")
        assert store.load("secret").state_dict() == {"text": "theirs"}
        run("s.rewrap(Passphrase('x', memory_kib=8, passes=1))")
        with pytest.raises(KeyringError) as caught:
            store.rotate_now()
        assert caught.value.code == "wrong-key"
    with Store.open(tmp_path / "store", keys=Passphrase("x")) as store:
        assert store.verify().names == 2
