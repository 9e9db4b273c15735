"""What is stored and changed, inside of a transaction."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, get_args

from dachi_fast.errors import Superseded, TrustError, UnknownName
from dachi_fast.memory._options import Duplicates, MemoryOptions, NewTask
from dachi_fast.memory._records import KIND, Ready, hidden_of, text_of
from dachi_fast.memory._trust import (
    DEFAULT_LIMITS,
    QUARANTINED,
    TIERS,
    SourceLimit,
    Trust,
    check_signature,
    check_trust,
    check_within,
    visibility,
    within,
)
from dachi_fast.store._records import time_of
from dachi_fast.transaction._transaction import _nanoseconds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dachi_fast.memory._namespace import Place
    from dachi_fast.types import Document, Embedder

# The same words in another order, with other articles, case or punctuation.
_SAME: Final = 0.98
_NUMBER: Final = re.compile(r"\d+")
_GIVEN: Final = frozenset(NewTask.__annotations__)
# What a memory keeps when another one is merged into it.
_KEPT: Final = ("quarantined", "supersedes", "duplicate_of")
_CHANGES: Final = "this handle may not change what is trusted further than itself"


@dataclass(frozen=True)
class Rules:
    """How a handle writes.

    Attributes:
        embedder: makes vectors of texts.
        most_trust: the highest tier that it may claim, or change.
        limits: of sources, by tier.
        duplicates: what becomes of near-duplicates.
        duplicate_cosine: from where on two texts are near-duplicates.
    """

    embedder: Embedder
    most_trust: Trust
    limits: Mapping[Trust, SourceLimit]
    duplicates: Duplicates
    duplicate_cosine: float


def rules_of(embedder: Embedder, options: MemoryOptions) -> Rules:
    """Checks how a handle is to write; `MemoryStore` says what may be said.

    Raises:
        TypeError: an option that there is not.
        ValueError: an option has no such value.
    """
    unknown = sorted(set(options) - set(MemoryOptions.__annotations__))
    if unknown:
        raise TypeError(f"a memory takes no {unknown[0]}=")
    duplicates = options.get("duplicates", "keep")
    if duplicates not in get_args(Duplicates):
        raise ValueError(f"duplicates is 'keep', 'link' or 'merge', not {duplicates!r}")
    cosine = options.get("duplicate_cosine", _SAME)
    if not 0 <= cosine <= 1:
        raise ValueError(f"duplicate_cosine is a number from 0 to 1, not {cosine!r}")
    most = check_trust(options.get("most_trust", TIERS[0]))
    limits = options.get("limits", DEFAULT_LIMITS)
    for tier in limits:
        check_trust(tier)
    return Rules(embedder, most, limits, duplicates, cosine)


def ready(task: Mapping[str, Any], rules: Rules, principal: str) -> Ready:
    """Checks a task that is to be stored; `MemoryStore.store_task` says what it may be."""
    unknown = sorted(set(task) - _GIVEN)
    if unknown:
        raise TypeError(f"a task has no {unknown[0]!r}; it has {', '.join(sorted(_GIVEN))}")
    if not task.keys() >= {"task_envelope", "result"}:
        raise TypeError("a task has a 'task_envelope' and a 'result'")
    trust = task.get("trust")
    if trust is None:
        # What is nobody's claim is the agent's own, or as far as the handle goes.
        trust = "agent" if within("agent", rules.most_trust) else rules.most_trust
    check_within(check_trust(trust), rules.most_trust, "this handle may not claim that")
    source = principal if task.get("source") is None else task["source"]
    if not isinstance(source, str) or not source:
        raise TypeError(f"a source is a text that names it, not {source!r}")
    signature = task.get("signature")
    if signature is not None and not isinstance(signature, bytes):
        raise TypeError(f"a signature is bytes, not {type(signature).__name__}")
    envelope = task["task_envelope"]
    text = text_of(envelope, task.get("text"))
    content: dict[str, Any] = {
        "agent_id": principal,
        "timestamp": None,
        "source": source,
        "trust": trust,
        "quarantined": trust in QUARANTINED,
        "text": text,
        "task_envelope": dict(envelope),
        "result": task["result"],
    }
    if signature is not None:
        content["signature"] = signature
    return Ready(content, _nanoseconds(task.get("ttl_s")))


def store(
    place: Place, items: Sequence[Ready], vectors: NDArray[np.float32], rules: Rules
) -> list[str]:
    """Stores memories; gives their ids."""
    space = place.serving(rules.embedder) or place.declare(rules.embedder)
    _check_sources(place, items, rules)
    now = time_of(place.session.now_ns())
    ids = []
    for item, vector in zip(items, vectors, strict=True):
        content = {**item.content, "timestamp": now}
        same = _duplicate(place, space, item, vector, rules)
        if same is not None and rules.duplicates == "merge":
            content |= {name: same.content[name] for name in _KEPT if name in same.content}
            content["times"] = same.content.get("times", 1) + 1
            place.replace(same, content, item.ttl_ns)
            memory_id = same.id
        else:
            if same is not None:
                content["duplicate_of"] = same.content.get("duplicate_of") or same.id
            memory_id = place.add(KIND, content, item.ttl_ns)
        put(place, space, memory_id, content, vector)
        ids.append(memory_id)
    return ids


def put(place: Place, space: str, memory_id: str, content: Mapping[str, Any], vector: Any) -> None:
    """Puts a memory's vector into the space that serves."""
    put_into(place, space, memory_id, content, vector)
    place.written(memory_id)


