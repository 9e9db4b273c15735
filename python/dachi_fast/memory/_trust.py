"""Whom a memory comes from, how far that is trusted, and what follows for recall.

Tiers follow the order in which language models are taught to obey (platform, user, assistant, tool
output), with what was found on the web below all of them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

from dachi_fast._core import codec
from dachi_fast._core.ledger import is_signed
from dachi_fast.errors import QueryError, TrustError, Unsigned

Trust = Literal["system", "user", "agent", "tool", "web"]
"""How far a memory is trusted, the most trusted first."""

Hidden = Literal["quarantined", "superseded"]
"""What recall leaves out unless it is asked for."""

TIERS: Final[tuple[Trust, ...]] = get_args(Trust)
HIDDEN: Final[tuple[Hidden, ...]] = get_args(Hidden)
QUARANTINED: Final[frozenset[Trust]] = frozenset({"tool", "web"})

# A vector's class in the index: the tier, and a bit for each reason to leave it out. The index
# filters by class while it searches, so nothing that is hidden takes a place among the nearest.
_BITS: Final[Mapping[Hidden, int]] = {"quarantined": 64, "superseded": 128}
_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class SourceLimit:
    """How many memories one source may store in a time.

    Args:
        count: memories, from 0 on.
        period_s: seconds; a period begins with the first memory after the last one ended.

    Raises:
        ValueError: a `count` below 0, or a `period_s` that is no time.
    """

    count: int = 1_000
    period_s: float = 3_600.0

    def __post_init__(self) -> None:
        if self.count < 0 or not (math.isfinite(self.period_s) and self.period_s > 0):
            raise ValueError("a limit is a count from 0 on in a time above 0 s")


# What comes from outside in masses drowns what is there; what an agent does itself, it may.
DEFAULT_LIMITS: Final[Mapping[Trust, SourceLimit]] = MappingProxyType(
    {"tool": SourceLimit(), "web": SourceLimit()}
)


def check_trust(trust: object) -> Trust:
    """Gives a tier back.

    Raises:
        ValueError: it is none.
    """
    for tier in TIERS:
        if tier == trust:
            return tier
    raise ValueError(f"trust is one of {', '.join(map(repr, TIERS))}, not {trust!r}")


def within(trust: Trust, most: Trust) -> bool:
    """Whether a tier is trusted no further than another."""
    return TIERS.index(trust) >= TIERS.index(most)


def check_within(trust: Trust, most: Trust, what: str) -> None:
    """Refuses what a tier may not do.

    Raises:
        TrustError: `trust` is above `most`.
    """
    if not within(trust, most):
        raise TrustError(
            "trust", f"{what}: {trust!r} is above {most!r}", trust=trust, most_trust=most
        )


def visibility(trust: Trust, hidden: Collection[Hidden]) -> int:
    """Gives the class that a memory's vector has."""
    return TIERS.index(trust) + sum(_BITS[reason] for reason in hidden)


def check_hidden(include: Iterable[Hidden]) -> tuple[Hidden, ...]:
    """Gives what is not to be left out, each once.

    Raises:
        QueryError: a word that is none.
    """
    if isinstance(include, str):
        raise QueryError("query", f"include= takes several words, as in [{include!r}]")
    asked = tuple(dict.fromkeys(include))
    for word in asked:
        if word not in HIDDEN:
            what = f"include= takes {' and '.join(map(repr, HIDDEN))}, not {word!r}"
            raise QueryError("query", what)
    return asked


@cache
def visible(min_trust: Trust, include: tuple[Hidden, ...]) -> frozenset[int]:
    """Gives the classes that a recall sees."""
    tiers = TIERS[: TIERS.index(min_trust) + 1]
    allowed = [(), *((word,) for word in include), include]
    return frozenset(visibility(tier, hidden) for tier, hidden in product(tiers, allowed))


EVERYTHING: Final = visible(TIERS[-1], HIDDEN)


def message(namespace: str, content: Mapping[str, Any]) -> bytes:
    """Gives what a source signs of a memory: canonical, and bound to where it is stored.

    Raises:
        StateError: a value cannot be held; ``context["path"]`` says where.
    """
    signed = [content[name] for name in ("source", "trust", "text", "task_envelope", "result")]
    return b"dachi_fast memory 1\n" + codec.encode([namespace, *signed])


def check_key(public_key: object) -> None:
    """Refuses what is no Ed25519 public key.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(public_key, bytes) or len(public_key) != _KEY_BYTES:
        raise ValueError("an Ed25519 public key is 32 bytes")


def check_signature(namespace: str, content: Mapping[str, Any], key: bytes | None) -> None:
    """Checks what a memory claims that its source has said; nothing without a key or signature.

    Raises:
        Unsigned: the source signs, and this is not signed by it; or it is signed, and nobody knows
            the source's key.
    """
    source, signature = content["source"], content.get("signature")
    if key is None and signature is None:
        return
    if key is None:
        what = f"{source!r} has no key here; register_source gives it one"
    elif signature is None:
        what = f"{source!r} signs what it says, and this is not signed"
    elif is_signed(key, message(namespace, content), signature):
        return
    else:
        what = f"this is not what {source!r} signed for this namespace"
    raise Unsigned("unsigned", what, source=source)
