"""Any function that embeds, as an embedder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dachi_fast.embed._texts import checked_dimension, described, listed
from dachi_fast.errors import BadEmbedding, EmptyText

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dachi_fast.embed._calibration import Calibration
    from dachi_fast.types import Norm

_SURROGATE = re.compile("[\ud800-\udfff]")
# float16 has 11 bits: a unit vector of it is as far from one as this.
_UNIT_WITHIN = 2e-3


class CallableEmbedder:
    """Another model or a service as an embedder; what it gives is checked before it is used.

    Args:
        name: of the space, with the model's version: vectors of different names are never mixed.
        dimension: of its vectors, 1 to 4,096.
        fn: takes a list of texts and gives their vectors, in order: an array of shape `(n,
            dimension)`, or anything that iterates over vectors; float16, float32 or float64, or
            Python floats. What it raises comes out unchanged. Called from any thread.
        norm: "unit" if it promises vectors of unit length, which is then checked; else "any".
        batch_size: texts a call at most; None: all at once. Services have a limit.
        calibration: of this model, from `calibrate`; without one a store knows only cosines.

    Raises:
        ValueError: a `dimension` or `batch_size` out of bounds.

    Example:
        `sentence_transformers`: ``CallableEmbedder("all-mpnet-base-v2", 768, model.encode)``;
        `fastembed`: ``CallableEmbedder("BAAI/bge-small-en-v1.5", 384, model.embed)``; a service:

        >>> from dachi_fast import CallableEmbedder
        >>> def asked(texts):  # [item.embedding for item in client.embeddings.create(...).data]
        ...     return [[float(len(text)), 1.0] for text in texts]
        >>> CallableEmbedder("lengths/1", 2, asked).embed(["four"]).tolist()
        [[4.0, 1.0]]
    """

    def __init__(
        self,
        name: str,
        dimension: int,
        fn: Callable[[list[str]], Any],
        *,
        norm: Norm = "any",
        batch_size: int | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"a batch is of at least one text, not {batch_size}")
        self.name = name
        self.dimension = checked_dimension(dimension)
        self.norm: Norm = norm
        self.calibration = calibration
        self._fn = fn
        self._batch_size = batch_size

    def __repr__(self) -> str:
        return described(self)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Gives a vector for each text.

        Args:
            texts: lone surrogates in them become U+FFFD, since no service could be sent one.

        Returns:
            float32, shape `(len(texts), dimension)`, C order; of unit length if `norm` is "unit".

        Raises:
            TypeError: `texts` is one str, or an item is no str.
            EmptyText: a text is empty or white space; nothing was called.
            BadEmbedding: the function did not give as many vectors of this dimension, or gave other
                types than floats, NaN, infinity, a zero vector, or lengths other than promised.
        """
        ready = [_ready(index, text) for index, text in enumerate(listed(texts))]
        vectors = np.empty((len(ready), self.dimension), np.float32)
        step = self._batch_size or len(ready) or 1
        for start in range(0, len(ready), step):
            batch = ready[start : start + step]
            vectors[start : start + len(batch)] = self._checked(self._fn(batch), len(batch), start)
        return vectors

    def _checked(self, made: Any, count: int, start: int) -> NDArray[np.float32]:
        array = _as_array(made)
        if array.dtype.kind != "f" or array.shape != (count, self.dimension):
            raise BadEmbedding(
                "bad-embedding",
                f"{self.name} gave {array.dtype} of shape {array.shape} for {count} texts; floats "
                f"of shape ({count}, {self.dimension}) were expected",
                embedder=self.name,
            )
        # One that overflows float32 becomes infinite, and is found below.
        with np.errstate(over="ignore"):
            vectors = array.astype(np.float32)
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
        wrong = ~np.isfinite(lengths) | (lengths == 0)
        if self.norm == "unit":
            wrong |= np.abs(lengths - 1) > _UNIT_WITHIN
        if wrong.any():
            row = int(wrong.argmax())
            raise BadEmbedding(
                "bad-embedding",
                f"{self.name} gave a vector of length {lengths[row]} for text {start + row}",
                embedder=self.name,
                index=start + row,
            )
        return vectors


def _ready(index: int, text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError(f"text {index} is a {type(text).__name__}; only a str can be embedded")
    if not text.strip():
        raise EmptyText("empty-text", f"text {index} is empty; give at least one word", index=index)
    return _SURROGATE.sub("\ufffd", text)


def _as_array(made: Any) -> NDArray[Any]:
    """Gives vectors as one array; those of different lengths as one of objects."""
    if isinstance(made, Iterable) and not hasattr(made, "__array__"):
        made = list(made)
    try:
        return np.asarray(made)
    except ValueError:
        return np.asarray(None)
