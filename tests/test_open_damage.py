"""A store that is cut short or may not be used: opened in child processes, which may die."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dachi_fast import Attr, BaseModule, KeyFile, Store
from dachi_fast.errors import DachiError, KeyAccessError, StoreIO
from tests.children import environment

ROOT = Path(__file__).resolve().parent.parent
NOBODY = 65_534


class Agent(BaseModule):
    count: int = Attr(default=0)
    weights: object = Attr(default=None)


# --- a data file that is shorter than it was ------------------------------------------------------

_READER = """
import json, sys
from dachi_fast import KeyFile, Store, Attr, BaseModule
from dachi_fast.errors import DachiError
from tests.test_open_damage import Agent
said = {}
try:
    with Store.open(sys.argv[1], keys=KeyFile(sys.argv[2]), witness=None) as store:
        for name, ask in {
            "names": store.names,
            "history": lambda: [version.number for version in store.history("agent")],
            "latest": lambda: store.load("agent").weights.tolist(),
            "first": lambda: store.load("agent", version=1).weights.tolist(),
            "verify": lambda: store.verify().versions,
        }.items():
            try:
                said[name] = ask()
            except DachiError as error:
                said[name] = f"error {error.code}"
except DachiError as error:
    said["open"] = f"error {error.code}"
print(json.dumps(said))
"""


def _read(folder: Path, keys: Path) -> tuple[int, dict[str, object]]:
    """Gives how a reader in its own process ended and what it said."""
    done = subprocess.run(
        [sys.executable, "-c", _READER, str(folder), str(keys)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment(),
    )
    said: dict[str, object] = json.loads(done.stdout) if done.stdout else {}
    return done.returncode, said


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    with Store.open(folder, keys=KeyFile(tmp_path / "key"), witness=None) as store:
        agent = Agent()
        for step in range(3):
            agent.weights = np.arange(4_000) + step
            store.save(agent, "agent")
    return folder


GOOD: dict[str, object] = {
    "names": ["agent"],
    "history": [3, 2, 1],
    "latest": list(range(2, 4_002)),
    "first": list(range(4_000)),
    "verify": 3,
}
CUTS: list[float] = [1, 100, 4_096, 8_191, 8_192, 12_288, 0.5, 0.8, 0.95, -4_096, -1]


@pytest.mark.parametrize("cut", CUTS)
def test_a_data_file_cut_short_gives_an_error_or_the_same_answers(
    store: Path, tmp_path: Path, cut: float
) -> None:
    key = tmp_path / "key"
    size = (store / "data.mdb").stat().st_size
    os.truncate(store / "data.mdb", int(size * cut if 0 < cut < 1 else cut % size))
    code, said = _read(store, key)
    assert code == 0, f"died of {signal.Signals(-code).name}" if code < 0 else "failed"
    assert said
    for name, answer in said.items():
        assert str(answer).startswith("error ") or answer == GOOD[name]


def test_a_whole_data_file_gives_the_good_answers(store: Path, tmp_path: Path) -> None:
    assert _read(store, tmp_path / "key") == (0, GOOD)


# --- files that this user may not use -------------------------------------------------------------


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder below which another user can be let in; pytest's own is closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="dachi-user-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def _as_another_user(work: Callable[[], object]) -> str:
    """Gives the error that an unprivileged user meets; root must become one in a child."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        said = "no error"
        try:
            if os.geteuid() == 0:
                os.seteuid(NOBODY)
            work()
        except DachiError as error:
            said = f"{type(error).__name__} {error.code}: {error}"
        except BaseException as error:  # noqa: BLE001 - the parent must hear of any
            said = f"untyped {error!r}"
        os.write(writes, said.encode()[:4_000])
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def _own(path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)


def _prepared(folder: Path) -> KeyFile:
    """Makes a store and a key that the other user owns."""
    keys = KeyFile(folder / "key")
    with Store.open(folder / "store", keys=keys, witness=None) as store:
        store.save(Agent(), "agent")
    for path in (keys.path, folder / "store", *(folder / "store").iterdir()):
        _own(path)
    return keys


def _opened(folder: Path, keys: KeyFile) -> None:
    with contextlib.closing(Store.open(folder, keys=keys, witness=None)) as store:
        store.load("agent")


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_user_who_may_use_everything_opens_the_store(reachable: Path) -> None:
    keys = _prepared(reachable)
    assert _as_another_user(lambda: _opened(reachable / "store", keys)) == "no error"


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
@pytest.mark.parametrize(
    ("shut", "kind"),
    [
        ("store", KeyAccessError),
        ("store/data.mdb", StoreIO),
        ("store/lock.mdb", StoreIO),
        ("store/store.lock", StoreIO),
        ("store/keys.sealed", KeyAccessError),
        ("key", KeyAccessError),
    ],
)
def test_what_a_user_may_not_use_is_named(
    reachable: Path, shut: str, kind: type[DachiError]
) -> None:
    keys = _prepared(reachable)
    path = reachable / shut
    path.chmod(0)
    try:
        said = _as_another_user(lambda: _opened(reachable / "store", keys))
    finally:
        path.chmod(0o700)
    assert said.split()[0] == kind.__name__, said
    assert "ermission" in said
    assert _as_another_user(lambda: _opened(reachable / "store", keys)) == "no error"


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_store_cannot_be_made_where_nothing_may_be_made(reachable: Path) -> None:
    for folder, mode in ((reachable / "shut", 0o555), (reachable / "home", 0o700)):
        folder.mkdir(mode=mode)
    _own(reachable / "home")
    keys = KeyFile(reachable / "home" / "key")
    said = _as_another_user(lambda: _opened(reachable / "shut" / "new", keys))
    assert said.startswith("StoreIO io: "), said
    said = _as_another_user(lambda: _opened(reachable / "new", KeyFile(reachable / "shut" / "k")))
    assert said.startswith("KeyAccessError key-access: "), said
