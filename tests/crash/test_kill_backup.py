"""Processes killed while they back up or restore: what is half done is none, and gone on with."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from dachi_fast import Archive, Store
from dachi_fast.archive import _folder
from dachi_fast.errors import NoBackup
from tests.backups import Place, learner
from tests.children import started

AGENTS = 4

_CHILD = """
import sys
from pathlib import Path
from tests.crash import test_kill_backup
getattr(test_kill_backup, sys.argv[1])(Path(sys.argv[2]), sys.argv[3])
"""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_at(step: str) -> None:
    """Dies before or after the nth change of the archive, or so many ns from now."""
    if step.startswith("ns "):
        end_ns = time.perf_counter_ns() + int(step.removeprefix("ns "))

        def watch() -> None:
            while time.perf_counter_ns() < end_ns:
                pass
            _die()

        threading.Thread(target=watch, daemon=True).start()
        return
    when, nth = step.split()
    left = [int(nth)]

    def dying(change: object) -> object:
        def changed(*arguments: object) -> None:
            left[0] -= 1
            if when == "before" and left[0] == 0:
                _die()
            change(*arguments)  # type: ignore[operator]
            if when == "after" and left[0] == 0:
                _die()

        return changed

    for method in ("put", "put_over", "delete"):
        setattr(_folder.Folder, method, dying(getattr(_folder.Folder, method)))


def back_up(folder: Path, step: str) -> None:
    place = Place(folder)
    with place.open() as store:
        _die_at(step)
        store.backup(place.archive, keep=1)
    _die()


def restore(folder: Path, step: str) -> None:
    place = Place(folder)
    left = [int(step) if step.isdigit() else -1]

    def told(_: int, __: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            _die()

    if not step.isdigit():
        _die_at(step)
    place.restore(progress=told).close()
    _die()


def _killed(what: str, folder: Path, step: str) -> None:
    child, stdout, stderr = started(_CHILD, what, str(folder), step)
    with child:
        stdout.read()
        errors = stderr.read()
    assert (child.returncode, errors) == (-signal.SIGKILL, "")


# Keys, pack, manifest; of the second backup pack, manifest, and the deletion of the first manifest.
_STEPS = ["after 1", "after 2", "before 3", "after 3"]
_ANY_TIME = ["ns 9000000"]


@pytest.mark.parametrize("step", [*_STEPS, *_ANY_TIME])
def test_a_first_backup_that_is_killed_is_none_or_whole(step: str, tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.filled(AGENTS).close()
    _killed("back_up", tmp_path, step)
    try:
        assert Store.drill(place.archive, keys=place.keys).names == AGENTS
    except NoBackup:
        assert step != "after 3"
    with place.open() as store:
        report = store.backup(place.archive)
        if step in {"after 2", "before 3", "after 3"}:
            assert report.put_nodes == 1
    assert Store.drill(place.archive, keys=place.keys).names == AGENTS


@pytest.mark.parametrize("step", [*_STEPS, *_ANY_TIME])
def test_a_later_backup_that_is_killed_leaves_the_one_before_or_is_whole(
    step: str, tmp_path: Path
) -> None:
    place = Place(tmp_path)
    with place.filled(AGENTS) as store:
        store.backup(place.archive)
        store.save(learner(50), "agent 50")
        store.prune()
    _killed("back_up", tmp_path, step)
    drilled = Store.drill(place.archive, keys=place.keys)
    assert drilled.names in {AGENTS, AGENTS + 1}
    with place.open() as store:
        assert store.backup(place.archive, keep=1).put_bytes < 400_000
    assert Store.drill(place.archive, keys=place.keys).names == AGENTS + 1
    assert len(Archive(place.archive).list("manifests/")) == 1


@pytest.mark.parametrize("step", ["1", "2", "ns 60000000"])
def test_a_restore_that_is_killed_puts_nothing_half_in_place(step: str, tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.filled(AGENTS) as store:
        store.backup(place.archive)
        store.save(learner(50), "agent 50")
        store.backup(place.archive)
    _killed("restore", tmp_path, step)
    target, keys = tmp_path / "restored", place.keys
    if target.exists():
        restored = Store.adopt(target, keys=keys, witness=place.witness("restored"))
    else:
        restored = place.restore()
    with restored:
        assert len(restored.names()) == AGENTS + 1
        assert restored.load("agent 50").memory == learner(50).memory
        restored.verify()
    assert not (tmp_path / "restored.restoring").exists()
