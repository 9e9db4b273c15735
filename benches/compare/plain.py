"""The same tree in plain Python classes whose specs are pydantic models, as one would write it.

pydantic validates the whole spec at once, kinds told apart by a discriminated union. A load is
strict, checks types, and copies lists and dicts, as ours; one that fails halfway is not undone.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_TYPES: dict[str, Any] = {
    "name": str,
    "limit": int,
    "rate": float,
    "active": bool,
    "count": int,
    "score": float,
    "last": str | None,
    "recent": list,
    "stats": dict,
}


class SkillSpec(BaseModel):
    """The spec of a skill."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["Skill"] = "Skill"
    id: str
    name: str = ""
    limit: int = 0
    rate: float = 0.0
    active: bool = True


class OtherSpec(BaseModel):
    """The spec of something else, so that there is a choice."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["Other"] = "Other"
    id: str


class AgentSpec(BaseModel):
    """The spec of an agent."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["Agent"] = "Agent"
    id: str
    skills: list[Annotated[SkillSpec | OtherSpec, Field(discriminator="kind")]]


class Skill:
    """A skill; its id is kept."""

    def __init__(self, spec: SkillSpec) -> None:
        self.id = spec.id
        self.name = spec.name
        self.limit = spec.limit
        self.rate = spec.rate
        self.active = spec.active
        self.count = 0
        self.score = 0.0
        self.last: str | None = None
        self.recent: list[Any] = []
        self.stats: dict[str, Any] = {}

    def put(self, prefix: str, state: dict[str, Any], used: set[str]) -> None:
        """Takes what is its own out of a state."""
        for name, wanted in _TYPES.items():
            key = prefix + name
            value = state[key]
            if not isinstance(value, wanted):
                raise TypeError(key)
            if type(value) is list or type(value) is dict:
                value = value.copy()
            setattr(self, name, value)
            used.add(key)


class Agent:
    """An agent of skills."""

    def __init__(self, spec: AgentSpec) -> None:
        self.id = spec.id
        self.skills = [Skill(inner) for inner in spec.skills if isinstance(inner, SkillSpec)]

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads a state; keys must be exactly the expected ones."""
        used: set[str] = set()
        for at, skill in enumerate(self.skills):
            skill.put(f"skills.{at}.", state, used)
        if used != state.keys():
            raise KeyError(sorted(state.keys() - used))

    def state_dict(self) -> dict[str, Any]:
        """Gives dot path -> value."""
        return {
            f"skills.{at}.{name}": getattr(skill, name)
            for at, skill in enumerate(self.skills)
            for name in _TYPES
        }


def from_spec(spec: dict[str, Any]) -> Agent:
    """Validates a spec and builds what it describes."""
    return Agent(AgentSpec.model_validate(spec))
