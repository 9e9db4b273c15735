"""What type checkers make of the async twins: checked by mypy and pyright, run by nobody."""

from __future__ import annotations

from typing import assert_type

from dachi_fast import Autosave, BaseModule, Change, KeyFile, LedgerEntry, Report, Store, Version


class Agent(BaseModule):
    count: int = 0


async def use(agent: Agent) -> None:
    async with await Store.aopen("a.store", keys=KeyFile("a.key"), durability="async") as store:
        assert_type(store, Store)
        assert_type(store.save(agent, "a"), Version)
        assert_type(await store.asave(agent, "a", base=3), Version)
        assert_type(await store.aload_into(agent, "a"), Agent)
        assert_type(await store.ahistory("a", limit=3), list[Version])
        assert_type(await store.adiff("a", 1, 2), list[Change])
        assert_type(await store.aledger(limit=3), list[LedgerEntry])
        assert_type(await store.averify(progress=print), Report)
        assert_type(await store.arollback("a", to=1), Version)
        assert_type(store.autosave(agent, "a", every_s=3), Autosave)
        async with store.autosave(agent, "a") as saving:
            assert_type(saving, Autosave)
        await store.ahistory(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await store.ahistory("a", size=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
