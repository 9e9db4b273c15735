"""The demo's processes and folders: started, listened to, killed, and never left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, TYPE_CHECKING, Any, NoReturn, Self, cast

if TYPE_CHECKING:
    from dachi_fast.cli._demo_worker import Job


class Worker:
    """A child process that does one job, for use in a `with`; none outlives it.

    Args:
        job: what it is to do.
    """

    def __init__(self, job: Job) -> None:
        package = Path(__file__).resolve().parents[2]  # also found where it is not installed
        paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._job = json.dumps(asdict(job))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dachi_fast.cli._demo_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            text=True,
            encoding="utf-8",
            # Ctrl-C reaches the parent, which decides; what it forks is in its group.
            start_new_session=True,
        )
        self._to = cast("IO[str]", self._process.stdin)
        self._from = cast("IO[str]", self._process.stdout)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def __enter__(self) -> Self:
        try:
            self._to.write(self._job)
            self._to.close()
        except BrokenPipeError:
            pass  # it ended at once; its status tells
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)  # and what it forked
        self._process.wait()
        self._from.close()

    def events(self) -> Iterator[dict[str, Any]]:
        """Yields what it says, until it says no more."""
        for line in self._from:
            if line.endswith("\n"):  # a killed process may have written half a line
                yield json.loads(line)

    def kill(self) -> None:
        """Sends SIGKILL, which no process can catch, delay or clean up after."""
        os.kill(self._process.pid, signal.SIGKILL)

    def status(self) -> int:
        """Waits for its end and gives its exit status; negative: the signal that ended it."""
        return self._process.wait()


@contextmanager
def workplace(keep: Path | None) -> Iterator[Path]:
    """Gives a folder for store, key and witness; a temporary one is removed at the end.

    Args:
        keep: the folder to use, which stays.
    """
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="dachi-fast-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def ended_cleanly() -> Iterator[None]:
    """Turns a polite end (SIGTERM, SIGHUP) into an exception, so that `finally` clauses run."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what signals do
        return
    polite = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, _leave) for number in polite}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
