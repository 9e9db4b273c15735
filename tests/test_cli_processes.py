"""Commands as processes: terminals, pipes, signals, folders that cannot be written."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from dachi_fast import Attr, BaseModule, KeyFile, Passphrase, SignedCheckpoint, Store
from tests.children import INSTALLED, unwritable
from tests.commands import Place

pytest.importorskip("typer")

COMMAND = (sys.executable, "-m", "dachi_fast")
# Far longer than a command takes: what ends a wait that would never end.
WAIT_S = 20


def _environment(place: Place, more: Mapping[str, str] | None = None) -> dict[str, str]:
    own = {
        "PYTHONPATH": str(INSTALLED),
        "DACHI_FAST_STORE": str(place.folder / "s"),
        "DACHI_FAST_KEYS": f"file:{place.folder / 'k'}",
    }
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**inherited, **own, **(more or {})}


def _piped(place: Place, *arguments: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env=_environment(place, more),
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


# Ctrl-C and questions need a terminal that controls the process.
_AT_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """A process at a terminal of its own."""

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], columns: int = 100
    ) -> None:
        self._end, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-c", _AT_TERMINAL, *COMMAND, *arguments],
            stdin=other,
            stdout=other,
            stderr=other,
            env={**environment, "TERM": "xterm-256color"},
            start_new_session=True,
        )
        os.close(other)
        self.shown = b""

    def until(self, text: bytes) -> None:
        """Reads until a text has been shown."""
        while text not in self.shown:
            assert select.select([self._end], [], [], WAIT_S)[0], self.shown
            part = os.read(self._end, 4096)
            assert part, self.shown
            self.shown += part

    def type(self, text: bytes) -> None:
        """Presses keys."""
        os.write(self._end, text)

    def type_and_listen(self, text: bytes) -> bool:
        """Presses keys; gives whether more than their echo was shown in the next seconds."""
        self.type(text)
        while select.select([self._end], [], [], 5)[0]:
            try:
                self.shown += (part := os.read(self._end, 4096))
            except OSError:
                return True
            if part.strip() not in {b"^C", b""}:
                return True
        return False

    def end(self) -> int:
        """Reads to the end; gives the exit status."""
        try:
            while select.select([self._end], [], [], WAIT_S)[0]:
                if not (part := os.read(self._end, 4096)):
                    break
                self.shown += part
        except OSError:  # what Linux says when the other end is closed
            pass
        os.close(self._end)
        return self._process.wait(WAIT_S)


def _plain(shown: bytes) -> str:
    return re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", shown).decode()


# --- terminals ------------------------------------------------------------------------------------


def test_a_terminal_gets_a_table_in_colour(place: Place) -> None:
    terminal = Terminal(["log", "critic"], _environment(place))
    assert terminal.end() == 0
    assert b"\x1b[36m" in terminal.shown
    assert "learned 2" in _plain(terminal.shown)


def test_a_terminal_gets_no_colour_where_that_was_asked_for(place: Place) -> None:
    terminal = Terminal(["log", "critic"], _environment(place, {"NO_COLOR": "1"}))
    assert terminal.end() == 0
    assert b"\x1b[36m" not in terminal.shown


def test_a_narrow_terminal_loses_nothing(place: Place) -> None:
    terminal = Terminal(["diff", "critic"], _environment(place), columns=24)
    assert terminal.end() == 0
    lines = _plain(terminal.shown).splitlines()
    assert max(map(len, lines)) <= 24
    shown = "".join("".join(line.split()) for line in lines)
    assert "count12" in shown


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_unicode_gets_what_it_can_show(place: Place, encoding: str) -> None:
    with place.open() as store:
        store.fork("critic", "名前 é")
    environment = _environment(place, {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"})
    terminal = Terminal(["names"], environment)
    assert terminal.end() == 0
    assert b"\\u540d\\u524d" in terminal.shown
    terminal = Terminal(["log", "critic"], environment)
    assert terminal.end() == 0
    assert b"learned 2" in terminal.shown
    terminal.shown.decode("ascii")


def test_progress_is_shown_on_a_terminal_and_gone_at_the_end(place: Place) -> None:
    terminal = Terminal(["verify"], _environment(place))
    assert terminal.end() == 0
    assert b"proving" in terminal.shown
    assert _plain(terminal.shown).rstrip().endswith("are not needed any more")


def test_a_pipe_gets_neither_colour_nor_progress(place: Place) -> None:
    done = _piped(place, "verify")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\x1b" not in done.stdout
    assert done.stdout.count(b"\n") == 1


def test_a_pipe_is_not_cut_to_the_width_of_a_terminal(place: Place) -> None:
    with place.open() as store:
        store.rollback("critic", to=1, justification="x" * 500)
    assert b"x" * 500 in _piped(place, "log", "critic", COLUMNS="40").stdout


# --- passphrases and answers ----------------------------------------------------------------------


def test_a_passphrase_is_not_shown_while_it_is_typed(tmp_path: Path, place: Place) -> None:
    with Store.open(tmp_path / "p", keys=Passphrase("hunter2")):
        pass
    arguments = ["names", "--store", str(tmp_path / "p"), "--keys", "passphrase"]
    terminal = Terminal(arguments, _environment(place))
    terminal.until(b"Passphrase: ")
    terminal.type(b"hunter2\n")
    assert terminal.end() == 0
    assert b"hunter2" not in terminal.shown


def test_ctrl_c_at_a_question_does_nothing_and_ends_with_130(place: Place) -> None:
    terminal = Terminal(["forget", "critic"], _environment(place))
    terminal.until(b"[y/N] ")
    # A key that is pressed before the process listens is lost.
    assert any(terminal.type_and_listen(b"\x03") for _ in range(4)), "it does not hear Ctrl-C"
    assert terminal.end() == 130
    assert b"Traceback" not in terminal.shown
    with place.open() as store:
        assert store.names() == ["critic"]


# --- pipes, signals, bytes ------------------------------------------------------------------------


class Long(BaseModule):
    items: list[str] = Attr(default_factory=list)


@pytest.mark.parametrize("arguments", [("show", "long", "--json"), ("show", "long", "items")])
def test_a_reader_that_goes_away_ends_it_quietly(place: Place, arguments: tuple[str, ...]) -> None:
    long = Long()
    long.items = ["x" * 100] * 10_000
    with place.open() as store:
        store.save(long, "long")
    _ended_by_a_closed_pipe(place, arguments)


@pytest.mark.parametrize("arguments", [("export", "-"), ("ledger", "-n", "1000", "--json")])
def test_a_reader_that_goes_away_between_lines_ends_it_quietly(
    place: Place, arguments: tuple[str, ...]
) -> None:
    with place.open() as store:
        for _ in range(300):
            store.tag("critic", tag="t")
            store.untag("critic", tag="t")
    _ended_by_a_closed_pipe(place, arguments)
    with place.open() as store:
        store.verify()


def test_a_reader_that_was_never_there_ends_it_quietly(place: Place) -> None:
    end, other = os.pipe()
    os.close(end)
    done = subprocess.run(
        [*COMMAND, "names"],
        env=_environment(place),
        stdout=other,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(other)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def _ended_by_a_closed_pipe(place: Place, arguments: Sequence[str]) -> None:
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        env=_environment(place),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(WAIT_S) == 128 + signal.SIGPIPE


def test_notes_are_the_same_bytes_whatever_the_encoding(place: Place) -> None:
    note = _piped(place, "checkpoint", PYTHONIOENCODING="ascii").stdout
    key = _piped(place, "checkpoint", "--verifier-key").stdout.decode().strip()
    SignedCheckpoint.parse(note.decode()).verify(key)
    exported = _piped(place, "export", "-", PYTHONIOENCODING="ascii").stdout
    assert json.loads(exported.decode().splitlines()[-1])["checkpoint"].count("\u2014") == 1


def test_a_store_on_a_read_only_file_system_is_shown_and_that_is_said(place: Place) -> None:
    folder = place.folder / "s"
    done = subprocess.run(
        [*unwritable(folder), *COMMAND, "show", "critic", "count"],
        env=_environment(place),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "2\n")
    assert done.stderr == (
        "dachi-fast: the store cannot be written here: its ledger will not name this read\n"
    )
    with Store.open(folder, keys=KeyFile(place.folder / "k")) as store:
        assert "retrieve" not in {entry.operation for entry in store.ledger()}


def test_shells_are_given_completion(place: Place) -> None:
    # Which shell it is comes from the processes above.
    shown = shlex.join([*COMMAND, "--show-completion"])
    done = subprocess.run(
        ["bash", "-c", f"{shown}; exit $?"],
        env=_environment(place),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"complete" in done.stdout
