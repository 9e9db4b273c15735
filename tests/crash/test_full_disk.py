"""A full disk, and one that fails to sync: nothing acknowledged is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dachi_fast import Attr, BaseModule, FileWitness, KeyFile, Limits, Store, cli
from dachi_fast.errors import DachiError, KeysBehind, ReadsLost, StoreFull, StoreIO, UnknownName
from tests.stores import open_store
from tests.warm import Warm

DISK_BYTES = 12 << 20


class Agent(BaseModule):
    step: int = Attr(default=0)
    weights: Any = Attr(default=None)


def at_step(step: int, size: int = 20_000) -> Agent:
    """Gives an agent that nothing of the step before can be shared with."""
    agent = Agent()
    agent.step = step
    agent.weights = np.random.default_rng(step).standard_normal(size)
    return agent


# --- a full disk ----------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk, where the system lets us make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if (
        mount is None
        or subprocess.run([mount, *options], capture_output=True, check=False).returncode
    ):
        pytest.skip("only who may mount can make a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _fill_up(disk: Path) -> Path:
    """Takes all room that is left, down to the last byte."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for piece in (1 << 16, 1 << 12, 1):
            try:
                while file.write(bytes(piece)) == piece:
                    pass
            except OSError:
                continue
    return filler


def test_a_full_disk_loses_nothing_and_the_handle_goes_on_when_there_is_room(
    disk: Path, tmp_path: Path
) -> None:
    with open_store(disk, tmp_path) as store:
        for step in range(1, 4):
            store.save(at_step(step), "agent", base="latest")
        store.save(at_step(0), "other")
        filler = _fill_up(disk)
        for _ in range(3):
            with pytest.raises(StoreFull):
                store.save(at_step(4), "agent", base="latest")
            assert store.load("agent").step == 3
            assert store.load("other").step == 0
        assert store.verify().versions == 4
        filler.unlink()
        assert store.save(at_step(4), "agent", base="latest").number == 4
        assert store.verify().versions == 5
    with open_store(disk, tmp_path) as store:
        assert [store.load("agent", version=step).step for step in range(1, 5)] == [1, 2, 3, 4]


def _save_until_full(store: Store) -> int:
    saved = 0
    while True:
        try:
            saved = store.save(at_step(saved + 1), "agent", base="latest").number
        except StoreFull:
            return saved


def test_saves_into_a_disk_that_fills_up_are_there_or_refused(disk: Path, tmp_path: Path) -> None:
    with open_store(disk, tmp_path) as store:
        saved = _save_until_full(store)
        assert saved > 10
        assert [version.number for version in store.history("agent")] == list(range(saved, 0, -1))
    with open_store(disk, tmp_path) as store:
        for step in range(1, saved + 1):
            assert (store.load("agent", version=step).weights == at_step(step).weights).all()
        assert store.verify().versions == saved


def test_a_save_too_large_for_the_disk_does_not_keep_small_ones_out(
    disk: Path, tmp_path: Path
) -> None:
    with open_store(disk, tmp_path) as store:
        for step in range(1, 11):
            with pytest.raises(StoreFull):
                store.save(at_step(step, 2_000_000), "large")
            assert store.save(at_step(step, 10), "small", base="latest").number == step
        assert store.names() == ["small"]


def test_a_store_closes_on_a_full_disk_and_says_which_reads_are_lost(
    disk: Path, tmp_path: Path
) -> None:
    keys, witness = KeyFile(tmp_path / "key"), FileWitness(tmp_path / "witness")
    store = Store.open(disk / "store", keys=keys, witness=witness)
    store.save(at_step(1), "agent")
    for _ in range(3):
        assert store.load("agent").step == 1
    filler = _fill_up(disk)
    with pytest.warns(ReadsLost, match="3 reads") as warned:
        store.close()
    assert store.closed
    assert warned[0].filename == __file__
    told: Any = warned[0].message
    assert (told.code, told.context["count"]) == ("reads-lost", 3)
    filler.unlink()
    with open_store(disk, tmp_path) as store:
        assert [entry.operation for entry in store.ledger()] == ["store", "create"]
        store.verify()


def test_the_end_of_a_block_on_a_full_disk_closes_too(disk: Path, tmp_path: Path) -> None:
    store = Store.open(disk / "store", keys=KeyFile(tmp_path / "key"), witness=None)
    store.save(at_step(1), "agent")
    store.load("agent")
    _fill_up(disk)
    with warnings.catch_warnings():
        # Whoever must not lose reads makes an error of it.
        warnings.simplefilter("error", ReadsLost)
        with pytest.raises(ReadsLost), store:
            pass
    assert store.closed


