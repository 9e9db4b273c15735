"""AdaptModule: a module as a parameter."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from dachi_fast import AdaptModule, Attr, BaseModule, Param
from dachi_fast.errors import SpecError, StateKeyError


class Word(BaseModule):
    mark: str = Param(default="!")
    calls: int = Attr(default=0)

    def forward(self, text: str) -> str:
        self.calls += 1
        return text + self.mark


class Loud(Word):
    times: int = 2


class Other(BaseModule):
    pass


class Flow(BaseModule):
    step: AdaptModule[Word] = Param()
    maybe: AdaptModule[Word] | None = Param(default=None)
    steps: list[AdaptModule[Word]] = Param(default_factory=list)


def bare() -> dict[str, Any]:
    return {"kind": "Word", "id": "w", "mark": "?"}


@pytest.mark.parametrize(
    "value",
    [
        Word(mark="?"),
        bare(),
        Word(mark="?").spec(),
        AdaptModule(Word(mark="?")),
        {"kind": "AdaptModule", "id": "a", "_adapted_param": bare()},
        AdaptModule(Word(mark="?")).spec(),
    ],
    ids=["module", "bare dict", "bare spec", "wrapped", "wrapped dict", "wrapped spec"],
)
def test_a_field_wraps_whatever_it_is_given(value: Any) -> None:
    flow = Flow(step=value, steps=[value])
    flow.maybe = value
    for held in (flow.step, flow.maybe, flow.steps[0]):
        assert isinstance(held, AdaptModule)
        assert isinstance(held.adapted, Word)
        assert held("hi") == "hi?"


def test_a_bare_spec_inside_a_spec_is_wrapped() -> None:
    flow = Flow.from_spec({"kind": "Flow", "step": bare(), "steps": [{**bare(), "id": "v"}]})
    assert isinstance(flow.step, AdaptModule)
    assert flow.step.adapted.id == "w"
    assert flow.steps[0].adapted.mark == "?"


def test_bare_elements_of_a_list_are_wrapped_in_place_at_the_next_walk() -> None:
    flow = Flow(step=Word())
    steps: list[Any] = flow.steps
    steps.append(Word(mark="."))
    assert "steps.0._adapted.mark" in flow.state_dict()
    assert flow.steps is steps
    assert isinstance(steps[0], AdaptModule)


def test_the_declared_class_is_enforced() -> None:
    flow = Flow(step=Word())
    for wrong in (Other(), {"kind": "Other"}, AdaptModule(Other())):
        with pytest.raises(SpecError, match="not a Word"):
            flow.step = wrong  # type: ignore[assignment]
    with pytest.raises(SpecError, match="not a Word"):
        flow.step.update_adapted(Other())  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="not a Word"):
        Flow.from_spec({"kind": "Flow", "step": {"kind": "Other"}})
    with pytest.raises(TypeError, match="int"):
        flow.step = 3  # type: ignore[assignment]
    assert isinstance(flow.step.adapted, Word)


def test_writing_the_param_builds_a_new_module_and_tells() -> None:
    adapt: AdaptModule[Any] = AdaptModule(Word())
    seen: list[Any] = []
    adapt.on_swap = lambda new: seen.append(new)  # type: ignore[method-assign]
    adapt.adapted_param.register_callback(seen.append)
    adapt.adapted_param.data = {"kind": "Loud", "times": 3}
    assert isinstance(adapt.adapted, Loud)
    assert seen == [adapt.adapted, adapt.adapted_param.data]
    assert adapt.adapted_param.data["times"] == 3


def test_only_allowed_kinds_are_built() -> None:
    adapt = AdaptModule(Word(), allowed=[Word, "Word", "Other"])
    assert adapt.allowed == ["Word", "Other"]
    adapt.update_adapted({"kind": "Other"})
    with pytest.raises(SpecError, match="'Loud' is not allowed"):
        adapt.update_adapted({"kind": "Loud"})
    with pytest.raises(SpecError, match="not allowed"):
        adapt.update_adapted(Loud())
    with pytest.raises(SpecError):
        AdaptModule(Word(), allowed=[int])
    twin: AdaptModule[Any] = AdaptModule.from_spec(adapt.spec().model_dump())
    with pytest.raises(SpecError, match="not allowed"):
        twin.update_adapted({"kind": "Loud"})


def test_a_fixed_one_hides_its_blueprint_and_refuses_both_ways_to_write() -> None:
    flow = Flow(step=Word())
    flow.step.fix()
    assert [n for n, _ in flow.named_parameters()] == ["step._adapted.mark"]
    with pytest.raises(RuntimeError):
        flow.step.adapted_param.data = bare()
    with pytest.raises(RuntimeError):
        flow.step.update_adapted(bare())
    flow.step.unfix()
    assert next(n for n, _ in flow.named_parameters()) == "step._adapted_param"


def test_inner_params_can_be_hidden() -> None:
    flow = Flow(step=AdaptModule(Word(), train_submods=False))
    assert [n for n, _ in flow.named_parameters()] == ["step._adapted_param"]
    assert "step._adapted.mark" in flow.state_dict()


def test_calls_go_to_the_held_module_and_attribute_reads_do_not() -> None:
    adapt: Any = AdaptModule(Word())
    assert adapt.forward("a") == adapt("a") == "a!"
    with pytest.raises(AttributeError):
        adapt.mark


def test_the_state_has_the_blueprint_and_what_is_below() -> None:
    flow = Flow(step=Word())
    state = flow.state_dict()
    assert list(state) == ["step._adapted_param", "step._adapted.mark", "step._adapted.calls"]
    assert state["step._adapted_param"] == flow.step.adapted.spec(to_dict=True)
    assert list(flow.step.state_dict(recurse=False)) == ["_adapted_param"]
    assert json.loads(json.dumps(state)) == state


def test_loading_another_blueprint_rebuilds_and_the_same_does_not() -> None:
    source, target = Flow(step=Loud(mark="#", times=5)), Flow(step=Word())
    source.step("x")
    target.load_state_dict(source.state_dict())
    assert isinstance(target.step.adapted, Loud)
    assert (target.step.adapted.times, target.step.adapted.calls) == (5, 1)
    held = target.step.adapted
    source.step.adapted.mark = "%"
    target.load_state_dict(source.state_dict())
    assert target.step.adapted is held
    assert held.mark == "%"


def test_a_load_that_fails_swaps_no_module() -> None:
    source, target = Flow(step=Loud()), Flow(step=Word())
    held = target.step.adapted
    state = source.state_dict()
    del state["step._adapted.mark"]
    with pytest.raises(StateKeyError, match=r"step\._adapted\.mark"):
        target.load_state_dict(state)
    assert target.step.adapted is held


def test_a_state_cannot_bring_in_a_kind_that_is_not_allowed() -> None:
    target = Flow(step=Word())
    state = target.state_dict()
    for kind in ("Other", "Nope"):
        state["step._adapted_param"] = {"kind": kind}
        with pytest.raises(SpecError):
            target.load_state_dict(state)
    assert isinstance(target.step.adapted, Word)


def test_a_tree_with_adapt_modules_goes_round() -> None:
    flow: Any = Flow(step=Loud(), maybe=AdaptModule(Word()), steps=[Word(mark="1"), Loud(mark="2")])  # type: ignore[list-item]
    twin = Flow.from_spec(flow.spec().model_dump())
    twin.load_state_dict(flow.state_dict())
    assert twin.state_dict() == flow.state_dict()
    assert twin.spec().model_dump() == flow.spec().model_dump()
    copied = copy.deepcopy(flow)
    copied.step.update_adapted(Word())
    assert isinstance(flow.step.adapted, Loud)


def test_a_schema_with_placeholders_grows_with_classes_and_not_with_combinations() -> None:
    one = AdaptModule.schema({Word: [Flow, Loud, Word], Other: [Other]})
    other = AdaptModule.schema({Other: [Other, Other], Word: [Word, Loud, Word, Flow]})
    assert one == other
    assert sorted(one["$defs"]) == ["Flow", "Loud", "Other", "Word"]
    assert json.dumps(one).count('"FlowSpec"') == 1
