"""The agents and flat states that the benches work on; every value comes from a fixed seed."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import numpy.typing as npt

from dachi_fast import Attr, BaseModule, Param

SEED = 20_241
_WORDS = (
    "plan", "observe", "retrieve", "rank", "answer", "critic", "memory", "budget",
    "route", "policy", "evidence", "context", "reward", "summary", "tool", "query",
)  # fmt: skip


class Skill(BaseModule):
    """One module of a wide agent: nine fields of the types that agents hold."""

    name: str = Param(default="")
    limit: int = Param(default=0)
    rate: float = Param(default=0.0)
    active: bool = Param(default=True)
    count: int = Attr(default=0)
    score: float = Attr(default=0.0)
    last: str | None = Attr(default=None)
    recent: list[Any] = Attr(default_factory=list)
    stats: dict[str, Any] = Attr(default_factory=dict)


class Agent(BaseModule):
    """A wide agent: skills in a list."""

    skills: list[Skill] = Param(default_factory=list)


class Matrix(BaseModule):
    """One large array."""

    weights: npt.NDArray[np.float32] = Attr(default_factory=lambda: np.zeros((0, 0), np.float32))


class Network(BaseModule):
    """Large arrays in a list of modules."""

    layers: list[Matrix] = Param(default_factory=list)


def _text(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(_WORDS, k=words))


def _fields(rng: random.Random, scale: int = 1) -> dict[str, Any]:
    """Nine values in the order of `Skill`'s fields; `scale` lengthens text, list and dict."""
    stats: dict[str, Any] = {"seen": rng.randrange(1000), "label": _text(rng, 1)}
    stats |= {f"mean_{at}": rng.random() for at in range(3 * scale - 2)}
    return {
        "name": f"{_text(rng, 1)}-{rng.randrange(1000)}",
        "limit": rng.randrange(1, 100_000),
        "rate": rng.random(),
        "active": rng.random() < 0.5,
        "count": rng.randrange(10**9),
        "score": rng.gauss(0.0, 1.0),
        "last": None if rng.random() < 0.5 else _text(rng, 3 * scale),
        "recent": [rng.randrange(1000) for _ in range(4 * scale)],
        "stats": stats,
    }


def wide_agent(modules: int, scale: int = 1, seed: int = SEED) -> Agent:
    """An agent of that many modules of nine fields below one root."""
    rng = random.Random(seed)
    agent = Agent()
    agent.skills = [_skill(rng, scale) for _ in range(modules)]
    return agent


def _skill(rng: random.Random, scale: int) -> Skill:
    skill = Skill()
    for name, value in _fields(rng, scale).items():
        setattr(skill, name, value)
    return skill


def empty_wide_agent(modules: int) -> Agent:
    """An agent of the same structure with every field at its default."""
    agent = Agent()
    agent.skills = [Skill() for _ in range(modules)]
    return agent


def array_agent(arrays: int, rows: int, columns: int, seed: int = SEED) -> Network:
    """An agent of float32 arrays, random normal."""
    rng = np.random.default_rng(seed)
    agent = Network()
    agent.layers = [Matrix() for _ in range(arrays)]
    for layer in agent.layers:
        layer.weights = rng.standard_normal((rows, columns), dtype=np.float32)
    return agent


def empty_array_agent(arrays: int) -> Network:
    """An agent of the same structure whose arrays are empty."""
    agent = Network()
    agent.layers = [Matrix() for _ in range(arrays)]
    return agent


def flat_state(leaves: int, seed: int = SEED) -> dict[str, Any]:
    """A flat state: dot path -> value, in the mix of `Skill`."""
    rng = random.Random(seed)
    state: dict[str, Any] = {}
    for module in range(-(-leaves // 9)):
        for name, value in _fields(rng).items():
            state[f"skills.{module}.{name}"] = value
    return dict(list(state.items())[:leaves])


def equal_states(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Whether two flat states have the same keys and values; arrays are compared bit for bit."""
    return a.keys() == b.keys() and all(_equal(value, b[key]) for key, value in a.items())


def _equal(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return type(a) is type(b) and a == b
