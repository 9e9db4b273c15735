"""Walk, flatten and encode 1,000 modules of nine fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack
import ormsgpack
import pytest

from benches._rows import describe
from benches._trees import wide_agent
from benches.compare.flatten import blueprint, flatten
from dachi_fast import BaseModule, _core
from tests.oracles.flatten import flatten as flatten_by_the_rules

_MODULES = 1_000
_ENTRIES = 9 * _MODULES
_ROUNDS = 100


def _captured(agent: BaseModule, made: Any) -> None:
    values = flatten(agent).values()
    assert made.entries == _ENTRIES
    assert made.size_bytes == sum(len(_core.codec.encode(value)) for value in values)


def _packed(agent: BaseModule, made: Any) -> None:
    assert msgpack.unpackb(made) == flatten(agent)


_ENCODERS: dict[str, tuple[Callable[[BaseModule], Any], Callable[[BaseModule, Any], None]]] = {
    "dachi_fast": (_core.state.capture, _captured),
    "Python walk + msgpack": (
        lambda agent: msgpack.packb(flatten_by_the_rules(agent)),
        _packed,
    ),
    "Python walk + ormsgpack": (
        lambda agent: ormsgpack.packb(flatten_by_the_rules(agent)),
        _packed,
    ),
    "lean Python walk + msgpack": (lambda agent: msgpack.packb(flatten(agent)), _packed),
    "lean Python walk + ormsgpack": (lambda agent: ormsgpack.packb(flatten(agent)), _packed),
}
# Of the walks that find the same and refuse the same; the lean ones skip half of that.
_GOALS = {"Python walk + msgpack": 10.0, "Python walk + ormsgpack": 8.0}


@pytest.mark.parametrize("who", _ENCODERS)
def bench_encode(benchmark: Any, who: str) -> None:
    """A live tree to encoded values; ours writes the blueprint too."""
    describe(
        benchmark,
        workload=f"walk + flatten + encode {_MODULES:,} modules x 9 fields",
        who=who,
        base=who == "dachi_fast",
        at_least=_GOALS.get(who),
    )
    agent = wide_agent(_MODULES)
    encode, check = _ENCODERS[who]
    made = benchmark.pedantic(encode, args=(agent,), rounds=_ROUNDS, warmup_rounds=3)
    check(agent, made)


_WALKS: dict[str, Callable[[BaseModule], dict[str, Any]]] = {
    "dachi_fast": BaseModule.state_dict,
    "Python walk": flatten_by_the_rules,
    "lean Python walk": flatten,
}


@pytest.mark.parametrize("who", _WALKS)
def bench_state_dict(benchmark: Any, who: str) -> None:
    """A live tree to a dict of live values."""
    describe(
        benchmark,
        workload=f"state_dict of {_MODULES:,} modules x 9 fields",
        who=who,
        base=who == "dachi_fast",
        at_least=3.0 if who == "Python walk" else None,
    )
    agent = wide_agent(_MODULES)
    state = benchmark.pedantic(_WALKS[who], args=(agent,), rounds=_ROUNDS, warmup_rounds=3)
    assert len(state) == _ENTRIES
    assert state == flatten(agent)


_SPECS: dict[str, Callable[[BaseModule], dict[str, Any]]] = {
    "dachi_fast": lambda agent: agent.spec(to_dict=True),
    "lean Python walk": blueprint,
}


@pytest.mark.parametrize("who", _SPECS)
def bench_spec(benchmark: Any, who: str) -> None:
    """A live tree to its blueprint as a dict; the lean walk finds no cycles and no equal ids."""
    describe(
        benchmark,
        workload=f"spec of {_MODULES:,} modules x 9 fields",
        who=who,
        base=who == "dachi_fast",
        at_least=1.0 if who != "dachi_fast" else None,
    )
    agent = wide_agent(_MODULES)
    made = benchmark.pedantic(_SPECS[who], args=(agent,), rounds=_ROUNDS, warmup_rounds=3)
    assert made == agent.spec(to_dict=True)


def _params(agent: BaseModule) -> list[tuple[str, Any]]:
    return list(agent.named_parameters())


def _params_by_the_rules(agent: BaseModule) -> list[tuple[str, Any]]:
    return list(flatten_by_the_rules(agent, runtime=False).items())


_PARAMS: dict[str, Callable[[BaseModule], list[tuple[str, Any]]]] = {
    "dachi_fast": _params,
    "Python walk": _params_by_the_rules,
}


@pytest.mark.parametrize("who", _PARAMS)
def bench_named_parameters(benchmark: Any, who: str) -> None:
    """Names and Params of a tree; the Python walk gives names and values."""
    describe(
        benchmark,
        workload=f"named_parameters of {_MODULES:,} modules x 9 fields",
        who=who,
        base=who == "dachi_fast",
        at_least=1.0 if who != "dachi_fast" else None,
    )
    agent = wide_agent(_MODULES)
    found = benchmark.pedantic(_PARAMS[who], args=(agent,), rounds=_ROUNDS, warmup_rounds=3)
    assert [name for name, _ in found] == list(agent.state_dict(runtime=False))
