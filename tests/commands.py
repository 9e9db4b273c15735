"""A store that commands are tried on, and how they are run in this process."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dachi_fast import Attr, BaseModule, KeyFile, Param, Store, cli, registry
from dachi_fast.types import KeyProvider


@registry.value
@dataclasses.dataclass
class Visit:
    place: str
    times: int = 1


class Tool(BaseModule):
    size: int = Param(default=3)
    uses: int = Attr(default=0)


class Agent(BaseModule):
    tool: Tool
    count: int = Attr(default=0)
    seen: Any = Attr(default=None)


@dataclasses.dataclass(frozen=True)
class Done:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        """Its output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def json(self) -> Any:
        """Its output as one JSON document."""
        [document] = self.lines
        return document


class Place:
    """A folder with a store ``s``, opened with the key file ``k``."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    @contextmanager
    def open(self, keys: KeyProvider | None = None) -> Iterator[Store]:
        with Store.open(self.folder / "s", keys=keys or KeyFile(self.folder / "k")) as store:
            yield store

    def fill(self) -> None:
        """Saves three versions of "critic"."""
        agent = Agent(tool=Tool())
        with self.open() as store:
            for agent.count in range(3):
                agent.seen = [Visit("Paris", agent.count), np.arange(2.0)]
                store.save(agent, "critic", justification=f"learned {agent.count}")

    def run(self, command: str, *arguments: str) -> Done:
        """Runs a command on the store."""
        where = ("--store", str(self.folder / "s"), "--keys", f"file:{self.folder / 'k'}")
        return self.bare(command, *where, *arguments)

    def bare(self, *arguments: str) -> Done:
        """Runs a command with these arguments only."""
        self._capsys.readouterr()
        status = cli.main(list(arguments))
        said = self._capsys.readouterr()
        return Done(status, said.out, said.err)
