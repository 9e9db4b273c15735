"""Handles on the memories of a store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack, cast

from dachi_fast.store._handle import Handle

if TYPE_CHECKING:
    from dachi_fast.memory import MemoryOptions, MemoryStore
    from dachi_fast.store._store import Store


class Memories(Handle):
    """Handles on the memories of a store."""

    def memory(
        self,
        namespace: str = "default",
        *,
        principal: str | None = None,
        grant: Sequence[str] | None = None,
        **options: Unpack[MemoryOptions],
    ) -> MemoryStore:
        """Gives a handle on the memory of one namespace.

        Whoever holds the store may have a handle on every namespace; whoever holds a handle sees
        its namespace only. So keep the store, and give agents their handles.

        Args:
            namespace: whose memory it is.
            principal: who is to use it. None: the namespace's own. Others must have been granted
                it.
            grant: the principals that may use it from now on, beside its own; who is not among them
                may no longer, from their next call on. None: as it was; ``[]``: nobody.
            **options: as for `MemoryStore`.

        Raises:
            NotGranted: the namespace was not granted to `principal`.
            StoreReadOnly: `grant` is given, and the store is only read.
            TypeError: `grant` is one name, or an option is none.
            ValueError: an option has no such value.

        Example:
            >>> from dachi_fast import KeyFile, Store
            >>> with Store.open("team.store", keys=KeyFile("team.key")) as store:
            ...     team = store.memory("team", grant=["coder", "critic"])
            ...     _ = team.sync.store_task({"description": "Review the API"}, {"ok": True})
            ...     coders = store.memory("team", principal="coder")
            ...     [found] = coders.sync.retrieve_similar_tasks("review an API")
            >>> found.text, found.principal
            ('Review the API', 'team')
        """
        from dachi_fast.memory import MemoryStore

        if isinstance(grant, str):
            raise TypeError("grant= takes a list of principals; for one give [principal]")
        store = cast("Store", self)
        if grant is not None:
            MemoryStore(store, namespace=namespace, **options).sync._grant(list(grant))
        memory = MemoryStore(store, namespace=namespace, principal=principal, **options)
        memory.sync._check_granted()
        return memory
