"""Every Python block of the reference document runs, and gives what its comments promise.

The blocks run in order in one namespace, statement by statement, so that methods which the document
calls but does not show can be supplied right after a class is defined.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydantic
import pytest

import dachi_fast
from dachi_fast import Action, AdaptModule, BaseModule, Condition, Param, Task, TaskStatus

DOCUMENT = Path(__file__).resolve().parent.parent.parent / "shared" / "reference" / "modules.md"
NAME = "reference_modules_document"

pytestmark = pytest.mark.skipif(
    not DOCUMENT.exists(), reason=f"the reference document is not beside this project: {DOCUMENT}"
)


class Run:
    """The namespace of the document, and what its blocks printed."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names
        self.printed: dict[int, str] = {}

    def __getitem__(self, name: str) -> Any:
        return self.names[name]

    def block(self, index: int, code: str) -> None:
        out = io.StringIO()
        code = re.sub(r"from dachi\.(core|act) import", "from dachi_fast import", code)
        with contextlib.redirect_stdout(out):
            for statement in ast.parse(code).body:
                part = ast.Module([statement], [])
                exec(compile(part, f"modules.md block {index}", "exec"), self.names)
                if isinstance(statement, ast.ClassDef):
                    for name, method in METHODS.get(statement.name, {}).items():
                        setattr(self[statement.name], name, method)
        self.printed[index] = out.getvalue()

    def lines(self, index: int) -> list[str]:
        return self.printed[index].splitlines()


# --- what the document leaves undefined -----------------------------------------------------------


class Msg:
    def __init__(self, role: str, text: str) -> None:
        self.role, self.text = role, text


class Llm:
    """Answers every prompt with a spec that keeps to the configuration it is shown."""

    def forward(self, _msg: Msg) -> Any:
        found = {"kind": "EvolvingSystem", "strategy_type": "bold", "component_weights": {"a": 1.0}}
        return types.SimpleNamespace(msg=Msg("assistant", json.dumps(found)))


def supplied() -> dict[str, Any]:
    class MonitorTask(Condition):
        sensor_type: str = Param()
        threshold: float = Param(default=0.5)

        async def condition(self) -> bool:
            return self.threshold < 1.0

    class AnalyzeTask(Action):
        async def act(self) -> TaskStatus:
            return TaskStatus.SUCCESS

    class RespondTask(Action):
        response_type: str = Param()

        async def act(self) -> TaskStatus:
            return TaskStatus.SUCCESS

    class SimpleTextProcessor(BaseModule):
        model: str = Param()

        def forward(self, data: str) -> str:
            return f"{self.model}: {data}"

    class AdvancedAIProcessor(SimpleTextProcessor):
        temperature: float = Param()

    class Step(BaseModule):
        def forward(self, data: str) -> str:
            return f"{type(self).__name__}({data})"

    class TextCleaner(Step):
        remove_punctuation: bool = Param()
        lowercase: bool = Param()
        remove_extra_spaces: bool = Param()

    class InformationExtractor(Step):
        extract_entities: bool = Param()
        extract_keywords: bool = Param()
        max_keywords: int = Param()

    class SentimentAnalyzer(Step):
        model: str = Param()
        confidence_threshold: float = Param()

    class TextSummarizer(Step):
        max_length: int = Param()
        preserve_key_points: bool = Param()

    class StructuredOutputGenerator(Step):
        output_format: str = Param()
        include_metadata: bool = Param()

    found = {k: v for k, v in locals().items() if k != "Step"}
    return {**found, "Msg": Msg, "llm": Llm(), "json": json, "time": time}


