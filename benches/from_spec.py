"""1,000 modules from their spec and state: ours, and plain classes with pydantic specs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benches._rows import describe
from benches._trees import Agent, wide_agent
from benches.compare import plain

_MODULES = 1_000
_ROUNDS = 40
_GOAL = 3.0
_PEER = "plain classes, pydantic specs"

Steps = tuple[Callable[[dict[str, Any]], Any], Callable[[Any, dict[str, Any]], None]]
_STEPS: dict[str, Steps] = {
    "dachi_fast": (Agent.from_spec, lambda agent, state: agent.load_state_dict(state)),
    _PEER: (plain.from_spec, lambda agent, state: agent.load_state_dict(state)),
}


def _both(who: str, spec: dict[str, Any], state: dict[str, Any]) -> Any:
    from_spec, load = _STEPS[who]
    made = from_spec(spec)
    load(made, state)
    return made


@pytest.mark.parametrize("who", _STEPS)
@pytest.mark.parametrize("step", ["from_spec + load_state_dict", "from_spec", "load_state_dict"])
def bench_from_spec(benchmark: Any, step: str, who: str) -> None:
    """Both steps, and each alone."""
    is_goal = (step, who) == ("from_spec + load_state_dict", _PEER)
    describe(
        benchmark,
        workload=f"{step}, {_MODULES:,} modules x 9 fields",
        who=who,
        base=who == "dachi_fast",
        at_least=_GOAL if is_goal else None,
    )
    agent = wide_agent(_MODULES)
    spec, state = agent.spec(to_dict=True), agent.state_dict()
    from_spec, load = _STEPS[who]
    into = from_spec(spec)
    run: Callable[[], Any] = {
        "from_spec + load_state_dict": lambda: _both(who, spec, state),
        "from_spec": lambda: from_spec(spec),
        "load_state_dict": lambda: load(into, state),
    }[step]
    made = benchmark.pedantic(run, rounds=_ROUNDS, warmup_rounds=2)
    if step != "from_spec":
        assert (into if made is None else made).state_dict() == state
