"""Experiences as documents, and which of them an agent has learned.

An agent's life has stretches: another one begins where a rollback or a fork leads elsewhere. A
stretch is named by the agent's id and the version that it began after, and counts its rewards on
from the state that it began with. So stretch and step of an experience say whether a state has
learned it, however often it was rolled back in between, and whatever versions were pruned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dachi_fast._core import codec
from dachi_fast.learning._decision import Experience

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from dachi_fast.learning._learner import Learner
    from dachi_fast.types import Document

# Memory types of what an agent's namespace holds beside its versions, and what users store there.
EXPERIENCE: Final = "neural_experience"
UNLEARNED: Final = "neural_unlearning"
STATE: Final = "neural_state"

_SIMPLE: Final = (str, int, float, bool, bytes, type(None))
_TOLD: Final = ("action", "context", "outcome", "reward", "id", "propensity", "actions", "source")


def own(value: Any) -> Any:
    """Gives a copy of a value that state can hold, which nobody else changes.

    Raises:
        StateError: state cannot hold it.
    """
    return value if type(value) in _SIMPLE else codec.decode(codec.encode(value))


def written(experience: Experience, name: str, stretch: str, followed: int) -> dict[str, Any]:
    """Gives an experience as the document that it is kept as."""
    told = {field: getattr(experience, field) for field in _TOLD}
    return {"agent": name, "stretch": stretch, "followed": followed, "step": experience.step} | told


def read(document: Document) -> Experience:
    """Gives the experience that a document keeps."""
    content = document.content
    told = {field: content[field] for field in (*_TOLD, "step", "stretch", "followed")}
    return Experience(**told, key=document.id)


class Life:
    """Which experiences a state has learned.

    Args:
        learner: the learner, as it is now.
    """

    def __init__(self, learner: Learner) -> None:
        begun = learner.lineage
        ends = [first for _, first in begun[1:]] + [learner.learned]
        self._steps: Final = {
            stretch: range(first, end) for (stretch, first), end in zip(begun, ends, strict=False)
        }

    def has(self, stretch: str | None, step: int | None) -> bool:
        """Whether it has learned this one."""
        return step in self._steps.get(stretch or "", ())

    def steps(self, gone: Iterable[dict[str, Collection[int]]]) -> set[int]:
        """Gives the steps of its own among those that were taken back, by stretch."""
        return {
            step
            for stretches in gone
            for stretch, steps in stretches.items()
            for step in steps
            if self.has(stretch, step)
        }