def test_a_command_shows_what_lies_on_a_full_disk_and_says_that_it_is_not_in_the_ledger(
    disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("typer")
    with open_store(disk, tmp_path) as store:
        store.save(at_step(1), "agent")
    _fill_up(disk)
    where = ["--store", str(disk / "store"), "--keys", f"file:{tmp_path / 'key'}"]
    where += ["--witness", str(tmp_path / "witness")]
    assert cli.main(["show", "agent", "step", *where]) == 0
    said = capsys.readouterr()
    assert said.out == "1\n"
    assert said.err.startswith("dachi-fast: warning: ")
    assert "ledger" in said.err
    assert cli.main(["rotate", *where]) == 8


def test_a_disk_without_room_for_a_second_file_leaves_the_first(disk: Path, tmp_path: Path) -> None:
    with open_store(disk, tmp_path) as store:
        for step in range(1, 31):
            store.save(at_step(step), "agent", base="latest")
        assert (store.path / "data.mdb").stat().st_size > DISK_BYTES // 2
        for _ in range(2):
            with pytest.raises(StoreFull):
                store.compact()
            assert not (store.path / "data.mdb.new").exists()
        assert store.save(at_step(31), "agent", base="latest").number == 31
        assert store.verify().versions == 31


def test_a_store_on_a_full_disk_opens_and_reads(disk: Path, tmp_path: Path) -> None:
    with open_store(disk, tmp_path) as store:
        store.save(at_step(1), "agent")
    filler = _fill_up(disk)
    with open_store(disk, tmp_path) as store:
        assert store.load("agent").step == 1
        with pytest.raises(StoreFull):
            store.save(at_step(2), "agent", base="latest")
    filler.unlink()
    with open_store(disk, tmp_path) as store:
        assert store.save(at_step(2), "agent", base="latest").number == 2


def test_a_store_cannot_be_made_on_a_full_disk_until_there_is_room(
    disk: Path, tmp_path: Path
) -> None:
    filler = _fill_up(disk)
    for _ in range(2):
        with pytest.raises(StoreFull):
            open_store(disk, tmp_path)
    filler.unlink()
    with open_store(disk, tmp_path) as store:
        assert store.save(at_step(1), "agent").number == 1


# --- clearing a full disk -------------------------------------------------------------------------


def _open_beside(disk: Path, limits: Limits | None = None) -> Store:
    """Opens the store with all it needs on the disk itself: key file and witness, too."""
    keys, witness = KeyFile(disk / "key"), FileWitness(disk / "witness")
    where = disk / "store"
    return Store.open(where, keys=keys, witness=witness, limits=limits, audit_reads="off")


def _full(disk: Path, store: Store) -> None:
    """Saves two agents of many versions, and takes all room that is left."""
    for step in range(1, 16):
        for name in ("one", "two"):
            store.save(at_step(step), name, base="latest")
    _save_until_full(store)
    _fill_up(disk)
    _use_up_free_pages(store)


def _use_up_free_pages(store: Store) -> None:
    """Saves ever smaller agents until the data file has no page to spare."""
    size = 20_000
    while size:
        try:
            store.save(at_step(size, size), "agent", base="latest")
        except StoreFull:
            size //= 2


def test_forgetting_works_on_a_full_disk_and_makes_room(disk: Path) -> None:
    # Symptom: forgetting left the key where it was, and the store could not even be opened to be
    # read. Cause: keys.sealed is written anew, and there was no room. Fix: room is set aside.
    with _open_beside(disk) as store:
        _full(disk, store)
        for name in ("one", "two"):
            assert store.forget(name).names == (name,)
            with pytest.raises(UnknownName):
                store.load(name)
        assert store.names() == ["agent"]
        operations = [entry.operation for entry in store.ledger(limit=4)]
        assert operations == ["destroy", "forget"] * 2
        # What they took is there for others.
        assert store.save(at_step(1), "new").number == 1
        store.verify()
    with _open_beside(disk) as store:
        assert store.names() == ["agent", "new"]


def test_pruning_works_on_a_full_disk_and_makes_room(disk: Path) -> None:
    with _open_beside(disk) as store:
        _full(disk, store)
        latest = store.history("agent", limit=1)[0].number
    with _open_beside(disk, Limits(versions=2, days=0)) as store:
        pruned = {found.name: found.versions for found in store.prune()}
        assert pruned["one"] == pruned["two"] == tuple(range(1, 14))
        assert [version.number for version in store.history("agent")] == [latest, latest - 1]
        assert store.verify().versions == 6


def test_purging_works_on_a_full_disk(disk: Path) -> None:
    with _open_beside(disk) as store:
        _full(disk, store)
        latest = store.history("one", limit=1)[0].number
        purged = store.purge("one", versions=range(1, latest - 4))
        assert purged.resealed > 0
        kept = [version.number for version in store.history("one")]
        assert kept == list(range(latest, latest - 5, -1))
        assert store.load("one").step == latest
        store.purge("agent")
        assert [entry.operation for entry in store.ledger(limit=1)] == ["destroy"]
        store.verify()
    _open_beside(disk).close()


def test_what_was_set_aside_for_clearing_a_full_disk_is_not_used_up_by_saves(disk: Path) -> None:
    with _open_beside(disk) as store:
        aside = (store.path / "ballast").stat()
        assert aside.st_size == aside.st_blocks * 512 > 0
        _full(disk, store)
        assert (store.path / "ballast").stat().st_size == aside.st_size
        store.forget("one")
        _use_up_free_pages(store)
        store.forget("two")


def test_a_store_whose_forgetting_found_no_room_at_all_can_be_read_and_ends_it_later(
    disk: Path, tmp_path: Path
) -> None:
    with open_store(disk, tmp_path) as store:
        _full(disk, store)
        (store.path / "ballast").unlink()
        _fill_up(disk)
        with pytest.raises(StoreFull):
            store.forget("one")
    with pytest.warns(KeysBehind, match="at the next open"):
        store = open_store(disk, tmp_path)
    with store:
        assert "one" not in store.names()
        assert store.load("two").step == 15
    (disk / "filler").unlink()
    with open_store(disk, tmp_path) as store:
        assert [entry.operation for entry in store.ledger(limit=2)] == ["destroy", "forget"]
        store.verify()


# --- a disk that fails ----------------------------------------------------------------------------

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#include <stdio.h>
#include <stdlib.h>
/* Fails the call that the file $FAIL_WITH names, on data.mdb only. */
static int fails(const char *call, int fd) {
    char path[4096], link[64], line[64] = "";
    FILE *file = fopen(getenv("FAIL_WITH"), "r");
    if (!file) return 0;
    if (!fgets(line, sizeof line, file)) line[0] = 0;
    fclose(file);
    if (strcmp(line, call)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 8) return 0;
    path[length] = 0;
    return !strcmp(path + length - 8, "data.mdb");
}
#define CALL(result, name, parameters, arguments, fd) \
    result name parameters { \
        static result (*real) parameters; \
        if (!real) real = dlsym(RTLD_NEXT, #name); \
        if (fails(#name, fd)) { errno = EIO; return -1; } \
        return real arguments; \
    }
CALL(int, fdatasync, (int fd), (fd), fd)
CALL(int, fsync, (int fd), (fd), fd)
CALL(ssize_t, pwrite, (int fd, const void *b, size_t n, off_t o), (fd, b, n, o), fd)
CALL(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n), fd)
"""


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("a C compiler makes the calls fail")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(SHIM)
    library = folder / "shim.so"
    flags = ["-shared", "-fPIC", "-o", str(library), str(folder / "shim.c"), "-ldl"]
    subprocess.run([compiler, *flags], check=True)
    return library


def fail(folder: str, call: str) -> dict[str, Any]:
    """Saves while `call` fails; says what came of it, of the next operations, and of a new open."""
    disk, switch = Path(folder), Path(os.environ["FAIL_WITH"])

    def tried(work: Any) -> Any:
        try:
            return work()
        except DachiError as error:
            return [type(error).__name__, error.code]

    said: dict[str, Any] = {}
    with open_store(disk, disk) as store:
        for step in range(1, 4):
            store.save(at_step(step), "agent", base="latest")
        switch.write_text(call)
        said["failed save"] = tried(lambda: store.save(at_step(4), "agent", base="latest").number)
        switch.write_text("")
        said["next save"] = tried(lambda: store.save(at_step(5), "agent", base="latest").number)
        said["next load"] = tried(lambda: store.load("agent").step)
    with open_store(disk, disk) as store:
        versions = [version.number for version in store.history("agent")]
        said["versions"] = versions
        said["steps"] = [store.load("agent", version=number).step for number in versions]
        said["verified"] = store.verify().versions
        said["save after reopening"] = store.save(at_step(9), "agent", base="latest").number
    return said


@pytest.mark.parametrize("call", ["fdatasync", "pwrite", "writev"])
def test_a_write_that_fails_fails_the_save_and_the_store_until_it_is_reopened(
    call: str, shim: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch = tmp_path / "switch"
    monkeypatch.setenv("FAIL_WITH", str(switch))
    monkeypatch.setenv("LD_PRELOAD", str(shim))
    with Warm("tests.crash.test_full_disk") as warm:
        said = warm.call("fail", str(tmp_path), call)
    refused = [StoreIO.__name__, "io"]
    assert said["failed save"] == said["next save"] == said["next load"] == refused, json.dumps(
        said
    )
    # Whether the failed one is there is not known before the store is read again.
    assert said["versions"] in ([3, 2, 1], [4, 3, 2, 1])
    assert said["steps"] == said["versions"]
    assert said["verified"] == len(said["versions"])
    assert said["save after reopening"] == len(said["versions"]) + 1
