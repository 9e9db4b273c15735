"""What a type checker must know about embedders; read by mypy and pyright, never run."""

from __future__ import annotations

from typing import assert_type

import numpy as np
from numpy.typing import NDArray

from dachi_fast import (
    Calibration,
    CallableEmbedder,
    HashingEmbedder,
    StaticEmbedder,
    calibrate,
)
from dachi_fast.types import Embedder


def asked(texts: list[str]) -> list[list[float]]:
    """Any function will do."""
    return [[1.0] for _ in texts]


embedders: list[Embedder] = [StaticEmbedder(), HashingEmbedder(64), CallableEmbedder("a", 1, asked)]
assert_type(embedders[0].embed(("one", "two")), NDArray[np.float32])
assert_type(StaticEmbedder().calibration.probability(0.5), float)
assert_type(StaticEmbedder().calibration.probability(np.zeros(3)), NDArray[np.float64])
assert_type(calibrate(embedders[0], [["one", "two"]]), Calibration)