def put_into(
    place: Place, space: str, memory_id: str, content: Mapping[str, Any], vector: Any
) -> None:
    """Puts a memory's vector where recall finds it, or does not."""
    seen = visibility(content["trust"], hidden_of(content))
    place.session.embed(place.at, space, memory_id, vector, visibility=seen)


def _check_sources(place: Place, items: Sequence[Ready], rules: Rules) -> None:
    keys: dict[str, bytes | None] = {}
    counts: Counter[tuple[str, Trust]] = Counter()
    for item in items:
        source, trust = item.content["source"], item.content["trust"]
        if source not in keys:
            known = place.source(source)
            keys[source] = None if known is None else known.content["public_key"]
        check_signature(place.namespace, item.content, keys[source])
        counts[source, trust] += trust in rules.limits
    for (source, trust), count in counts.items():
        if count:
            place.count(source, count, rules.limits[trust])


def _duplicate(
    place: Place, space: str, item: Ready, vector: NDArray[np.float32], rules: Rules
) -> Document | None:
    """Gives what says the same already: as near, with the same numbers, as far trusted."""
    if rules.duplicates == "keep":
        return None
    content = item.content
    alike = frozenset({visibility(content["trust"], hidden_of(content))})
    near = place.session.near(place.at, space, vector, 1, visible=alike, recall=1.0)
    if not near or near[0][1] < rules.duplicate_cosine:
        return None
    [found] = place.session.look_up(place.at, KIND, [near[0][0]])
    if found is None or found.content["source"] != content["source"]:
        return None
    # A static model hardly sees digits: "restart server 1" is as near to "restart server 2".
    same = _numbers(found.content["text"]) == _numbers(content["text"])
    return found if same else None


def _numbers(text: str) -> list[str]:
    return sorted(_NUMBER.findall(text))


def there(place: Place, memory_id: str) -> Document:
    """Gives a memory.

    Raises:
        UnknownName: it is not there, or has expired.
    """
    [found] = place.session.look_up(place.at, KIND, [memory_id])
    if found is None:
        what = f"{place.namespace!r} has no memory with the id {memory_id!r}"
        raise UnknownName("unknown-memory", what, namespace=place.namespace, id=memory_id)
    return found


def supersede(
    place: Place, memory_id: str, item: Ready, vector: NDArray[np.float32], rules: Rules
) -> str:
    """Stores a memory in the place of another one; gives its id."""
    old = there(place, memory_id)
    if by := old.content.get("superseded_by"):
        what = f"{memory_id!r} was superseded by {by!r}: supersede that one"
        raise Superseded("superseded", what, id=memory_id, superseded_by=by)
    check_within(old.content["trust"], rules.most_trust, _CHANGES)
    check_within(
        old.content["trust"], item.content["trust"], "what is less trusted supersedes nothing"
    )
    if item.content["quarantined"] and not old.content["quarantined"]:
        what = f"{memory_id!r} was released: what is quarantined supersedes nothing that is not"
        raise TrustError("trust", what, id=memory_id)
    item.content["supersedes"] = memory_id
    [new] = store(place, [item], vector[None], replace(rules, duplicates="keep"))
    change(place, old, superseded_by=new)
    return new


def move(place: Place, memory_id: str, rules: Rules, *, quarantined: bool) -> None:
    """Puts a memory into quarantine, or takes it out."""
    found = there(place, memory_id)
    if quarantined:
        check_within(found.content["trust"], rules.most_trust, _CHANGES)
    else:
        check_within("user", rules.most_trust, "only a handle that users trust releases")
    if found.content["quarantined"] != quarantined:
        change(place, found, quarantined=quarantined)


def change(place: Place, found: Document, **changes: Any) -> None:
    """Sets fields of a memory, and what recall sees of it."""
    content = {**found.content, **changes}
    place.replace(found, content)
    place.session.reclass(
        place.at, found.id, visibility=visibility(content["trust"], hidden_of(content))
    )


def forget(place: Place, memory_id: str, rules: Rules) -> None:
    """Deletes a memory with its vector."""
    found = there(place, memory_id)
    check_within(found.content["trust"], rules.most_trust, _CHANGES)
    place.delete(KIND, memory_id)
