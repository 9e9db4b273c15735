"""Fresh processes in milliseconds: a child that has imported the package forks one a call."""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.children import environment

ROOT = Path(__file__).resolve().parents[1]


class Died(AssertionError):
    """The process of a call ended without an answer."""


class Warm:
    """Runs functions of a module, each in a process of its own that has opened no store."""

    def __init__(self, module: str) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-c", f"import {module}; from tests import warm; warm.serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment(),
        )
        self._module = module

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.stdout.close()
        self._server.wait()

    def call(self, function: str, *arguments: object) -> Any:
        """Gives what a function of the module gives; arguments and result are JSON."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps([self._module, function, arguments]) + "\n")
        self._server.stdin.flush()
        answer = self._server.stdout.readline()
        if not answer.startswith("{"):
            raise Died(f"{function}{arguments}: {answer or 'the server died'}")
        return json.loads(answer)["result"]


def serve() -> None:
    """Forks for each line of standard input, one at a time."""
    gc.freeze()  # what is here now is never collected: a fork need not copy its pages
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _answer(line)
        _, status = os.waitpid(pid, 0)
        if status:
            code = os.waitstatus_to_exitcode(status)
            died = f"died of {signal.Signals(-code).name}" if code < 0 else "failed, see above"
            os.write(1, f"{died}\n".encode())


def _answer(line: str) -> None:
    module, function, arguments = json.loads(line)
    try:
        result = getattr(importlib.import_module(module), function)(*arguments)
        # In one write: the pipe is read by the line.
        text = json.dumps({"result": result}) + "\n"
        with os.fdopen(1, "w", closefd=False) as out:
            out.write(text)
    except BaseException:  # noqa: BLE001  (the fork must not go on as the server)
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
