"""Backups: whole, sealed, incremental, and nobody's but the store's."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import signal
import threading
from pathlib import Path

import pytest

from dachi_fast import Archive, KeyFile, Store
from dachi_fast.errors import (
    ArchiveError,
    ArchiveUnavailable,
    DachiError,
    NoBackup,
    RolledBack,
    Tampered,
    WrongContext,
)
from tests import s3
from tests.backups import PIECE, Place, learner
from tests.timed import DAY_S, Clock


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def timed(place: Place) -> Clock:
    """The clock of the place's store."""
    assert isinstance(place.clock, Clock)
    return place.clock


def test_a_second_backup_puts_only_what_changed(place: Place) -> None:
    with place.filled(agents=6) as store:
        first = store.backup(place.archive)
        assert first.put_nodes == first.nodes
        assert first.put_bytes > 6 * PIECE
        again = store.backup(place.archive)
        # The entry of the ledger that names it, and the manifest.
        assert (again.put_nodes, again.put_objects) == (1, 2)
        assert again.put_bytes < 3_000
        changed = learner(3)
        changed.memory = changed.memory[:-1] + b"!"
        store.save(changed, "agent 3", base="latest")
        third = store.backup(place.archive)
        assert third.put_bytes < PIECE / 4
    for backup in Store.backups(place.archive, keys=place.keys):
        assert Store.drill(place.archive, keys=place.keys, backup=backup.id).names == 6


def test_a_backup_shows_no_more_than_random_names(place: Place) -> None:
    with place.filled() as store:
        report = store.backup(place.archive)
        store_id = store._core.store_id
    names = place.objects()
    assert sorted(name.partition("/")[0] for name in names) == ["keys", "manifests", "packs"]
    assert f"manifests/{report.id}" in names
    everything = b"".join((place.archive / name).read_bytes() for name in names)
    for secret in (b"agent 0", b"Learner", b"memory", learner(0).memory[1_000:1_032]):
        assert secret not in everything
    packs = b"".join(path.read_bytes() for path in place.packs())
    assert store_id not in packs


def test_the_ledger_says_that_a_backup_was_made_and_why(place: Place) -> None:
    with place.filled() as store:
        store.backup(place.archive, justification="nightly")
        newest = store.ledger(limit=1)[0]
        assert (newest.operation, newest.justification) == ("backup", "nightly")


def test_a_store_that_is_only_read_is_backed_up_without_an_entry(place: Place) -> None:
    place.filled().close()
    with Store.open(place.folder / "store", keys=place.keys, witness=None, read_only=True) as store:
        before = store.ledger()
        store.backup(place.archive)
        assert store.ledger() == before
    assert Store.drill(place.archive, keys=place.keys).names == 3


def test_others_save_while_a_backup_is_made(place: Place) -> None:
    with place.filled(agents=2) as store:
        saved = itertools.count()

        def told(_: int, __: int) -> None:
            store.save(learner(9, next(saved)), "busy", base="latest")

        report = store.backup(place.archive, progress=told)
        assert next(saved) > 1
        assert report.commit < store.backup(place.archive).commit
    oldest = Store.backups(place.archive, keys=place.keys)[-1]
    assert oldest.commit == report.commit
    with place.restore(backup=oldest.id) as restored:
        assert restored.names() == ["agent 0", "agent 1"]


def test_a_backup_takes_the_newest_commit_when_what_it_puts_goes(
    place: Place, timed: Clock
) -> None:
    with place.filled(agents=2) as store:
        plans: list[int] = []

        def told(done: int, _: int) -> None:
            if done == 0:
                plans.append(1)
            if len(plans) == 1:
                # What a commit lost goes ten minutes later, three commits at a time.
                timed.now_s += 601
                for count in range(4):
                    store.save(learner(9, count), "busy", base="latest")
                timed.now_s += 601
                for count in range(4):
                    store.save(learner(9, 10 + count), "busy", base="latest")

        report = store.backup(place.archive, progress=told)
        assert len(plans) == 2
        assert report.nodes == report.put_nodes
    with place.restore() as restored:
        assert restored.load("busy").count == 13


def test_what_is_forgotten_while_a_backup_is_made_is_not_in_it(place: Place) -> None:
    with place.filled(agents=2) as store:
        forgotten: list[object] = []

        def told(_: int, __: int) -> None:
            if not forgotten:
                forgotten.append(store.forget("agent 1"))

        store.backup(place.archive, progress=told)
        kept = (place.folder / "store" / "keys.sealed").read_bytes()
        assert (place.archive / "keys").read_bytes() == kept
    drilled = Store.drill(place.archive, keys=place.keys)
    assert (drilled.names, drilled.forgotten) == (1, 0)


