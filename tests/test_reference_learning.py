"""The reference document's learning example runs as written, beside our base class and theirs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import KeyFile, Store
from dachi_fast.learning import BaseAgent, NeuralLearningMixin

DOCUMENT = Path(__file__).resolve().parent.parent.parent / "shared" / "reference" / "memory.md"

pytestmark = pytest.mark.skipif(
    not DOCUMENT.exists(), reason=f"the reference document is not beside this project: {DOCUMENT}"
)


class Foreign:
    """A base class of somebody else's, which knows nothing of ours."""

    def __init__(self) -> None:
        self.tasks_done = 0


def example(base: type) -> type[Any]:
    """Runs section 3 of the document; the import line is mapped, and its base class supplied."""
    blocks = re.findall(r"^```python\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    [code] = [block for block in blocks if "NeuralLearningMixin" in block]
    code, mapped = re.subn(
        r"^from mixins\.neural_learning_mixin import", "from dachi_fast import", code
    )
    assert mapped == 1
    names: dict[str, Any] = {"BaseAgent": base, "__name__": __name__}
    exec(compile(code, "memory.md section 3", "exec"), names)
    made: type[Any] = names["MyAgent"]
    return made


async def lesson(agent: Any) -> str:
    decision = agent.choose({"task": "Build Python REST API"}, ["fastapi", "cobol"])
    await agent.on_task_complete({"outcome": "success", "reward": decision.action == "fastapi"})
    return str(decision.action)


@pytest.mark.parametrize("base", [BaseAgent, Foreign])
async def test_the_document_s_agent_learns_across_lifetimes(base: type, tmp_path: Path) -> None:
    cls = example(base)
    assert NeuralLearningMixin in cls.__mro__
    store = Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key"))

    first = cls()
    first.neural_store = store
    await first.on_start()  # nothing was saved yet
    for _ in range(20):
        await lesson(first)

    second = cls()
    second.neural_store = store
    await second.on_start()
    assert second.learner.adapted.learned == 20
    assert await lesson(second) == "fastapi"
    assert store.names() == ["MyAgent"]
    assert len(store.history("MyAgent")) == 21
    store.close()


async def test_without_a_store_of_its_own_the_agent_uses_the_default_one() -> None:
    agent = example(Foreign)()
    await agent.on_start()
    await lesson(agent)
    await agent.save_neural_state(justification="Task completion learning")
    again = example(Foreign)()
    await again.on_start()
    assert again.learner.adapted.learned == 1
