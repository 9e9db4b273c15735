"""Real texts that each machine has, as vectors: lines of the standard library's documentation.

Words and pairs of words are hashed, weighed by rarity, and projected onto the directions in which
the texts vary most (latent semantic analysis). Poorer than a neural model's, but of real text:
clustered, off centre, with near-duplicates. Who has a neural model's vectors names their file in
`DACHI_FAST_VECTORS`: unit vectors, float32, shape ``(n, 384)``, as numpy writes them.
"""

from __future__ import annotations

import os
import re
import sysconfig
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

DIMENSION = 384
_FEATURES = 2048


def texts() -> list[str]:
    """Sentences and comments, in an order that mixes the modules."""
    found: dict[str, None] = {}
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py")):
        if "site-packages" in path.parts:
            continue
        source = path.read_text(errors="ignore")
        pieces = re.findall(r'"""(.*?)"""', source, re.DOTALL) + re.findall(r"# (.{20,})", source)
        for text in pieces:
            found |= dict.fromkeys(
                piece.strip() for piece in re.split(r"[.\n]\s", text) if len(piece.split()) > 3
            )
    return sorted(found, key=lambda text: crc32(text.encode()))


@cache
def embedded(n: int) -> Any:
    """Gives n unit vectors, float32, shape ``(n, 384)``."""
    if path := os.environ.get("DACHI_FAST_VECTORS"):
        kept = np.load(path, mmap_mode="r")
        assert kept.shape[1:] == (DIMENSION,), "other components"
        assert len(kept) >= n, f"only {len(kept)} vectors"
        return np.ascontiguousarray(kept[:n], np.float32)
    chosen = texts()[:n]
    assert len(chosen) == n, f"only {len(chosen)} texts"
    counts = np.zeros((n, _FEATURES), np.float32)
    for row, text in zip(counts, chosen, strict=True):
        words = re.findall(r"\w+", text.lower())
        for word in [*words, *map(" ".join, pairwise(words))]:
            row[crc32(word.encode()) % _FEATURES] += 1
    rarity = np.log(n / (1 + np.count_nonzero(counts, axis=0)))
    weighed = np.log1p(counts) * rarity.astype(np.float32)
    _, directions = np.linalg.eigh(weighed[:20_000].T @ weighed[:20_000])
    made = weighed @ directions[:, -DIMENSION:]
    made += 1e-6
    return np.ascontiguousarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)