def test_the_last_backups_are_kept_and_what_only_others_needed_goes_a_day_later(
    place: Place, timed: Clock
) -> None:
    with place.filled(agents=1) as store:
        for number in range(4):
            store.save(learner(10 + number), "agent 0", base="latest")
            store.prune("agent 0")
            report = store.backup(place.archive, keep=2)
            assert len(report.dropped) == (number >= 2)
        assert len(Store.backups(place.archive, keys=place.keys)) == 2
        before = len(place.packs())
        assert before == 4
        timed.now_s += DAY_S - 1
        assert store.backup(place.archive, keep=2).deleted_objects == 1
        timed.now_s += 1
        store.backup(place.archive, keep=1)
        for backup in Store.backups(place.archive, keys=place.keys):
            Store.drill(place.archive, keys=place.keys, backup=backup.id)


def test_packs_that_no_backup_needs_are_deleted_after_a_day(place: Place, timed: Clock) -> None:
    with place.filled(agents=1) as store:
        store.backup(place.archive)
        store.forget("agent 0")
        store.save(learner(1), "agent 1")
        store.backup(place.archive, keep=1)
        [old] = [path for path in place.packs() if path.stat().st_size > PIECE][:1]
        size = sum(place.objects().values())
        timed.now_s += DAY_S + 1
        # The one before still names the packs of the first: two packs are there, and needed.
        store.backup(place.archive, keep=1)
        assert sum(place.objects().values()) <= size + 5_000
        assert old.exists()


def test_many_small_backups_do_not_pile_up_packs(place: Place, timed: Clock) -> None:
    with place.filled(agents=1) as store:
        for _ in range(40):
            store.backup(place.archive, keep=1)
            timed.now_s += DAY_S
        newest = Store.backups(place.archive, keys=place.keys)[0]
        assert newest.packs <= 33
        assert len(place.packs()) <= 36
    assert Store.drill(place.archive, keys=place.keys).names == 1


def test_what_a_backup_was_relying_on_is_put_again_when_it_is_gone_or_cut(place: Place) -> None:
    with place.filled() as store:
        store.backup(place.archive)
        [pack] = place.packs()
        pack.unlink()
        report = store.backup(place.archive)
        assert report.put_nodes == report.nodes
        [pack] = place.packs()
        pack.write_bytes(pack.read_bytes()[:-1000])
        report = store.backup(place.archive)
        assert report.put_nodes == report.nodes
    assert Store.drill(place.archive, keys=place.keys).names == 3


def test_what_was_queued_is_in_the_backup(place: Place) -> None:
    place.open().close()
    keys = place.keys
    with Store.open(
        place.folder / "store", keys=keys, witness=place.witness(), durability="async"
    ) as store:
        store.save(learner(1), "queued")
        store.backup(place.archive)
    assert Store.drill(place.archive, keys=keys).names == 1


@pytest.mark.parametrize("at", [0, 1])
def test_what_progress_raises_ends_a_backup_and_the_next_goes_on(place: Place, at: int) -> None:
    with place.filled(agents=2) as store:
        calls = itertools.count()

        def told(_: int, __: int) -> None:
            if next(calls) == at:
                raise RuntimeError("enough")

        with pytest.raises(RuntimeError, match="enough"):
            store.backup(place.archive, progress=told)
        with pytest.raises(NoBackup):
            Store.drill(place.archive, keys=place.keys)
        report = store.backup(place.archive)
        # The ledger has one entry more; what had been put was not put again.
        assert report.put_nodes == (1 if at else report.nodes)
    assert Store.drill(place.archive, keys=place.keys).names == 2


def test_ctrl_c_ends_a_backup(place: Place) -> None:
    with place.filled(agents=2) as store:
        with pytest.raises(KeyboardInterrupt):
            store.backup(place.archive, progress=lambda *_: signal.raise_signal(signal.SIGINT))
        store.backup(place.archive)
    assert Store.drill(place.archive, keys=place.keys).names == 2


