"""The store that is attacked, made once; each test edits a copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks import attacker
from tests.attacks.victim import Victim
from tests.warm import Warm


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    folder = tmp_path_factory.mktemp("victim") / "folder"
    folder.mkdir()
    with Warm("tests.attacks.victim") as warm:
        warm.call("make", str(folder))
        answers = warm.call("ask", str(folder))
        assert {kind for kind, _ in answers.values()} == {"answered"}
        nodes = attacker.read(folder / "store")
        needed = {kind: attacker.of_kind(nodes, kind) for kind in attacker.KINDS}
        # Of the maps that every commit edits, the versions before lie there, too.
        for kind in ("leaf", "branch"):
            found = warm.call("needed", str(folder), [key.hex() for key in needed[kind]])
            needed[kind] = [bytes.fromhex(text) for text in found]
        yield Victim(folder, warm, answers, needed)


@pytest.fixture
def victim(template: Victim, tmp_path: Path) -> Victim:
    return template.copy(tmp_path / "victim")
