"""What holds for every test: own folders, no network, nothing written elsewhere, seeds printed."""

from __future__ import annotations

import atexit
import ipaddress
import os
import random
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from hypothesis.configuration import set_hypothesis_home_dir

from dachi_fast import KeyFile, Store
from tests.stores import Counter
from tests.tasks import TICKS, Tick
from tests.timed import Clock

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tests.commands import Place

ROOT = Path(__file__).resolve().parent.parent
_TMP = Path(tempfile.gettempdir()).resolve()
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_DEVICES = ("/dev/", "/proc/")
_running: list[str] = []  # the test that runs, if any: pytest itself may write its caches

hypothesis.settings.register_profile("dev", deadline=None, database=None, print_blob=True)
hypothesis.settings.register_profile(
    "deep", hypothesis.settings.get_profile("dev"), max_examples=5_000
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))
_hypothesis_home = tempfile.TemporaryDirectory(prefix="dachi-hypothesis-")
atexit.register(_hypothesis_home.cleanup)
set_hypothesis_home_dir(_hypothesis_home.name)


# A shell starts what it runs in the background deaf to Ctrl-C; the tests of Ctrl-C need to hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """One seed decides order and examples; the header prints it, `--randomly-seed` repeats it.

    CI draws no seed: its verdict on a commit must not change from run to run. Each Python has its
    own, so that CI still sees several.
    """
    if getattr(config.option, "randomly_seed", None) == "default":
        drawn = random.Random().getrandbits(32)
        config.option.randomly_seed = sys.version_info.minor if os.environ.get("CI") else drawn
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = getattr(config.option, "randomly_seed", None)


@pytest.fixture(autouse=True)
def _home_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Keys, witness and default store of a test lie in a folder that no other test sees."""
    home = tmp_path_factory.getbasetemp() / f"home-{random.SystemRandom().getrandbits(64):016x}"
    monkeypatch.setenv("HOME", str(home))
    for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(home / variable.lower()))
    for variable in ("DACHI_FAST_STORE", "DACHI_FAST_KEYS", "DACHI_FAST_WITNESS"):
        monkeypatch.delenv(variable, raising=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Switches the guards on for one test with its fixtures."""
    _running.append(item.nodeid)
    try:
        return (yield)
    finally:
        _running.clear()


def _refuse_network_and_stray_files(event: str, arguments: tuple[object, ...]) -> None:
    """Fails the Python code that connects elsewhere or writes outside the temporary folder."""
    if not _running:
        return
    if event == "socket.connect":
        address = arguments[1]
        if isinstance(address, tuple) and not _is_loopback(str(address[0])):
            message = f"{_running[0]} connects to {address[0]}"
            raise RuntimeError(message)
    elif event == "open":
        path, _, flags = arguments
        if isinstance(flags, int) and flags & _WRITES and isinstance(path, str | os.PathLike):
            where = os.path.realpath(path)
            if not _may_be_written(where):
                message = f"{_running[0]} writes to {where}, outside {_TMP}"
                raise RuntimeError(message)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def _may_be_written(where: str) -> bool:
    if where.startswith(_DEVICES):
        return True
    # The project itself may lie below the temporary folder (a clone made for a trial).
    if Path(where).is_relative_to(_TMP) and not Path(where).is_relative_to(ROOT):
        return True
    return "__pycache__" in Path(where).parts


sys.addaudithook(_refuse_network_and_stray_files)


# --- what many tests begin with -------------------------------------------------------------------


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "key")


@pytest.fixture
def store(tmp_path: Path, keys: KeyFile) -> Iterator[Store]:
    """An open store, new and empty."""
    with Store.open(tmp_path / "store", keys=keys) as store:
        yield store


@pytest.fixture
def folder(tmp_path: Path, keys: KeyFile) -> Path:
    """A closed store of two versions of "agent", which count 1 and 2."""
    counter = Counter()
    with Store.open(tmp_path / "store", keys=keys) as store:
        for counter.count in (1, 2):
            store.save(counter, "agent")
    return tmp_path / "store"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Place:
    """A store with three versions of "critic", for commands."""
    from tests.commands import Place

    place = Place(tmp_path, capsys)
    place.fill()
    return place


@pytest.fixture(params=TICKS)
def tick(request: pytest.FixtureRequest) -> Tick:
    """Each way to give a tree a tick."""
    return TICKS[request.param]
