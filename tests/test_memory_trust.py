"""Who may remember what, and what of it is recalled: tiers, quarantine, sources, grants."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dachi_fast import MemoryStore, SourceLimit, Store, SyncMemory
from dachi_fast.errors import NotGranted, SourceLimitReached, TrustError, Unsigned
from dachi_fast.memory import Trust
from tests.memories import Angles, angles, opened, recalled, remember
from tests.timed import Clock

TIERS: tuple[Trust, ...] = ("system", "user", "agent", "tool", "web")


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with opened(tmp_path, clock) as store:
        yield store


# --- tiers and quarantine -------------------------------------------------------------------------


def test_what_tools_and_the_web_said_is_not_recalled_until_released(store: Store) -> None:
    memory = angles(store)
    for angle, trust in enumerate(TIERS):
        remember(memory, angle, trust=trust)
    assert recalled(memory) == [0, 1, 2]
    assert recalled(memory, include=["quarantined"]) == [0, 1, 2, 3, 4]
    [web] = memory.find(where={"trust": "web"})
    assert web.quarantined
    memory.release(web.id, justification="read it myself")
    assert recalled(memory) == [0, 1, 2, 4]
    assert memory.get(web.id).trust == "web"
    memory.release(web.id)  # again is no change
    memory.quarantine(web.id)
    assert recalled(memory) == [0, 1, 2]


def test_a_lowest_tier_may_be_asked_for(store: Store) -> None:
    memory = angles(store)
    for angle, trust in enumerate(TIERS):
        [stored] = remember(memory, angle, trust=trust)
        memory.release(stored)
    for angle, trust in enumerate(TIERS):
        assert recalled(memory, min_trust=trust) == list(range(angle + 1))


def test_quarantined_ones_take_no_place_among_the_nearest(store: Store) -> None:
    memory = angles(store, limits={})
    remember(memory, *[1] * 200, trust="web")
    remember(memory, 90)
    assert recalled(memory, 1, limit=1) == [90]


def test_a_superseded_and_quarantined_memory_needs_both_words(store: Store) -> None:
    memory = angles(store)
    [old] = remember(memory, 0, trust="tool")
    memory.supersede(old, {"description": "at 9"}, {"angle": 9}, trust="user")
    assert recalled(memory) == [9]
    assert recalled(memory, include=["superseded"]) == [9]
    assert recalled(memory, include=["quarantined"]) == [9]
    assert recalled(memory, include=["quarantined", "superseded"]) == [0, 9]


def test_what_is_less_trusted_supersedes_nothing(store: Store) -> None:
    memory = angles(store)
    [trusted] = remember(memory, 0, trust="user")
    [released] = remember(memory, 1, trust="web")
    memory.release(released)
    for old, trust in ((trusted, "agent"), (trusted, "web"), (released, "web")):
        with pytest.raises(TrustError):
            memory.supersede(old, {"description": "at 0"}, {}, trust=trust)  # type: ignore[arg-type]
    assert recalled(memory) == [0, 1]
    assert len(memory.find()) == 2


def test_a_handle_claims_and_changes_no_more_than_it_is_trusted(store: Store) -> None:
    memory, crawler = angles(store), angles(store, most_trust="web")
    [mine] = remember(memory, 0)
    [theirs] = remember(crawler, 1)
    assert crawler.get(theirs).trust == "web"
    for trust in TIERS[:-1]:
        with pytest.raises(TrustError):
            remember(crawler, 2, trust=trust)
    attempts: list[Any] = [
        lambda: crawler.release(theirs),
        lambda: crawler.forget(mine),
        lambda: crawler.quarantine(mine),
        lambda: crawler.supersede(mine, {"description": "at 0"}, {}),
        lambda: crawler.register_source("crawler", bytes(32)),
    ]
    for attempt in attempts:
        with pytest.raises(TrustError):
            attempt()
    crawler.forget(theirs)
    assert recalled(memory, include=["quarantined", "superseded"]) == [0]


def test_a_recall_tells_what_it_left_out_and_why(store: Store) -> None:
    memory = angles(store)
    [old] = remember(memory, 0)
    new = memory.supersede(old, {"description": "at 1"}, {"angle": 1})
    [web] = remember(memory, 2, trust="web")
    [agent, near, far] = remember(memory, 3, 4, 80, trust="agent")
    [other] = remember(memory, 5, source="other")
    question: dict[str, Any] = {"limit": 2, "min_cosine": 0.5, "where": {"source": "agent"}}
    found = memory.retrieve_similar_tasks("at 0", explain=True, **question)
    why = found.explanation
    assert why is not None
    assert [(one.rank, one.id, one.verdict) for one in why.considered] == [
        (1, old, "superseded"),
        (2, new, "recalled"),
        (3, web, "quarantined"),
        (4, agent, "recalled"),
        (5, near, "beyond the limit"),
        (6, other, "filtered out"),
        (7, far, "not similar enough"),
    ]
    assert [one.id for one in found] == [new, agent]
    assert (why.limit, why.min_cosine, why.where) == (2, 0.5, {"source": "agent"})
    assert f"{web}  0.9994 web    quarantined" in str(why)
    trusted = memory.retrieve_similar_tasks("at 0", explain=True, min_trust="user")
    assert trusted == []
    assert trusted.explanation is not None
    assert {one.verdict for one in trusted.explanation.considered} == {
        *("quarantined", "not trusted enough")
    }
    assert memory.retrieve_similar_tasks("at 0").explanation is None


def test_an_explanation_reaches_what_was_recalled_below_many_hidden_ones(store: Store) -> None:
    memory = angles(store, limits={}, duplicates="link")
    remember(memory, *[0] * 50, trust="web")
    first, second = remember(memory, 7, 7)
    found = memory.retrieve_similar_tasks("at 0", limit=2, explain=True)
    assert [(one.id, one.also) for one in found] == [(first, (second,))]
    assert found.explanation is not None
    last = found.explanation.considered[50:]
    assert [one.verdict for one in last] == ["recalled", "duplicate"]
    nothing = angles(store, "empty").retrieve_similar_tasks("at 0", explain=True)
    assert nothing.explanation is not None
    assert nothing.explanation.considered == ()


# --- sources --------------------------------------------------------------------------------------


def test_a_source_with_a_key_must_sign(store: Store) -> None:
    memory, key = angles(store), Ed25519PrivateKey.generate()
    memory.register_source("auditor", key.public_key().public_bytes_raw())
    task: tuple[Any, Any] = ({"description": "at 0"}, {"angle": 0})
    message = memory.to_sign(*task, source="auditor", trust="user")
    signature = key.sign(message)
    stored = memory.store_task(*task, source="auditor", trust="user", signature=signature)
    assert memory.get(stored).signed
    elsewhere = angles(store, "elsewhere")
    elsewhere.register_source("auditor", key.public_key().public_bytes_raw())
    wrong: list[tuple[SyncMemory, Any, dict[str, Any]]] = [
        (memory, task, {"trust": "user"}),
        (memory, task, {"trust": "user", "signature": bytes(64)}),
        (memory, task, {"trust": "user", "signature": signature[:-1]}),
        (memory, task, {"trust": "system", "signature": signature}),
        (memory, ({"description": "at 1"}, {}), {"trust": "user", "signature": signature}),
        (memory, task, {"trust": "user", "signature": signature, "text": "at 5"}),
        (elsewhere, task, {"trust": "user", "signature": signature}),
    ]
    for there, what, options in wrong:
        with pytest.raises(Unsigned):
            there.store_task(*what, source="auditor", **options)
    assert len(memory.find()) == 1
    with pytest.raises(Unsigned):  # nobody could check it
        memory.store_task(*task, source="stranger", signature=signature)
    memory.register_source("auditor", None)
    memory.store_task(*task, source="auditor")
    with pytest.raises(ValueError, match="32 bytes"):
        memory.register_source("auditor", b"short")


def test_one_unsigned_memory_keeps_its_batch_out(store: Store) -> None:
    memory, key = angles(store), Ed25519PrivateKey.generate()
    memory.register_source("auditor", key.public_key().public_bytes_raw())
    tasks: list[Any] = [
        {"task_envelope": {"description": f"at {angle}"}, "result": {}, "source": source}
        for angle, source in enumerate(["agent", "auditor"])
    ]
    with pytest.raises(Unsigned):
        memory.store_tasks(tasks)
    assert memory.find() == []


def test_a_source_stores_no_more_than_its_limit_in_a_time(store: Store, clock: Clock) -> None:
    limits: dict[Trust, SourceLimit] = {"web": SourceLimit(3, period_s=60)}
    memory = angles(store, limits=limits)
    remember(memory, 1, 2, source="page", trust="web")
    two: list[Any] = [
        {"task_envelope": {"description": "at 3"}, "result": {}, "source": "page", "trust": "web"}
    ] * 2
    with pytest.raises(SourceLimitReached) as raised:
        memory.store_tasks(two)  # the third would do, the fourth not: none is stored
    assert raised.value.context["retry_after_s"] == 60
    remember(memory, 3, source="page", trust="web")
    remember(memory, 4, source="page")  # of a tier without limit
    remember(memory, 5, source="another page", trust="web")
    clock.now_s -= 1_000
    with pytest.raises(SourceLimitReached):
        remember(memory, 6, source="page", trust="web")
    clock.now_s += 1_060
    remember(memory, 7, source="page", trust="web")
    assert len(memory.find(where={"source": "page"})) == 5


def test_the_limit_holds_across_threads_and_handles(store: Store) -> None:
    refused: list[Exception] = []

    def flood() -> None:
        memory = angles(store, limits={"web": SourceLimit(10)})
        for angle in range(5):
            try:
                remember(memory, angle, source="page", trust="web")
            except SourceLimitReached as error:
                refused.append(error)

    threads = [threading.Thread(target=flood) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 10
    assert len(angles(store).find()) == 10


@pytest.mark.parametrize("wrong", [(-1, 1.0), (1, 0.0), (1, float("inf")), (1, float("nan"))])
def test_a_limit_that_is_none_is_refused(wrong: tuple[int, float]) -> None:
    with pytest.raises(ValueError, match="limit"):
        SourceLimit(*wrong)


# --- namespaces -----------------------------------------------------------------------------------


def test_a_handle_sees_its_namespace_and_nothing_else(store: Store) -> None:
    mine, yours = angles(store, "mine"), angles(store, "yours")
    [stored] = remember(mine, 0)
    remember(yours, 1)
    assert recalled(mine) == [0]
    assert recalled(yours) == [1]
    with pytest.raises(KeyError):
        yours.get(stored)


def test_a_namespace_that_is_not_yours_is_refused(store: Store) -> None:
    remember(angles(store, "mine"), 0)
    with pytest.raises(NotGranted):
        store.memory("mine", principal="you")
    yours = MemoryStore(store, namespace="mine", principal="you", embedder=Angles()).sync
    attempts: list[Any] = [
        lambda: recalled(yours),
        lambda: yours.find(),
        lambda: yours.get("0" * 32),
        lambda: remember(yours, 1),
        lambda: yours.forget("0" * 32),
        lambda: yours.reembed(Angles("angles/2")),
    ]
    for attempt in attempts:
        with pytest.raises(NotGranted) as raised:
            attempt()
        assert raised.value.context == {"namespace": "mine", "principal": "you"}


async def test_a_team_shares_a_memory_until_the_grant_is_taken_back(store: Store) -> None:
    team = store.memory("team", grant=["coder", "critic"], embedder=Angles())
    coder = await store.amemory("team", principal="coder", embedder=Angles())
    critic = store.memory("team", principal="critic", embedder=Angles())
    await coder.store_task({"description": "at 0"}, {"angle": 0})
    [found] = await critic.retrieve_similar_tasks("at 0")
    assert (found.principal, found.source) == ("coder", "coder")
    assert recalled(team.sync) == [0]
    with pytest.raises(NotGranted):
        store.memory("team", principal="stranger")
    store.memory("team", grant=["coder"])
    readers = [entry.agent_id for entry in store.ledger() if entry.operation == "retrieve"]
    assert readers == ["team", "critic"]
    with pytest.raises(NotGranted):
        await critic.retrieve_similar_tasks("at 0")
    assert recalled(coder.sync) == [0]
    store.memory("team", grant=[])
    with pytest.raises(NotGranted):
        remember(coder.sync, 1)
    with pytest.raises(TypeError, match="list of principals"):
        store.memory("team", grant="coder")
