"""The guards that every other test relies on."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

_drawn: list[int] = []


def test_a_connection_to_another_machine_is_refused() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        pytest.raises(RuntimeError, match=r"connects to 192\.0\.2\.1"),
    ):
        udp.connect(("192.0.2.1", 9))


def test_a_connection_on_this_machine_works() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()


def test_a_file_beside_the_tests_is_refused() -> None:
    stray = Path(__file__).with_name("stray")
    with pytest.raises(RuntimeError, match=" writes to "):
        stray.write_text("")
    assert not stray.exists()


def test_a_file_in_the_temporary_folder_works(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert (tmp_path / "file").read_text() == "x"


def test_home_and_its_folders_are_temporary(tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.getbasetemp()
    folders = [
        os.environ[name] for name in os.environ if name.startswith("XDG_") and "HOME" in name
    ]
    assert Path.home().is_relative_to(base)
    assert len(folders) == 4
    assert all(Path(folder).is_relative_to(Path.home()) for folder in folders)


@pytest.mark.parametrize("round_", [1, 2])
def test_examples_follow_the_printed_seed(round_: int, request: pytest.FixtureRequest) -> None:
    seen: list[int] = []

    @given(st.integers())
    def collect(number: int) -> None:
        seen.append(number)

    random.seed(round_)  # what the test's own randomness does must not matter
    collect()
    _drawn[:] = _drawn or seen
    assert seen == _drawn
    assert request.config.option.hypothesis_seed == request.config.option.randomly_seed
