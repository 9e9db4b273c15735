"""What frozen stores hold. Their blueprints name these classes, and the tests these values."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from typing import Any

import numpy as np

from dachi_fast import Attr, BaseModule, Param, Shared


class Part(BaseModule):
    weight: int = Param(default=0)
    value: Any = Attr(default=None)


class Frozen(BaseModule):
    parts: list[BaseModule] = Param(default_factory=list)
    values: Any = Attr(default=None)
    array: Any = Attr(default=None)
    text: str = Attr(default="")
    board: dict[str, int] = Shared(default_factory=lambda: {"jobs": 3})


def frozen(version: int) -> Frozen:
    """Gives the agent as it is in a version of the frozen store."""
    agent = Frozen(parts=[Part(weight=number) for number in range(70)])
    agent.parts[7].value = "x" * 300 * version  # type: ignore[attr-defined]
    agent.values = {
        "text": "na\u00efve \ud800",
        "numbers": [0, -1, 2**63, -(2**70), 1.5, float("inf"), 1j, Decimal("1.10")],
        "bytes": bytes(range(256)),
        "nested": ((), {"set": {1, 2}, "frozen": frozenset({"a"})}, [None, True, ...]),
        "when": datetime.datetime(2026, 11, 22, 12, 30, tzinfo=datetime.UTC),
        "id": uuid.UUID(int=7),
        3: np.float32(0.5),
    }
    agent.array = np.arange(2_500, dtype=np.float64) // 100 * version  # two pieces
    agent.text = " ".join(str(number // 9) for number in range(6_000)) * version  # cut by content
    return agent


def document(number: int) -> dict[str, Any]:
    """Gives a document of the frozen store; the later ones are large."""
    return {
        "agent_id": "agent",
        "timestamp": datetime.datetime(2026, 11, 22, number, tzinfo=datetime.UTC),
        "number": number,
        "id": uuid.UUID(int=number),
        "text": f"document {number} " * 40 * number,
    }
