"""Vectors of the documents in a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from dachi_fast.errors import StoreReadOnly, UnknownName, VectorError
from dachi_fast.types import Space
from dachi_fast.vectors._index import natural, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from dachi_fast._core import store as _core_store
    from dachi_fast.store import Store

# Classes of visibility are a byte.
_LAST_CLASS: Final = 255


class Vectors:
    """What a transaction does with the vectors of documents: for memories, not for users.

    A document has at most one vector in each *space*, which is what vectors of one model have in
    common. `place` says which of the transaction's namespaces is meant.
    """

    def __init__(self, store: Store, core: _core_store.Transaction) -> None:
        self._store = store
        self._core = core

    def _check_writable(self) -> None:
        if self._store.read_only:
            what = "the store was opened with read_only=True; open it without to change it"
            raise StoreReadOnly("read-only", what)

    def spaces(self, place: int) -> dict[str, Space]:
        """Gives the spaces that documents have vectors in, by name."""
        spaces = self._core.spaces(place)
        return {name: Space(model, dimension) for name, model, dimension in spaces}

    def declare_space(self, place: int, space: str, *, model: str, dimension: int) -> None:
        """Makes a space; one that is there stays.

        Raises:
            EmbedderMismatch: it holds vectors of another model or dimension.
            VectorError: the dimension is not from 1 to 4,096, or there are 64 spaces.
            StoreError: a name is empty, too long, or holds a zero character.
        """
        self._check_writable()
        self._core.declare_space(place, space, model, natural(dimension, "dimension"))

    def drop_space(self, place: int, space: str) -> None:
        """Removes a space with all its vectors; their documents stay.

        Raises:
            UnknownName: there is no such space.

        Complexity:
            O(n) for n vectors.
        """
        self._check_writable()
        self._core.drop_space(place, space)

    def reclass(self, place: int, document_id: str, *, visibility: int) -> None:
        """Gives the vectors of a document another class, in all spaces; none where it has none."""
        self._check_writable()
        key = key_of(document_id)
        if key is not None:
            self._core.reclass(place, key, visibility)

    def embed(
        self,
        place: int,
        space: str,
        document_id: str,
        vector: NDArray[np.float32],
        *,
        visibility: int = 0,
    ) -> None:
        """Gives a document its vector in a space, or another one instead.

        The vector goes when the document does: deleted, or expired.

        Args:
            place: the namespace.
            space: a declared one.
            document_id: of a document of any memory type.
            vector: float32, shape `(dimension,)`, of any length but none; it is kept with length 1
                in 16-bit floats.
            visibility: a class, 0 to 255, of those that `similar` is told to see.

        Raises:
            UnknownName: there is no such space or document.
            VectorError: another dimension, a component that is not finite, or zeros; or
                `visibility` is none.
        """
        self._check_writable()
        key = key_of(document_id)
        if key is None:
            what = f"there is no document {document_id!r} here"
            raise UnknownName("unknown-document", what, document=str(document_id))
        if not 0 <= visibility <= _LAST_CLASS:
            what = f"visibility is a class from 0 to 255, not {visibility}"
            raise VectorError("vector-setting", what)
        self._core.embed(place, space, key, visibility, _row(vector))

    def similar(
        self,
        place: int,
        space: str,
        query: NDArray[np.float32],
        k: int,
        *,
        recall: float = 0.99,
        visible: frozenset[int] = frozenset({0}),
        within: Iterable[str] | None = None,
    ) -> list[tuple[str, float]]:
        """Gives the documents nearest to a vector: ids and cosines, the nearest first.

        What the transaction has written is found; what has expired is not. It conflicts with
        whoever changes what it found, and not with whoever adds what it might have found.

        Args:
            place: the namespace.
            space: its name; in one that was not declared nothing is found.
            query: as the vector of `embed`.
            k: how many at most.
            recall: the share of the k nearest that is to be found on average, above 0, at most 1.
            visible: the classes that may be found.
            within: only these ids may be found; None for all.

        Returns:
            Equally near ones by id; as many as there are where those are fewer than k.

        Raises:
            VectorError: another dimension, a component that is not finite, zeros, a negative k, a
                recall out of range, or a class that is none.

        Complexity:
            As that of `dachi_fast.vectors.Auto`; at first, and after others have committed, what
            changed is read.
        """
        found = self.near(place, space, query, k, recall=recall, visible=visible, within=within)
        self._core.note_read(place, space)
        return found

    def near(
        self,
        place: int,
        space: str,
        query: NDArray[np.float32],
        k: int,
        *,
        recall: float = 0.99,
        visible: frozenset[int] = frozenset({0}),
        within: Iterable[str] | None = None,
    ) -> list[tuple[str, float]]:
        """Does what `similar` does, without an entry in the ledger."""
        ids = None if within is None else list(within)
        return self._core.similar(
            place, space, _row(query), natural(k, "k"), recall, _classes(visible), ids
        )


def _row(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    if np.ndim(vector) != 1:
        what = f"one vector has one dimension, not a shape of {np.shape(vector)}"
        raise VectorError("vector-dimension", what, shape=np.shape(vector))
    row: NDArray[np.float32] = rows_of(vector, len(vector))[0]
    return row


def _classes(visible: frozenset[int]) -> bytes:
    try:
        return bytes(visible)
    except ValueError as cause:
        what = f"visible holds classes from 0 to 255, not {sorted(visible)}"
        raise VectorError("vector-setting", what) from cause


def key_of(document_id: str) -> bytes | None:
    """Gives an id as the core knows it; None for what is none."""
    try:
        key = bytes.fromhex(document_id)
    except (TypeError, ValueError):
        return None
    return key if key.hex() == document_id and len(key) == 16 else None
