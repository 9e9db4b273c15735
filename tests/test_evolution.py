"""New blueprints for old modules, exchanging what modules hold, and copies of them."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pydantic
import pytest

from dachi_fast import (
    AdaptModule,
    Attr,
    BaseModule,
    KeyFile,
    ModuleList,
    Param,
    Shared,
    Store,
)
from dachi_fast.errors import Conflict, SpecError, StateError


class Skill(BaseModule):
    name: str = Param(default="skill")
    uses: int = Attr(default=0)


class Cooking(Skill):
    recipes: list[str] = Attr(default_factory=list)


class Walking(BaseModule):
    uses: int = Attr(default=0)


class Robot(BaseModule):
    style: str = Param(default="calm")
    skills: list[BaseModule] = Param(default_factory=list)
    head: AdaptModule[BaseModule] | None = Param(default=None)
    memory: dict[str, Any] = Attr(default_factory=dict)


class Written(BaseModule):
    """Has an `__init__` of its own, and an attribute that nobody declared."""

    def __init__(self, size: int) -> None:
        self.table = list(range(size))
        self.weight = Param(data=size)
        self.hits = Attr(data=0)


class Common(BaseModule):
    shared: list[int] = Shared(default_factory=list)
    own: int = Attr(default=0)


def robot() -> Robot:
    made = Robot(skills=[Cooking(name="soup"), Walking()], head=AdaptModule(Skill(name="see")))
    made.memory["seen"] = ["cat"]
    cooking: Any = made.skills[0]
    cooking.uses, cooking.recipes = 2, ["onion"]
    walking: Any = made.skills[1]
    walking.uses = 7
    return made


# --- evolved --------------------------------------------------------------------------------------


def test_an_evolved_module_has_the_new_params_and_the_old_attrs() -> None:
    old = robot()
    before = old.snapshot()
    new, report = old.evolved({**old.spec(to_dict=True), "style": "bold"})
    assert new.style == "bold"
    assert new.state_dict(train=False) == old.state_dict(train=False)
    assert set(report.kept) == old.state_keys(train=False)
    assert (report.fresh, report.lost) == ([], {})
    new.memory["seen"].append("dog")
    assert old.state_dict() == before


def test_modules_go_on_from_those_of_their_id_wherever_they_stand() -> None:
    old = robot()
    cooking, walking = old.skills
    spec = old.spec(to_dict=True)
    spec["skills"].reverse()
    new, report = old.evolved(spec)
    assert [s.id for s in new.skills] == [walking.id, cooking.id]
    assert new.state_dict()["skills.0.uses"] == 7
    assert new.state_dict()["skills.1.recipes"] == ["onion"]
    assert report.lost == {}


def test_without_ids_modules_go_on_from_those_of_their_name_and_of_a_related_class() -> None:
    old = robot()
    new, report = old.evolved(
        {
            "skills": [{"kind": "Skill"}, {"kind": "Cooking"}],
            "head": {"kind": "Cooking", "name": "see"},
        }
    )
    assert new.state_dict(train=False) == {
        "memory": {"seen": ["cat"]},
        "skills.0.uses": 2,
        "skills.1.uses": 0,
        "skills.1.recipes": [],
        "head._adapted.uses": 0,
        "head._adapted.recipes": [],
    }
    assert report.kept == ["memory", "skills.0.uses", "head._adapted.uses"]
    assert report.fresh == ["skills.1.uses", "skills.1.recipes", "head._adapted.recipes"]
    assert report.lost == {
        "skills.0.recipes": "the new module has no such Attr",
        "skills.1.uses": "the new blueprint has no such module",
    }


def test_what_an_id_asks_for_goes_to_no_other_module() -> None:
    old = Robot(skills=[Walking(), Walking()])
    for number, skill in enumerate(old.skills):
        skill.uses = number + 1  # type: ignore[attr-defined]
    spec = [{"kind": "Walking", "id": old.skills[1].id}, {"kind": "Walking"}]
    new, report = old.evolved({"skills": spec})
    assert [s.uses for s in new.skills] == [2, 0]  # type: ignore[attr-defined]
    assert report.lost == {"skills.0.uses": "the new blueprint has no such module"}


def test_a_value_that_does_not_fit_is_lost_alone_and_reported() -> None:
    old = robot()
    old.memory = "not a dict"  # type: ignore[assignment]
    new, report = old.evolved({"style": "bold", "skills": [{"kind": "Cooking"}]})
    assert new.memory == {}
    assert "memory" in report.fresh
    assert "dict" in report.lost["memory"]
    assert new.state_dict()["skills.0.uses"] == 2


def test_an_evolved_module_keeps_its_id_unless_the_blueprint_has_one() -> None:
    old = Skill()
    assert old.evolved({})[0].id == old.id
    assert old.evolved({"id": "other"})[0].id == "other"
    assert old.evolved(old.spec())[0].id == old.id


def test_items_made_by_hand_go_along() -> None:
    old = Written(3)
    old.hits.data = 5
    new, report = old.evolved({"size": 2})
    assert (new.weight.data, new.hits.data, new.table) == (2, 5, [0, 1])
    assert report.kept == ["hits"]


def test_an_evolved_module_stays_in_its_mode() -> None:
    assert robot().eval().evolved({"skills": []})[0].training is False


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ({"style": []}, pydantic.ValidationError),
        ({"skills": [{"kind": "Nowhere"}]}, SpecError),
        ({"skills": [{"kind": "Walking"}]}, SpecError),
        ({"kind": "Walking"}, SpecError),
    ],
)
def test_a_blueprint_that_cannot_be_built_changes_nothing(
    spec: dict[str, Any], error: type[Exception]
) -> None:
    old = robot()
    before = old.snapshot()
    with pytest.raises(error):
        old.evolved(spec, allow=[Robot, Cooking])
    assert old.state_dict() == before


# --- become ---------------------------------------------------------------------------------------


def test_whoever_holds_a_module_sees_what_it_became() -> None:
    old, held = robot(), ModuleList()
    held.append(old)
    number = old.id
    new, _ = old.evolved({"style": "bold", "skills": [{"kind": "Walking"}]})
    expected = new.snapshot()
    old.become(new)
    assert held[0] is old
    assert (old.id, old.style, old.state_dict()) == (number, "bold", expected)
    assert old.spec(to_dict=True)["style"] == "bold"


def test_becoming_twice_takes_it_back() -> None:
    old, new = robot(), Robot(style="bold")
    first, second = old.snapshot(), new.snapshot()
    ids = (old.id, new.id)
    old.become(new)
    assert (old.state_dict(), new.state_dict()) == (second, first)
    assert (old.id, new.id) == ids
    old.become(new)
    assert (old.state_dict(), new.state_dict()) == (first, second)
    old.become(old)
    assert old.state_dict() == first


def test_attributes_that_nobody_declared_are_exchanged_too() -> None:
    old, new = Written(3), Written(5)
    old.become(new)
    assert (old.table, old.weight.data, old.spec(to_dict=True)["size"]) == ([*range(5)], 5, 5)
    assert (new.table, new.weight.data, new.spec(to_dict=True)["size"]) == ([*range(3)], 3, 3)


def test_params_stay_with_their_callbacks_and_are_told() -> None:
    old, new = robot(), Robot(style="bold")
    heard: list[Any] = []
    style = next(old.parameters())
    style.register_callback(heard.append)
    old.become(new)
    assert (heard, style.data) == (["bold"], "bold")
    assert next(old.parameters()) is style
    old.become(new)
    assert heard == ["bold", "calm"]
    new.style = "loud"
    assert heard == ["bold", "calm"]


def test_a_fixed_param_stays_fixed() -> None:
    old, new = robot(), Robot(style="bold")
    next(old.parameters()).fix()
    old.become(new)
    assert old.style == "bold"
    with pytest.raises(RuntimeError, match="fixed"):
        old.style = "loud"
    new.style = "loud"


def test_a_module_becomes_only_what_is_of_its_class() -> None:
    old = Skill(name="a")
    for other in (Cooking(), Walking()):
        with pytest.raises(SpecError, match="cannot become"):
            old.become(other)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="update_adapted"):
        AdaptModule(Skill()).become(AdaptModule(Skill()))
    assert old.name == "a"


def test_an_agent_that_became_another_is_saved_as_the_next_version(tmp_path: Path) -> None:
    agent = robot()
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        store.save(agent, "robot")
        new, _ = agent.evolved({"style": "bold", "skills": [{"kind": "Walking"}]})
        with pytest.raises(Conflict):
            store.save(new, "robot")
        agent.become(new)
        assert store.save(agent, "robot").number == 2
        assert store.load("robot").state_dict() == agent.state_dict()
        store.rollback("robot", to=1)
        assert store.load("robot").style == "calm"


# --- copies ---------------------------------------------------------------------------------------


def test_a_snapshot_can_be_gone_back_to_more_than_once() -> None:
    agent = robot()
    kept = agent.snapshot()
    for _ in range(2):
        agent.memory["seen"].append("dog")
        agent.restore(kept)
        assert agent.memory == {"seen": ["cat"]}


def test_a_snapshot_that_does_not_fit_changes_nothing() -> None:
    agent = robot()
    before = agent.snapshot()
    for wrong in ({**before, "extra": 1}, {**before, "memory": 3}):
        with pytest.raises(StateError):
            agent.restore({"style": "new", **wrong})
        assert agent.state_dict() == before


def test_a_deep_copy_is_a_stranger_to_the_store_and_shares_what_is_shared(tmp_path: Path) -> None:
    agent = Common()
    agent.shared.append(1)
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key")) as store:
        store.save(agent, "agent")
        twin = copy.deepcopy(agent)
        twin.shared.append(2)
        assert agent.shared is twin.shared
        with pytest.raises(Conflict):
            store.save(twin, "agent")
    Common.reset_shared()


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_tree_pickles_as_plain_objects_do(protocol: int) -> None:
    agent = robot()
    twin = pickle.loads(pickle.dumps(agent, protocol))
    assert (twin.state_dict(), twin.id) == (agent.state_dict(), agent.id)
    assert twin.spec() == agent.spec()
    hand = pickle.loads(pickle.dumps(Written(3), protocol))
    assert (hand.table, hand.state_dict()) == ([0, 1, 2], {"weight": 3, "hits": 0})
