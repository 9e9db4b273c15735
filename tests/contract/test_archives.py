"""What every archive keeps: a folder, memory, and an S3 on this machine."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dachi_fast import Archive
from dachi_fast.errors import ArchiveAccess, ArchiveError, ArchiveUnavailable, Missing
from tests import s3

Make = Callable[[], Archive]
_numbers = itertools.count()


class ArchiveContract:
    @pytest.fixture
    def make(self) -> Make:
        raise NotImplementedError

    @pytest.fixture
    def archive(self, make: Make) -> Archive:
        return make()

    def test_what_was_put_is_given_back(self, archive: Archive) -> None:
        data = os.urandom(100_000)
        archive.put("packs/one", data)
        assert archive.get("packs/one") == data
        assert archive.get_part("packs/one", 99_000, 100_000) == data[99_000:]
        assert archive.get_part("packs/one", 10, 20) == data[10:20]

    def test_an_object_may_be_empty(self, archive: Archive) -> None:
        archive.put("empty", b"")
        assert archive.get("empty") == b""
        assert archive.list() == {"empty": 0}

    def test_a_put_replaces_what_is_there(self, archive: Archive) -> None:
        archive.put("keys", b"old")
        archive.put("keys", b"newer")
        assert archive.get("keys") == b"newer"
        assert archive.list() == {"keys": 5}

    def test_what_is_not_there_is_missing(self, archive: Archive) -> None:
        for read in (archive.get, archive.get_version, lambda name: archive.get_part(name, 0, 1)):
            with pytest.raises(Missing) as raised:
                read("packs/none")
            assert raised.value.context["name"] == "packs/none"

    def test_a_list_has_the_names_below_a_folder_and_their_lengths(self, archive: Archive) -> None:
        assert archive.list() == {}
        for name, size_bytes in (("keys", 1), ("packs/a", 2), ("packs/b", 3), ("packsmore", 4)):
            archive.put(name, bytes(size_bytes))
        assert archive.list("packs/") == {"packs/a": 2, "packs/b": 3}
        assert archive.list() == {"keys": 1, "packs/a": 2, "packs/b": 3, "packsmore": 4}

    def test_what_was_deleted_is_gone_and_may_be_deleted_again(self, archive: Archive) -> None:
        archive.put("packs/a", b"a")
        for _ in range(2):
            archive.delete("packs/a")
        assert archive.list() == {}

    def test_a_version_is_put_over_only_while_it_is_there(self, archive: Archive) -> None:
        archive.put_over("keys", b"first", None)
        data, version = archive.get_version("keys")
        assert data == b"first"
        archive.put_over("keys", b"second", version)
        for outdated in (None, version):
            with pytest.raises(ArchiveError) as raised:
                archive.put_over("keys", b"third", outdated)
            assert raised.value.code == "archive-overtaken"
        assert archive.get("keys") == b"second"

    def test_of_many_that_put_the_first_object_one_wins(self, archive: Archive) -> None:
        won, lost = [], []

        def put(data: bytes) -> None:
            try:
                archive.put_over("keys", data, None)
                won.append(data)
            except ArchiveError:
                lost.append(data)

        threads = [threading.Thread(target=put, args=(bytes([n]),)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(won), len(lost)) == (1, 7)
        assert archive.get("keys") == won[0]

    def test_names_that_would_lead_elsewhere_are_refused(self, archive: Archive) -> None:
        for name in ("", "../up", "/root", "a//b", "a/", ".hidden", "a/../b", "A", "a b", "ü"):
            with pytest.raises(ValueError, match="cannot be the name"):
                archive.put(name, b"")
            with pytest.raises(ValueError, match="cannot be the name"):
                archive.get(name)
        assert archive.list() == {}


class TestFolder(ArchiveContract):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Make:
        return lambda: Archive(tmp_path / f"archive {next(_numbers)}")

    def test_its_files_are_for_their_owner_only(self, tmp_path: Path) -> None:
        Archive(tmp_path / "new" / "archive").put("packs/a", b"a")
        modes = {path: path.stat().st_mode & 0o777 for path in (tmp_path / "new").rglob("*")}
        assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
        assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}

    def test_a_url_names_the_same_folder(self, tmp_path: Path) -> None:
        Archive(str(tmp_path / "a b")).put("keys", b"1")
        assert Archive((tmp_path / "a b").as_uri()).get("keys") == b"1"

    def test_a_folder_that_may_not_be_used_says_so(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        archive = Archive(tmp_path / "archive")
        monkeypatch.setattr(Path, "mkdir", refused)  # who is root may do anything
        with pytest.raises(ArchiveAccess) as raised:
            archive.put("keys", b"1")
        assert raised.value.code == "archive-access"

    def test_a_file_in_the_folders_place_is_no_archive(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(ArchiveUnavailable):
            Archive(tmp_path / "file").put("keys", b"1")

    def test_what_a_killed_put_left_is_not_listed_and_goes_after_a_day(
        self, tmp_path: Path
    ) -> None:
        archive = Archive(tmp_path / "archive")
        archive.put("packs/a", b"a")
        left = [tmp_path / "archive" / "packs" / f".{n:016x}.part" for n in range(2)]
        for path in left:
            path.write_bytes(b"half")
        os.utime(left[0], (0, 0))
        assert archive.list() == {"packs/a": 1}
        archive.tidy()
        assert [path.exists() for path in left] == [False, True]


class TestMemory(ArchiveContract):
    @pytest.fixture
    def make(self) -> Make:
        pytest.importorskip("obstore")
        return lambda: Archive(f"memory://{next(_numbers)}")

    def test_a_name_is_one_place_in_the_process(self, make: Make) -> None:
        Archive("memory://shared").put("keys", b"1")
        assert Archive("memory://shared").get("keys") == b"1"
        assert make().list() == {}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3.serving() as url:
        yield url


class TestS3(ArchiveContract):
    @pytest.fixture
    def make(self, endpoint: str) -> Make:
        return lambda: s3.bucket(endpoint, f"prefix/{next(_numbers)}")

    def test_a_bucket_that_is_not_there_is_no_missing_object(self, endpoint: str) -> None:
        archive = Archive("s3://none/here", endpoint=endpoint, **s3.ACCESS)
        with pytest.raises(ArchiveError):
            archive.list()
        with pytest.raises(ArchiveError):
            archive.put("keys", b"1")


def test_an_endpoint_where_nobody_listens_is_unavailable() -> None:
    archive = s3.bucket("http://127.0.0.1:9", "nobody")
    uses: list[Callable[[], object]] = [
        archive.list,
        lambda: archive.get("keys"),
        lambda: archive.put("keys", b"1"),
        lambda: archive.put_over("keys", b"1", None),
        lambda: archive.delete("keys"),
    ]
    for use in uses:
        with pytest.raises(ArchiveUnavailable) as raised:
            use()
        assert isinstance(raised.value, ConnectionError)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["ftp://host/place", "http://host/place", "file://host/place", "s3://", "file://"]
)
def test_a_url_that_is_no_archives_is_refused(url: str) -> None:
    with pytest.raises(ArchiveError) as raised:
        Archive(url)
    assert raised.value.code == "archive"


def test_options_that_nobody_knows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="region"):
        Archive(tmp_path, region="eu")
    with pytest.raises(ArchiveError):
        Archive("s3://bucket/place", colour="blue")


def test_without_obstore_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "obstore", None)
    with pytest.raises(ArchiveError, match=r"dachi_fast\[archive\]"):
        Archive("s3://bucket/place")
