"""The model that comes with the package."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dachi_fast._core import embed as _core
from dachi_fast.embed._calibration import Calibration
from dachi_fast.embed._texts import described, listed, vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@cache
def _model() -> _core.StaticModel:
    """Gives the model, read once a process, when a first text is embedded."""
    return _core.StaticModel(Path(__file__).with_name("minilm.bin").read_bytes())


class StaticEmbedder:
    """The default embedder: by meaning, offline, without torch, some microseconds a text.

    A static model (Model2Vec) distilled from all-MiniLM-L6-v2 (Apache-2.0): the vectors of a text's
    WordPieces are added up and scaled to unit length, so the order of words does not count. For
    English; case and accents make no difference. The same text gives the same bits in every
    process, with any number of threads and on every machine. `docs/embedding.md` tells how well it
    does.

    All instances share the model, which is read (8 MB) when a first text is embedded.

    Example:
        >>> from dachi_fast import StaticEmbedder
        >>> embedder = StaticEmbedder()
        >>> task, near, far = embedder.embed(
        ...     ["Build Python REST API", "Create FastAPI microservice", "Bake a chocolate cake"]
        ... )
        >>> f"{task @ near:.2f} {task @ far:.2f}"
        '0.31 0.00'
        >>> embedder.calibration.probability(float(task @ near)) > 0.8
        True
    """

    # A store refuses to mix spaces: every change of a vector changes the name.
    name = "all-MiniLM-L6-v2/static-256-int8/1"
    dimension = 256
    norm: Literal["unit"] = "unit"
    # From tools/fit_calibration.py.
    calibration = Calibration(slope=11.4479, intercept=-1.9127)

    def __repr__(self) -> str:
        return described(self)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Gives a vector for each text.

        Args:
            texts: of any length, all of which counts. What the vocabulary lacks (rare scripts,
                symbols, lone surrogates, NUL) is left out.

        Returns:
            float32, shape `(len(texts), 256)`, C order, rows of unit length.

        Raises:
            TypeError: `texts` is one str, or an item is no str.
            EmptyText: a text has no piece that the model knows; `context["index"]` says which.

        Complexity:
            Linear in the length of the texts. A batch of more than 128 KiB uses all cores.
        """
        return vectors(_model().embed(listed(texts)), self.dimension)
