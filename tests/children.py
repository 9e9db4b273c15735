"""Child processes of tests: they import the package under test, and the tests."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO, NamedTuple

import pytest

import dachi_fast

ROOT = Path(__file__).resolve().parents[1]
# The package under test: the working tree, or the wheel of another Python.
INSTALLED = Path(dachi_fast.__file__).resolve().parents[1]


def environment() -> dict[str, str]:
    """Gives this process's environment, in which a child imports what this process does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(INSTALLED), str(ROOT)])}


class Child(NamedTuple):
    """A process that runs Python code, and its pipes."""

    process: subprocess.Popen[str]
    stdout: IO[str]
    stderr: IO[str]


def started(code: str, *arguments: str) -> Child:
    """Starts Python code in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    return Child(process, process.stdout, process.stderr)


def unwritable(folder: Path) -> list[str]:
    """Gives what to put before a command that is to see a folder on a read-only file system."""
    place = shlex.quote(str(folder))
    mount = f"mount --bind {place} {place} && mount -o remount,bind,ro {place}"
    namespace = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*namespace, mount], check=False, capture_output=True).returncode
    ):
        pytest.skip("no mount namespaces here")
    return [*namespace, f'{mount} && exec "$@"', "sh"]
