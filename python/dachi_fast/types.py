"""Protocols that users may implement."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

Norm = Literal["unit", "any"]
"""What is known of the length of an embedder's vectors."""


class Clock(Protocol):
    """Tells the time."""

    def __call__(self) -> int:
        """Gives nanoseconds since 1970, as `time.time_ns` does."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors, so that texts about the same thing are near each other.

    May be called from any thread, several at once. One that knows what its cosines mean has an
    attribute ``calibration``, a `dachi_fast.Calibration`.

    Example:
        >>> from dachi_fast import StaticEmbedder
        >>> from dachi_fast.types import Embedder
        >>> embedder: Embedder = StaticEmbedder()
        >>> embedder.embed(["one text", "and another"]).shape
        (2, 256)
    """

    @property
    def name(self) -> str:
        """The space: model, form and version. Vectors of different names are never compared."""
        ...

    @property
    def dimension(self) -> int:
        """Numbers in a vector, 1 to 4,096; never changes."""
        ...

    @property
    def norm(self) -> Norm:
        """What is promised: "unit" if every vector has length 1, else "any"."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Gives a vector for each text, each by its text alone.

        Args:
            texts: any number of any length; an empty sequence gives no vectors.

        Returns:
            float32, shape `(len(texts), dimension)`, C order, finite, no row all zero.

        Raises:
            EmptyText: a text has nothing that could be embedded.
        """
        ...


@runtime_checkable
class KeyProvider(Protocol):
    """Keeps the key that wraps a store's root key.

    The store calls `wrap` when it is made, rewrapped or told to forget, and `unwrap` at each open;
    no save needs it. What `wrap` gives is kept beside the store and is opaque to it. A provider
    must not use the store that calls it.
    """

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Seals a key.

        Args:
            key: 32 bytes.
            context: what the key is for; `unwrap` must refuse another context.

        Returns:
            The sealed key, at most 64 KiB.

        Raises:
            KeyringError: the provider's own key cannot be had.
        """
        ...

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Opens what `wrap` gave.

        Args:
            wrapped: the sealed key.
            context: as given to `wrap`.

        Returns:
            The 32 bytes.

        Raises:
            KeyringError: the provider's key is gone, is another one, or may not be used.
        """
        ...


@runtime_checkable
class ReplaceableKeyProvider(KeyProvider, Protocol):
    """A provider that can replace the key that it wraps a store's root key with.

    `Store.forget` then leaves nothing that opens an old copy of the store's keys. With a provider
    that cannot, an old copy of the store together with the provider's key still opens.
    """

    def rotate(self, key: bytes, context: bytes) -> bytes:
        """Seals a key under a fresh key of the provider's; the keys before stay until `retire`.

        Args:
            key: 32 bytes.
            context: what the key is for.

        Returns:
            The sealed key, at most 64 KiB. The fresh key must not be lost from here on, whatever
            happens to the process.

        Raises:
            KeyringError: a fresh key cannot be had; nothing was changed.
        """
        ...

    def retire(self, wrapped: bytes, context: bytes) -> None:
        """Destroys the provider's keys for a context but the one that `wrapped` is sealed under.

        Args:
            wrapped: a sealed key.
            context: as given to `wrap`.

        Raises:
            KeyringError: they could not be destroyed; they still open what they sealed.
        """
        ...


@runtime_checkable
class Witness(Protocol):
    """Remembers the newest commit of a store elsewhere: on another disk, on a server.

    It keeps opaque records that only the store can make and check: it needs no key, cannot forge
    one, and one that was altered is refused. Both methods may be called from any thread, one after
    the other or at once, and never while the store's lock is held; they must not use the store.
    Readers wait for `newest`, and saves for both: give a remote one a timeout.

    A store with commits that it knows nothing of is used with a warning and a ledger entry; with
    an attribute ``missing = "refuse"`` it is refused.

    Example:
        >>> from dachi_fast.types import Witness
        >>> class Remembered:
        ...     def __init__(self) -> None:
        ...         self.seen: dict[bytes, tuple[int, bytes]] = {}
        ...
        ...     def newest(self, store_id: bytes) -> bytes | None:
        ...         return self.seen[store_id][1] if store_id in self.seen else None
        ...
        ...     def advance(self, store_id: bytes, commit: int, record: bytes) -> None:
        ...         if commit > self.seen.get(store_id, (-1, b""))[0]:
        ...             self.seen[store_id] = (commit, record)
        >>> isinstance(Remembered(), Witness)
        True
    """

    def newest(self, store_id: bytes) -> bytes | None:
        """Gives the record with the highest commit; None if there is none.

        Called before each read and each commit. An older record than the newest is safe, but lets
        the store go back that far unnoticed; what this raises ends the read or save as a
        `StoreIO` with the exception as its cause.

        Args:
            store_id: 16 bytes.
        """
        ...

    def advance(self, store_id: bytes, commit: int, record: bytes) -> None:
        """Keeps a record, unless one with as high a commit is kept already.

        Called once after each commit that is durable, which many saves may share, and once with
        commit 0 when a store is made. What this raises is a `WitnessUnwritten` warning, once a
        handle: the commit stays.

        Args:
            store_id: 16 bytes.
            commit: its number; rises, but not always by one. Processes may call in another order
                than they committed.
            record: about 100 bytes.
        """
        ...


