"""How long what is remembered is kept, and what becomes of it then."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

_DAY: Final = datetime.timedelta(days=1)
_MOST_NS: Final = 2**63 - 1
Ages: TypeAlias = tuple[int, int, int | None]
"""Up to which age, in nanoseconds, something is hot, or warm, and from when on it is purged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """How old what is remembered may become, by tier.

    The age of a version is counted from when it was saved, that of a document from when it was
    written last, by the store's clock. The newest version of a name and tagged ones are never
    purged, whatever their age.

    Attributes:
        hot: up to this age something counts as hot.
        warm: up to this age as warm; what is older, and not purged, as cold. All three lie in the
            store: the tiers say how much is how old.
        purge: what is older is destroyed, with the key that it was sealed under, as by
            `Store.purge`. None: nothing is.
        cold: where what is older than `warm` is moved; None, for nowhere, is all there is yet.

    Raises:
        ValueError: an age is negative, or less than the one before; or `cold` is something.

    Example:
        >>> from datetime import timedelta
        >>> from dachi_fast import RetentionPolicy
        >>> RetentionPolicy().purge.days
        365
        >>> RetentionPolicy(hot=timedelta(hours=1), warm=timedelta(days=1), purge=None).hot.seconds
        3600
    """

    hot: datetime.timedelta = 7 * _DAY
    warm: datetime.timedelta = 90 * _DAY
    purge: datetime.timedelta | None = 365 * _DAY
    cold: object = None

    def __post_init__(self) -> None:
        if self.cold is not None:
            what = "there is no cold tier outside of the store yet: leave cold=None"
            raise ValueError(what)
        purge = datetime.timedelta.max if self.purge is None else self.purge
        if not datetime.timedelta() <= self.hot <= self.warm <= purge:
            raise ValueError(f"ages ascend from 0: hot, warm, purge; not {self}")


Policies: TypeAlias = RetentionPolicy | Mapping[str, RetentionPolicy]
"""One policy for everything, or one for each memory type: ``"*"`` is for all others, which are left
alone without it."""


@dataclass(frozen=True, slots=True)
class Retained:
    """What a name has of one memory type, by age.

    Attributes:
        name: the name.
        memory_type: the type of its documents; ``"state"`` for the versions of an agent,
            ``"shared"`` for those of a class's Shared values.
        hot: how many are not older than the policy's `hot`.
        warm: how many of the others are not older than its `warm`.
        cold: how many are older, and stay in the store.
        purged: how many were, or would be, purged.
        kept: how many would be, if they were not the newest version or tagged.
    """

    name: str
    memory_type: str
    hot: int
    warm: int
    cold: int
    purged: int
    kept: int


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """What `Store.retain` did, or would do.

    Attributes:
        rows: what each name has of each memory type that has a policy.
        resealed: how many records were sealed anew, because they live on; 0 in a dry run.
        resealed_bytes: their size, encrypted.
        key_replaced: whether the key provider destroyed its old key, too; False if nothing was
            purged. See `Purged.key_replaced`.
    """

    rows: tuple[Retained, ...]
    resealed: int
    resealed_bytes: int
    key_replaced: bool

    @property
    def purged(self) -> int:
        """How many versions and documents were, or would be, purged."""
        return sum(row.purged for row in self.rows)


def policy_rows(policy: Policies) -> tuple[list[tuple[str, Ages]], Ages | None]:
    """Gives policies as the core takes them: those of memory types, and that of all others."""
    if isinstance(policy, RetentionPolicy):
        return [], _ages(policy)
    types = {kind: _ages(of_kind) for kind, of_kind in policy.items()}
    others = types.pop("*", None)
    return list(types.items()), others


def _ages(policy: RetentionPolicy) -> Ages:
    purge_ns = None if policy.purge is None else _nanoseconds(policy.purge)
    return _nanoseconds(policy.hot), _nanoseconds(policy.warm), purge_ns


def _nanoseconds(age: datetime.timedelta) -> int:
    return min(age // datetime.timedelta(microseconds=1) * 1000, _MOST_NS)