METHODS: dict[str, dict[str, Callable[..., Any]]] = {
    "EvolvingSystem": {
        "_calculate_performance": lambda self: 0.5 if self.strategy_type == "adaptive" else 0.9,
        # The document loads the old state, Params and all, into the evolved system.
        "_test_performance": lambda _self: 0.9,
        "run_tasks": lambda _self: 0.5,
    },
    "PersistentChatAgent": {
        "_analyze_user_message": lambda _self, _message: None,
        "_generate_contextual_response": lambda _self, message: f"About {message}",
        "_extract_message_pattern": lambda _self, message: message.split()[0],
    },
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    module = types.ModuleType(NAME)
    sys.modules[NAME] = module
    names = vars(module)
    names.update(supplied())
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(blocks) == 19
    done = Run(names)
    kept: dict[int, dict[str, Any]] = {}
    with contextlib.chdir(tmp_path_factory.mktemp("document")):
        for index, code in enumerate(blocks):
            done.block(index, code)
            kept[index] = dict(names)
    names["after"] = kept
    try:
        yield done
    finally:
        del sys.modules[NAME]


def after(run: Run, index: int) -> dict[str, Any]:
    """Gives the names as they stood after a block."""
    found: dict[str, Any] = run["after"][index]
    return found


# --- what the comments promise --------------------------------------------------------------------


def test_using_an_agent_changes_its_attributes(run: Run) -> None:
    assert run.lines(1) == [
        "Conversations: 1",
        "Strategies: {'greeting': 'friendly_approach'}",
    ]


def test_the_knowledge_is_a_pydantic_spec_and_a_flat_state(run: Run) -> None:
    names = after(run, 2)
    assert type(names["spec"]).__name__ == "LearningAgentSpec"
    assert isinstance(names["spec"], pydantic.BaseModel)
    assert run.lines(2)[1:3] == ["gpt-4", "0.8"]
    assert names["state"] == {
        "model_name": "gpt-4",
        "temperature": 0.8,
        "conversation_count": 1,
        "successful_strategies": {"greeting": "friendly_approach"},
    }


def test_the_agent_is_restored_with_all_its_learning(run: Run) -> None:
    assert run.lines(3) == ["1", "{'greeting': 'friendly_approach'}"]


def test_params_appear_in_spec_and_state(run: Run) -> None:
    assert run.lines(4) == ["gpt-4-turbo", "gpt-4-turbo", "0.9"]
    state = after(run, 4)["state"]
    assert state["tools"] == ["search", "calculator"]
    assert state["settings"] == {"mode": "smart"}


def test_state_captures_the_learning(run: Run) -> None:
    code = {"interaction_type": "code_help", "language": "python"}
    timeout = {"error_type": "timeout", "query_length": 1000}
    assert run.lines(5) == ["1", str({"code_help": [code]}), str({"timeout": timeout})]


def test_shared_knowledge_is_common_and_not_in_the_state(run: Run) -> None:
    assert run.lines(6) == ["{'use_type_hints': True}", "False"]


def test_an_evolved_strategy_is_preserved_in_the_state(run: Run) -> None:
    strategy = after(run, 7)["strategy"]
    assert sum(strategy.strategy_weights.values()) == pytest.approx(1.0)
    assert "['analytical_high', 'creative_medium']" in run.lines(7)[1]
    assert run.lines(7)[2].endswith(
        "['domain', 'learning_rate', 'strategy_weights', 'performance_history', 'success_patterns']"
    )


def test_nested_modules_are_restored_with_their_learning(run: Run) -> None:
    lines = run.lines(8)
    assert lines[0] == ("Top level keys: ['name', 'coordination_patterns', 'module_performance']")
    assert "'text_processor.success_count'" in lines[1]
    assert "'decision_maker.strategy_weights'" in lines[2]
    assert lines[3] == "5"
    names = after(run, 8)
    evolved = names["learner"].decision_maker.strategy_weights
    assert lines[4] == str(evolved)
    assert names["new_learner"].decision_maker.strategy_weights == evolved


def test_a_spec_dumps_to_kind_id_and_the_fields(run: Run) -> None:
    assert run.lines(9)[:4] == ["MyAgentSpec", "gpt-4-turbo", "0.9", "['search', 'calculator']"]
    names = after(run, 9)
    assert names["spec_dict"] == {
        "kind": "MyAgent",
        "id": names["agent"].id,
        "model": "gpt-4-turbo",
        "temperature": 0.9,
        "tools": ["search", "calculator"],
    }
    assert list(names["spec_dict"]) == ["kind", "id", "model", "temperature", "tools"]


def test_specs_are_made_directly_from_the_schema(run: Run) -> None:
    names = after(run, 10)
    assert issubclass(names["spec_class"], pydantic.BaseModel)
    assert names["spec_class"].__name__ == "MyAgentSpec"
    assert isinstance(names["new_agent"], names["MyAgent"])
    assert (names["new_agent"].model, names["new_agent"].temperature) == ("claude-3", 0.5)


def test_the_state_has_params_and_attrs_and_flags_choose(run: Run) -> None:
    names = after(run, 11)
    params = {"model": "gpt-4", "temperature": 0.7, "tools": []}
    attrs = {"conversation_count": 10, "learned_facts": {"python": "great", "ai": "powerful"}}
    assert names["state"] == {**params, **attrs}
    assert names["param_only"] == params
    assert names["attr_only"] == attrs
    assert names["flat_state"] == {**params, **attrs}


def test_a_loaded_state_updates_the_agent(run: Run) -> None:
    assert run.lines(12) == ["gpt-4", "10", "{'python': 'great', 'ai': 'powerful'}"]


def test_parameters_are_listed_with_and_without_names(run: Run) -> None:
    assert run.lines(13) == [
        "Parameter: gpt-4",
        "Parameter: 0.7",
        "Parameter: []",
        "model: gpt-4",
        "temperature: 0.7",
        "tools: []",
        "Local parameter: gpt-4",
        "Local parameter: 0.7",
        "Local parameter: []",
    ]


def test_a_behaviour_tree_is_built_from_a_spec_and_executed(run: Run) -> None:
    tree: Any = after(run, 14)["behavior_tree"]
    parallel: Any = tree.root_task.adapted
    assert isinstance(tree.root_task, AdaptModule)
    assert isinstance(tree.root_task.adapted, dachi_fast.Parallel)
    assert [type(t).__name__ for t in parallel.tasks] == ["MonitorTask", "Sequence"]
    assert tree.root_task.adapted.id == "root_parallel"
    assert all(isinstance(t, Task) for t in parallel.tasks)
    assert run.lines(14)[0] == "Execution 1: TaskStatus.RUNNING, Success rate: 0.00"
    assert run.lines(14)[9] == "Execution 10: TaskStatus.SUCCESS, Success rate: 0.90"
    assert tree.execution_count == 10


def test_a_system_evolves_its_own_configuration(run: Run) -> None:
    system = after(run, 15)["system"]
    lines = run.lines(15)
    assert not any("Evolution failed" in line for line in lines)
    assert lines[0] == "Cycle 0: System evolved to generation 2"
    assert lines[1] == "Performance improved: 0.500 → 0.900"
    assert lines[3].startswith("Cycle 1: No evolution needed")
    assert (system.strategy_type, system.component_weights) == ("bold", {"a": 1.0})
    assert system.performance_scores == [0.5] * 5
    assert system.evolution_history[0]["old_spec"]["strategy_type"] == "adaptive"


def test_adapt_modules_save_their_spec_and_the_state_below(run: Run) -> None:
    names = after(run, 16)
    assert names["result1"] == "basic: Hello world"
    assert names["result2"] == "gpt-4: Hello world"
    keys = [k for k in names["state"] if "processor" in k]
    assert keys[:2] == ["processor._adapted_param", "processor._adapted.model"]
    assert run.lines(16)[0] == f"AdaptModule state keys: {keys}"


def test_a_pipeline_designed_by_a_spec_runs_and_learns(run: Run) -> None:
    names = after(run, 17)
    lines = run.lines(17)
    assert lines[1] == "Steps executed: 5"
    assert lines[2].startswith("Final result: StructuredOutputGenerator(TextSummarizer(")
    assert lines[3] == "Execution count: 1"
    assert "'step_0_TextCleaner'" in lines[4]
    assert lines[5] == f"Serialized pipeline has {len(names['pipeline'].state_dict())} state keys"
    assert names["pipeline"].id == "llm_pipeline_001"
    assert "steps.0._adapted.lowercase" in names["pipeline_state"]


def test_a_conversation_agent_remembers_across_sessions(run: Run) -> None:
    assert run.lines(18) == [
        "Loaded agent has 6 messages",
        "Feedback scores: [5, 3]",
        "Learned patterns: [\"I'm\", 'Can']",
    ]
    assert after(run, 18)["response4"] == "About I have another Python question"
