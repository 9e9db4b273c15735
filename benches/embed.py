"""Embed short texts of real documentation, in one thread, and one text by itself."""

from __future__ import annotations

import ast
import re
import sysconfig
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benches._rows import describe, figure
from benches.compare import model2vec
from dachi_fast import HashingEmbedder, StaticEmbedder

_TEXTS, _WORDS = 10_000, 12
_BATCH = 500  # small enough for one thread
_GOAL = 50_000  # texts a second
_EMBEDDERS: dict[str, Callable[[], Any]] = {
    "dachi_fast": StaticEmbedder,
    "model2vec": model2vec.Embedder,
    "dachi_fast, hashing": HashingEmbedder,
}


@cache
def _texts() -> list[str]:
    """Sentences of at most twelve words from the standard library, as often as needed."""
    found = set()
    for path in Path(sysconfig.get_path("stdlib")).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                parts = re.split(r"(?<=[.!?])\s+|\n\s*\n", ast.get_docstring(node) or "")
                found |= {" ".join(part.split()) for part in parts}
    short = sorted(text for text in found if 3 <= len(re.findall(r"\w+", text)) <= _WORDS)
    return (short * (_TEXTS // len(short) + 1))[:_TEXTS]


@pytest.mark.parametrize("who", _EMBEDDERS)
def bench_batches(benchmark: Any, who: str) -> None:
    """Ten thousand texts, five hundred a call."""
    describe(
        benchmark,
        workload=f"embed {_TEXTS:,} texts of 3 to {_WORDS} words, {_BATCH} a call",
        who=who,
        base=who == "dachi_fast",
        at_most_ms=_TEXTS / _GOAL * 1e3 if who == "dachi_fast" else None,
    )
    embedder, texts = _EMBEDDERS[who](), _texts()

    def embed() -> list[Any]:
        return [embedder.embed(texts[at : at + _BATCH]) for at in range(0, _TEXTS, _BATCH)]

    found = np.concatenate(benchmark.pedantic(embed, rounds=10, warmup_rounds=1))
    assert found.shape[0] == _TEXTS
    if who == "model2vec":
        cosines = np.sum(found * StaticEmbedder().embed(texts), axis=1)
        lowest = float(cosines.min())
        figure(benchmark, "lowest cosine between its vectors and ours", lowest, at_least=0.99)


@pytest.mark.parametrize("who", _EMBEDDERS)
def bench_one(benchmark: Any, who: str) -> None:
    """One text a call, as a query is."""
    describe(benchmark, workload="embed one text", who=who, base=who == "dachi_fast")
    embedder = _EMBEDDERS[who]()
    found = benchmark.pedantic(
        embedder.embed, args=(["fix login bug in web form"],), rounds=2000, warmup_rounds=100
    )
    assert found.shape[0] == 1