@runtime_checkable
class VectorIndex(Protocol):
    """Finds the vectors that are nearest to a query.

    Any number of threads may search while one writes; what a call has written, every search that
    begins later sees. `dachi_fast.vectors` has the ones that come with the package.
    """

    @property
    def dimension(self) -> int:
        """Components of a vector."""
        ...

    @property
    def metric(self) -> str:
        """How vectors are compared: "cosine", "dot" or "euclidean"."""
        ...

    def insert(self, ids: ArrayLike, vectors: ArrayLike) -> None:
        """Puts vectors, all or none; an id that is there gets the new one.

        Args:
            ids: integers from 0 to 2**64 - 1, shape ``(n,)``.
            vectors: float32 or what becomes it, shape ``(n, dimension)``.

        Raises:
            VectorError: an id or vector cannot be taken.
        """
        ...

    def delete(self, ids: ArrayLike) -> int:
        """Takes vectors out and gives how many were there."""
        ...

    def search(
        self, queries: ArrayLike, k: int = 10, *, recall: float = 0.99, within: Any = None
    ) -> Any:
        """Gives ids and scores of the k nearest, the nearest first.

        Args:
            queries: shape ``(dimension,)`` or ``(n, dimension)``.
            k: how many each; where there are fewer, all of them.
            recall: the share of them that is to be found on average, above 0, at most 1.
            within: only these ids may be found; None for all.

        Returns:
            A `dachi_fast.vectors.Found`.

        Raises:
            VectorError: a query cannot be answered.
        """
        ...

    def __len__(self) -> int:
        """Gives how many vectors there are."""
        ...

    def __contains__(self, one: int) -> bool:
        """Tells whether an id has a vector."""
        ...


@dataclass(frozen=True, slots=True)
class Document:
    """A document as a transaction gives it.

    Attributes:
        id: names it among those of its memory type.
        memory_type: what kind of memory it is.
        content: what was stored; a dict of the caller's own.
        created: when it was stored, UTC.
        updated: when it was updated last, UTC; at first the same.
        expires: when it ceases to be there, UTC; None for never.
    """

    id: str
    memory_type: str
    content: dict[str, Any]
    created: datetime.datetime
    updated: datetime.datetime
    expires: datetime.datetime | None


@dataclass(frozen=True, slots=True)
class Space:
    """What the vectors of a space have in common: only such are comparable.

    Attributes:
        model: the name of the embedder that made them.
        dimension: components of each, 1 to 4,096.
    """

    model: str
    dimension: int


class TransactionSession(Protocol):
    """One transaction of a provider's; methods may block, and may be called from any thread.

    What it reads is of one moment, with its own changes on top. `place` says which of the providers
    that it was begun with is meant: 0 is the one that began it.
    """

    @property
    def open(self) -> bool:
        """Whether it was neither committed nor rolled back."""
        ...

    def store(
        self,
        place: int,
        memory_type: str,
        content: dict[str, Any],
        *,
        agent_id: str,
        justification: str,
        ttl_ns: int | None,
    ) -> str:
        """Stores a document under a new id, which it gives.

        Args:
            place: where.
            memory_type: of which kind.
            content: what it holds; taken now.
            agent_id: of whom an audit speaks.
            justification: why.
            ttl_ns: how long it is to be there; None for ever.

        Raises:
            StateError: a value cannot be held; the transaction is as it was.
        """
        ...

    def retrieve(self, place: int, memory_type: str, document_id: str) -> Document | None:
        """Gives a document; None if it is not there, or has expired."""
        ...

    def find(
        self,
        place: int,
        memory_type: str,
        *,
        where: Mapping[str, Any] | None,
        order: str,
        limit: int | None,
    ) -> list[Document]:
        """Gives the documents that meet all conditions, as `Transaction.find` says.

        Raises:
            QueryError: what it is asked is no question.
        """
        ...

    def replace(
        self,
        place: int,
        memory_type: str,
        document_id: str,
        content: dict[str, Any],
        *,
        agent_id: str,
        justification: str,
        ttl_ns: int | None,
    ) -> bool:
        """Replaces a document; False if it is not there. Without `ttl_ns` it expires as before."""
        ...

    def delete(
        self,
        place: int,
        memory_type: str,
        document_id: str,
        *,
        agent_id: str,
        justification: str,
    ) -> bool:
        """Deletes a document; False if it is not there."""
        ...

    def commit(self) -> None:
        """Makes all of it last, or nothing.

        Raises:
            Conflict: others changed what it has read or changes; nothing of it is there.
            Finished: it was committed or rolled back before.
        """
        ...

    def rollback(self) -> bool:
        """Lets go of everything; False if it was finished before."""
        ...


class TransactionProvider(Protocol):
    """Keeps documents for a `TransactionManager`; transactions over it are serializable."""

    @property
    def namespace(self) -> str:
        """What its documents belong to."""
        ...

    def begin(self, others: Sequence[Any] = ()) -> TransactionSession:
        """Begins a transaction.

        Args:
            others: further providers that it spans, at places 1, 2 ...

        Raises:
            TransactionError: it cannot span these.
        """
        ...