def test_two_threads_back_up_at_once(place: Place) -> None:
    errors: list[BaseException] = []
    with place.filled(agents=4) as store:

        def back_up() -> None:
            try:
                store.backup(place.archive)
            except BaseException as error:  # noqa: BLE001 - whatever it is, the test tells
                errors.append(error)

        threads = [threading.Thread(target=back_up) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors == []
    for backup in Store.backups(place.archive, keys=place.keys):
        assert Store.drill(place.archive, keys=place.keys, backup=backup.id).names == 4


def test_another_stores_archive_is_refused_and_left_alone(place: Place, tmp_path: Path) -> None:
    with place.filled() as store:
        store.backup(place.archive)
    before = place.objects()
    with (
        Store.open(tmp_path / "other", keys=place.keys, witness=None) as other,
        pytest.raises(WrongContext),
    ):
        other.backup(place.archive)
    assert place.objects() == before


def test_a_folder_of_other_things_is_refused(place: Place) -> None:
    place.archive.mkdir()
    (place.archive / "letters").write_text("dear")
    with place.filled(agents=1) as store, pytest.raises(ArchiveError, match="other things"):
        store.backup(place.archive)
    assert place.objects() == {"letters": 4}


def test_a_copy_that_went_its_own_way_is_refused(place: Place) -> None:
    with place.filled(agents=1) as store:
        store.backup(place.archive)
    shutil.copytree(place.folder / "store", place.folder / "copy")
    with Store.adopt(place.folder / "copy", keys=place.keys, witness=None) as copy:
        copy.save(learner(5), "copied")
        with place.open() as store:
            store.save(learner(6), "original")
            store.backup(place.archive)
        with pytest.raises(RolledBack, match="its own way"):
            copy.backup(place.archive)


def test_a_store_older_than_its_backup_is_refused(place: Place) -> None:
    place.filled(agents=1).close()
    shutil.copytree(place.folder / "store", place.folder / "old")
    with place.open() as store:
        store.backup(place.archive)
        store.rotate_now()
        store.backup(place.archive)
    keys = (place.archive / "keys").read_bytes()
    with (
        Store.open(place.folder / "old", keys=place.keys, witness=None) as old,
        pytest.raises(RolledBack, match="newer state"),
    ):
        old.backup(place.archive, branch="allow")
    assert (place.archive / "keys").read_bytes() == keys


def test_an_edited_manifest_or_key_object_ends_a_backup(place: Place) -> None:
    with place.filled(agents=1) as store:
        report = store.backup(place.archive)
        manifest = place.archive / "manifests" / report.id
        whole = manifest.read_bytes()
        manifest.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
        with pytest.raises(Tampered) as raised:
            store.backup(place.archive)
        assert raised.value.context["manifest"] == report.id
        manifest.write_bytes(whole)
        (place.archive / "keys").write_bytes(b"something else")
        with pytest.raises(DachiError) as other:
            store.backup(place.archive)
        assert other.value.code == "malformed"


def test_an_archive_that_cannot_be_reached_says_so(place: Place) -> None:
    away = s3.bucket("http://127.0.0.1:9", "nobody")
    with place.filled(agents=1) as store, pytest.raises(ArchiveUnavailable):
        store.backup(away)
    with pytest.raises(ArchiveUnavailable):
        Store.drill(away, keys=place.keys)


def test_a_backup_goes_to_an_object_store_and_comes_back(place: Place) -> None:
    with s3.serving() as endpoint, place.filled() as store:
        archive = s3.bucket(endpoint, "agents")
        store.backup(archive)
        store.save(learner(7), "agent 7")
        assert store.backup(archive).put_bytes < 2 * PIECE
        assert sorted(archive.list("manifests/")) != []
        restored = Store.restore(archive, place.folder / "r", keys=place.keys, witness=None)
        with restored:
            assert restored.load("agent 7").memory == learner(7).memory
        assert Store.drill(archive, keys=place.keys).names == 4


def test_event_loops_have_twins(place: Place) -> None:
    async def run() -> int:
        async with place.filled() as store:
            await store.abackup(place.archive)
        [backup] = await Store.abackups(place.archive, keys=place.keys)
        drilled = await Store.adrill(place.archive, keys=place.keys)
        async with await Store.arestore(
            place.archive, place.folder / "restored", keys=place.keys, witness=None
        ) as restored:
            assert drilled.backup == backup
            return len(await restored.anames())

    assert asyncio.run(run()) == 3


def test_what_no_backup_can_be_asked_for_is_refused(place: Place) -> None:
    with place.open() as store:
        with pytest.raises(ValueError, match="at least one"):
            store.backup(place.archive, keep=0)
        with pytest.raises(ValueError, match="branch"):
            store.backup(place.archive, branch="yes")  # type: ignore[arg-type]
    assert not place.archive.exists()
    with pytest.raises(NoBackup):
        Store.backups(place.archive, keys=place.keys)


def test_a_key_that_is_not_the_stores_opens_no_backup(place: Place, tmp_path: Path) -> None:
    with place.filled(agents=1) as store:
        store.backup(Archive(place.archive))
    other = KeyFile(tmp_path / "other key")
    Store.open(tmp_path / "other", keys=other, witness=None).close()
    with pytest.raises(DachiError) as raised:
        Store.backups(place.archive, keys=other)
    assert raised.value.code in {"wrong-key", "keyring"}
