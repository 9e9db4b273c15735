"""Where an agent's learning is saved, and what a restore found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dachi_fast.adapt import AdaptModule  # noqa: TC001 - a field's annotation
from dachi_fast.errors import MigrationError
from dachi_fast.learning._learner import Learner  # noqa: TC001 - likewise
from dachi_fast.learning._linear import LinUCB
from dachi_fast.migrate import MigrationReport
from dachi_fast.module import BaseModule, Param
from dachi_fast.spec import kind_of, registry

if TYPE_CHECKING:
    from dachi_fast.learning._decision import Experience
    from dachi_fast.learning._search import PastState
    from dachi_fast.store import Version


NOTHING: Final = MigrationReport()


class NeuralState(BaseModule):
    """What is saved of an agent that is no module itself.

    Args:
        agent: `module:qualname` of its class.
        learner: what it learned.
    """

    agent: str
    learner: AdaptModule[Learner] = Param(default_factory=LinUCB)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Restored:
    """What `restore_neural_state` found. False where nothing was saved yet: the agent starts fresh.

    Attributes:
        version: the version that was restored; None where there was none.
        changes: what was changed to fit the classes of this process, or the agent's own learner.
        unlearned: sources that were taken back after that version was saved, and so from it now.
        experiences: those in contexts nearest to what the agent was about lately, at most five,
            nearest first.
        states: past states that were about the like, at most five, nearest first.
    """

    version: Version | None
    changes: MigrationReport = NOTHING
    unlearned: tuple[str, ...] = ()
    experiences: tuple[Experience, ...] = field(default=(), repr=False)
    states: tuple[PastState, ...] = field(default=(), repr=False)

    @property
    def migrated(self) -> bool:
        """Whether anything had to be changed."""
        return bool(self.changes)

    def __bool__(self) -> bool:
        return self.version is not None


def check_owner(cls: type, blueprint: dict[str, Any], name: str) -> None:
    """Refuses what was saved by an agent of another class.

    A class that was renamed lists what it was called in `__aliases__`, as modules do.

    Raises:
        MigrationError: it was (``another-agent``).
    """
    saved = blueprint.get("agent")
    own = (f"{cls.__module__}:{cls.__qualname__}", *getattr(cls, "__aliases__", ()))
    if isinstance(saved, str) and saved not in own:
        raise MigrationError(
            "another-agent",
            f"{name!r} was saved by a {saved}, not by a {own[0]}: give this agent an agent_id of "
            f"its own or, if the class was renamed, `__aliases__ = ({saved!r},)`",
            name=name,
            saved=saved,
        )


def same_learner(mine: Learner, blueprint: dict[str, Any]) -> bool:
    """Says whether a version was saved with a learner of the same class; True if it says none."""
    found = blueprint.get("learner")
    spec = found.get("_adapted_param") if isinstance(found, dict) else None
    if not isinstance(spec, dict):
        return True
    return type(mine) in registry.named(str(spec.get("kind")))


def another_learner(mine: Learner, blueprint: dict[str, Any], name: str) -> MigrationError:
    """Gives the error for a version that another learner's class saved."""
    saved = str(blueprint["learner"]["_adapted_param"]["kind"])
    own = kind_of(type(mine))
    return MigrationError(
        "another-learner",
        f"{name!r} was saved with a {saved}, and this agent has a {own}: restore with "
        f"learner='saved' to go on with the saved one, or with learner='carry' to give what it "
        f"learned to the {own}",
        name=name,
        saved=saved,
    )
