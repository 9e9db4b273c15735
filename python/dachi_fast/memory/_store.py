"""A memory for event loops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Unpack

from dachi_fast._core import codec
from dachi_fast.memory._options import MemoryOptions, NewTask, RecallOptions, TaskOptions
from dachi_fast.memory._recall import asked
from dachi_fast.memory._sync import SyncMemory
from dachi_fast.store._off_loop import run

if TYPE_CHECKING:
    from dachi_fast.embed import Calibration
    from dachi_fast.memory._records import Memory, Ready, Recall
    from dachi_fast.memory._reembed import Advance
    from dachi_fast.store import Store
    from dachi_fast.transaction import SyncTransaction, Transaction
    from dachi_fast.types import Embedder


class MemoryStore:
    """Remembers tasks with what came of them, and finds them again by meaning.

    A handle on the memory of one namespace; it sees that one and nothing else. Memories lie in the
    store that holds the agents, as documents of the type ``task_memory`` with a vector each.
    Methods may be called from any thread; `sync` is the same for scripts.

    What is stored is trusted as far as its tier says. What tools and the web said is quarantined:
    it is stored, and recall leaves it out until it is released or asked for.

    Args:
        store: an open store. None: the default one, opened when first used.
        namespace: whose memory it is: the name of an agent, or one of its own.
        principal: who uses it, as the ledger says it. None: the namespace's own. Others need a
            grant: ``store.memory(namespace, grant=[principal])``.
        **options:
            ``embedder``: makes vectors of texts. None: `StaticEmbedder`. A namespace keeps the
            embedder that its first memory was stored with, until it is moved with `reembed`.

            ``calibration``: what a cosine means. None: the embedder's own, if it has one.

            ``indexes``: fields that ``where=`` is to look memories up by, beside ``source``,
            ``agent_id`` and ``timestamp``; as ``"result.outcome"``, or several together.

            ``most_trust``: the highest tier that this handle may claim, change or, from ``"user"``
            on, release. Default: every tier; give what you do not trust a handle with less.

            ``limits``: how many memories a source may store in a time, by tier. Default: 1,000 an
            hour for ``"tool"`` and ``"web"``. ``{}`` for no limits.

            ``duplicates``: what becomes of a memory that is as near to one there as
            ``duplicate_cosine``, has the same numbers in its text, the same source and the same
            trust. ``"keep"`` (default, for it costs no search and hides nothing): nothing.
            ``"link"``: it is stored, and recall gives the nearest of those that are linked, and the
            others' ids. ``"merge"``: it takes the older one's place, under its id.

            ``duplicate_cosine``: from where on two texts say the same, 0 to 1; default 0.98.

    Raises:
        ValueError: `most_trust`, `duplicates` or `duplicate_cosine` is none.
        StoreError: a name holds half of a surrogate pair.

    Example:
        >>> import asyncio
        >>> from dachi_fast import KeyFile, MemoryStore, Store
        >>> async def main(memory: MemoryStore) -> list[str]:
        ...     await memory.store_task(
        ...         task_envelope={"description": "Build Python REST API"},
        ...         result={"outcome": "success"},
        ...     )
        ...     similar = await memory.retrieve_similar_tasks(
        ...         query="Create FastAPI microservice", limit=5, min_similarity=0.8
        ...     )
        ...     return [found.text for found in similar]
        >>> with Store.open("memory.store", keys=KeyFile("memory.key")) as store:
        ...     asyncio.run(main(MemoryStore(store)))
        ['Build Python REST API']
    """

    def __init__(
        self,
        store: Store | None = None,
        *,
        namespace: str = "default",
        principal: str | None = None,
        **options: Unpack[MemoryOptions],
    ) -> None:
        self.sync: Final = SyncMemory(store, namespace, principal, options)

    @property
    def namespace(self) -> str:
        """The namespace that it sees."""
        return self.sync.namespace

    @property
    def principal(self) -> str:
        """Who uses it."""
        return self.sync.principal

    @property
    def embedder(self) -> Embedder:
        """What makes vectors of texts."""
        return self.sync.embedder

    def __repr__(self) -> str:
        return f"<MemoryStore of {self.namespace!r} as {self.principal!r}>"

    async def store_task(
        self,
        task_envelope: Mapping[str, Any],
        result: Any,
        *,
        justification: str = "",
        within: Transaction | SyncTransaction | None = None,
        **options: Unpack[TaskOptions],
    ) -> str:
        """Stores a task and what came of it. Returned means on disk.

        The arguments are taken before the first await: what becomes of them then does not matter.

        Args:
            task_envelope: what was to be done: a dict with str keys, of whatever state can hold.
            result: what came of it.
            justification: why, for the ledger.
            within: a transaction that was begun over this namespace, too, to be stored in its
                commit.
            **options:
                ``text``: what it is found by, at most 65,536 bytes of UTF-8. None: the envelope's
                ``"description"``.

                ``source``: where it comes from: a tool, an address, a person. None: the principal.

                ``trust``: how far that is trusted: ``"system"``, ``"user"``, ``"agent"``,
                ``"tool"`` or ``"web"``. None: ``"agent"``, or as far as the handle goes. ``"tool"``
                and ``"web"`` are quarantined.

                ``ttl_s``: seconds from now on after which it is not there any more; None for ever.

                ``signature``: the source's Ed25519 signature of what `to_sign` gives. A source with
                a key (`register_source`) must sign.

        Returns:
            Its id, 32 hex digits. Ids ascend in the order of storing.

        Raises:
            EmptyText: there is no text, or nothing in it that can be embedded.
            TextTooLong: the text is longer than that.
            StateError: a value cannot be held; ``context["path"]`` says where. Nothing was stored.
            TrustError: the tier is above what this handle may claim.
            Unsigned: the source signs, and did not sign this.
            SourceLimitReached: the source has stored as many as it may.
            NotGranted: the namespace was not granted to the principal.
            EmbedderMismatch: the namespace's memories were made with another embedder.
            ValueError: `ttl_s` is no time, or `trust` no tier.
            StoreFull: no room; nothing was stored.
        """
        task = NewTask(task_envelope=task_envelope, result=result, **options)
        [memory_id] = await self.store_tasks([task], justification=justification, within=within)
        return memory_id

    async def store_tasks(
        self,
        tasks: Iterable[NewTask],
        *,
        justification: str = "",
        within: Transaction | SyncTransaction | None = None,
    ) -> list[str]:
        """Stores tasks in one commit: all of them or, if one cannot be stored, none.

        Args:
            tasks: dicts with the arguments of `store_task`, whose errors apply to each.
            justification: why, for the ledger.
            within: as for `store_task`.

        Returns:
            Their ids, in the order of the tasks.
        """
        ready = self._taken(tasks)
        return await run(self.sync._store, ready, justification, within)

    async def supersede(
        self,
        memory_id: str,
        task_envelope: Mapping[str, Any],
        result: Any,
        *,
        justification: str = "",
        **options: Unpack[TaskOptions],
    ) -> str:
        """Stores a task in the place of an older one; gives its id.

        The old one stays readable by its id, with the new one's id in `superseded_by`, and is not
        recalled any more.

        Args:
            memory_id: the old one.
            task_envelope: as for `store_task`.
            result: what came of it.
            justification: why, for the ledger.
            **options: as for `store_task`; ``trust`` is at least that of the old one.

        Raises:
            UnknownName: the old one is not there.
            Superseded: it was superseded already; ``context["superseded_by"]`` says by which.
            TrustError: the new one is less trusted than the old one, or quarantined while that was
                released; or the old one is trusted further than this handle.
            DachiError: as for `store_task`.
        """
        task = NewTask(task_envelope=task_envelope, result=result, **options)
        ready = self._taken([task])
        return await run(self.sync._supersede, memory_id, ready, justification)

    async def retrieve_similar_tasks(
        self,
        query: str,
        *,
        limit: int = 5,
        justification: str = "",
        **options: Unpack[RecallOptions],
    ) -> Recall:
        """Gives the memories that are nearest to a text in meaning.

        Trust and `where` are part of the search: what they leave out takes no place among the
        nearest.

        Args:
            query: at most 65,536 bytes of UTF-8.
            limit: how many at most, from 1 on.
            justification: why, for the ledger, where each recall is a ``retrieve``.
            **options:
                ``min_similarity``: the least probability that a memory is about the same thing, 0
                to 1; see `Calibration`. None: any.

                ``min_cosine``: the least cosine, -1 to 1. None: any.

                ``min_trust``: the lowest tier that is looked at. Default: all, without what is
                quarantined.

                ``include``: what is looked at, too: ``"quarantined"``, ``"superseded"``.

                ``where``: conditions on fields, as `Transaction.find` takes them; dots lead into
                dicts: ``{"source": "crawler", "result.outcome": "success"}``.

                ``explain``: True to be told what was left out and why, in `Recall.explanation`; it
                takes another search.

        Returns:
            A list, the nearest first.

        Raises:
            QueryError: an argument out of bounds, `min_similarity` with an embedder that is not
                calibrated, an operator that there is not, or a field that no memory has.
            EmptyText: the query has nothing that can be embedded.
            TextTooLong: it is longer than that.
            NotGranted: the namespace was not granted to the principal.
            EmbedderMismatch: the namespace's memories were made with another embedder.
            IntegrityError: what lies on disk is not what was stored.

        Complexity:
            That of the index (docs/vectors.md), which finds 99 % of the nearest on average and all
            of a few thousand; with `where` also that of `Transaction.find`.
        """
        question = asked(self.sync._calibration, query, limit, options)
        return await run(self.sync._answer, question, justification)

    async def get(self, memory_id: str, *, justification: str = "") -> Memory:
        """Gives a memory by its id, also one that is quarantined or superseded.

        Raises:
            UnknownName: it is not there, or has expired.
            NotGranted: the namespace was not granted to the principal.
        """
        return await run(self.sync.get, memory_id, justification=justification)

    async def find(
        self,
        *,
        where: Mapping[str, Any] | None = None,
        order: str = "newest",
        limit: int | None = None,
        justification: str = "",
    ) -> list[Memory]:
        """Gives the memories that meet all conditions, also quarantined and superseded ones.

        Args:
            where: as for `retrieve_similar_tasks`.
            order: as for `Transaction.find`.
            limit: how many at most, from 1 on; None for all.
            justification: why, for the ledger.

        Raises:
            QueryError: what it is asked is no question.
            NotGranted: the namespace was not granted to the principal.
        """
        more = {"order": order, "limit": limit, "justification": justification}
        return await run(self.sync.find, where=where, **more)  # type: ignore[arg-type]

    async def forget(self, memory_id: str, *, justification: str = "") -> None:
        """Deletes a memory with its vector; `Store.forget` destroys all of a namespace.

        Raises:
            UnknownName: it is not there.
            TrustError: it is trusted further than this handle.
            NotGranted: the namespace was not granted to the principal.
        """
        await run(self.sync.forget, memory_id, justification=justification)

    async def quarantine(self, memory_id: str, *, justification: str = "") -> None:
        """Leaves a memory out of recall until it is released.

        Raises:
            UnknownName: it is not there.
            TrustError: it is trusted further than this handle.
            NotGranted: the namespace was not granted to the principal.
        """
        await run(self.sync.quarantine, memory_id, justification=justification)

    async def release(self, memory_id: str, *, justification: str = "") -> None:
        """Lets a quarantined memory be recalled; its tier stays.

        Raises:
            UnknownName: it is not there.
            TrustError: this handle's `most_trust` is below ``"user"``.
            NotGranted: the namespace was not granted to the principal.
        """
        await run(self.sync.release, memory_id, justification=justification)

    async def register_source(
        self, source: str, public_key: bytes | None, *, justification: str = ""
    ) -> None:
        """Says by which key a source signs: what claims to be its own is then refused unsigned.

        Args:
            source: its name.
            public_key: its Ed25519 key, 32 bytes; None: it signs no longer.
            justification: why, for the ledger.

        Raises:
            ValueError: the key is none.
            TrustError: this handle's `most_trust` is below ``"user"``.
            NotGranted: the namespace was not granted to the principal.
        """
        await run(self.sync.register_source, source, public_key, justification=justification)

    def to_sign(
        self, task_envelope: Mapping[str, Any], result: Any, **options: Unpack[TaskOptions]
    ) -> bytes:
        """Gives the bytes that a source signs: namespace, source, tier, text, envelope, result.

        Args:
            task_envelope: as for `store_task`.
            result: what came of it.
            **options: as for `store_task`.
        """
        return self.sync.to_sign(task_envelope, result, **options)

    async def reembed(
        self,
        embedder: Embedder,
        *,
        calibration: Calibration | None = None,
        progress: Advance | None = None,
    ) -> int:
        """Moves all memories of the namespace into another embedder's space.

        The old one serves until the end, to others too; then their handles raise EmbedderMismatch,
        and this one goes on with the new embedder. Killed in the middle, another call goes on.

        Args:
            embedder: the new one.
            calibration: what its cosines mean. None: its own, if it has one.
            progress: called with how many vectors were made, after each batch.

        Returns:
            How many vectors were made.

        Raises:
            DachiError: what the embedder raises; another call goes on.
            NotGranted: the namespace was not granted to the principal.

        Complexity:
            Embeds each text once, and those that are written meanwhile again.
        """
        return await run(self.sync.reembed, embedder, calibration=calibration, progress=progress)

    def _taken(self, tasks: Iterable[NewTask]) -> list[Ready]:
        """Gives tasks as they are now, of the store's own."""
        ready = self.sync._ready(tasks)
        for item in ready:
            item.content = codec.decode(codec.encode(item.content))  # type: ignore[assignment]
        return ready
