"""The Python blocks of the reference document on memory run as written.

Their imports are mapped, and what they leave undefined is supplied.
"""

from __future__ import annotations

import ast
import datetime
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dachi_fast
from dachi_fast import LmdbMemoryProvider, Store, TransactionManager

DOCUMENT = Path(__file__).resolve().parent.parent.parent / "shared" / "reference" / "memory.md"

pytestmark = pytest.mark.skipif(
    not DOCUMENT.exists(), reason=f"the reference document is not beside this project: {DOCUMENT}"
)

IMPORTS = {
    "from memory.mongo_memory_provider import MongoMemoryProvider": (
        "from dachi_fast import LmdbMemoryProvider as MongoMemoryProvider"
    ),
    "from memory.transaction_manager import TransactionManager": (
        "from dachi_fast import TransactionManager"
    ),
    "from core.memory.memory_store import MemoryStore": "from dachi_fast import MemoryStore",
}


def block(containing: str) -> str:
    """Gives the one Python block that contains a text, with its imports mapped."""
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    [code] = [code for code in blocks if containing in code]
    for written, ours in IMPORTS.items():
        code = code.replace(written, ours)
    return str(code)


async def run(code: str, names: dict[str, Any]) -> None:
    """Runs a block with what it leaves undefined; ``await`` may stand at its top."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    waiting = eval(compile(code, DOCUMENT.name, "exec", flags=flags), names)
    if waiting is not None:
        await waiting


@pytest.fixture
def default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The default store, in a folder of the test's own."""
    dachi_fast.default_store().close()  # another test's
    monkeypatch.setenv("DACHI_FAST_STORE", str(tmp_path / "default.store"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with dachi_fast.default_store() as store:
        yield store


# utcnow() is deprecated from Python 3.12 on; the document uses it.
@pytest.mark.filterwarnings("ignore:.*utcnow.*:DeprecationWarning")
async def test_both_operations_of_the_transactional_example_commit_atomically(
    default: Store,
) -> None:
    names: dict[str, Any] = {"encrypted_blob": b"\0" * 1000, "datetime": datetime.datetime}
    before = default.verify().ledger_entries
    await run(block("TransactionManager"), names)
    with TransactionManager(LmdbMemoryProvider()).sync as tx:
        [weights] = tx.find("neural_weights", where={"agent_id": "code_generator_001"})
        [result] = tx.find("task_result", where={"task_id": "task_12345"})
    assert weights.content["weights"] == b"\0" * 1000
    assert type(weights.content["timestamp"]) is datetime.datetime
    assert result.content["metrics"] == {...}
    stored = [entry for entry in default.ledger() if entry.operation == "store"]
    assert [(entry.agent_id, entry.memory_type) for entry in stored] == [
        ("default", "task_result"),
        ("code_generator_001", "neural_weights"),
    ]
    assert default.verify().ledger_entries == before + 2


async def test_the_example_of_the_vector_memory_finds_its_task(default: Store) -> None:
    names: dict[str, Any] = {}
    await run(block("retrieve_similar_tasks"), names)
    [found] = names["similar"]
    assert found.text == "Build Python REST API"
    assert found.result == {"outcome": "success", "code": "...", "metrics": {...}}
    assert found.similarity >= 0.8
    for unrelated in ("Bake a chocolate cake", "Book a flight to Oslo", "Water the plants"):
        assert await names["store"].retrieve_similar_tasks(unrelated, min_similarity=0.8) == []
    assert default.verify().documents == 1
