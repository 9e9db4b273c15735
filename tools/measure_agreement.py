"""Measures how far the small models agree with all-MiniLM-L6-v2, which they stand in for.

Of 10,000 descriptions of Debian packages, 1,000 are asked for: of the ten texts that MiniLM finds
nearest, how many are among the ten that another embedder does?

    python tools/measure_agreement.py FOLDER

needs this package and those of `make_static_model.py`, the FOLDER that it filled, and the package
lists of a Debian machine (`apt-get update`).
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from model2vec import StaticModel
from transformers import AutoModel, AutoTokenizer

from dachi_fast import HashingEmbedder, StaticEmbedder

TEXTS, QUERIES, NEAREST = 10_000, 1_000, 10
SEED = 20261122


def descriptions() -> list[str]:
    """Gives distinct one-line descriptions, in an order drawn from the seed."""
    command = ["apt-cache", "dumpavail"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = (line for line in listed.splitlines() if line.startswith("Description"))
    texts = sorted({line.split(": ", 1)[-1] for line in lines if len(line.split()) >= 4})
    return random.Random(SEED).sample(texts, TEXTS)


def minilm(folder: Path) -> Callable[[list[str]], Any]:
    """Gives the transformer with the mean pooling that it was trained with."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()

    def embed(texts: list[str]) -> Any:
        found = []
        with torch.no_grad():
            for start in range(0, len(texts), 64):
                batch = texts[start : start + 64]
                tokens = tokenizer(batch, padding="longest", truncation=True, return_tensors="pt")
                mask = tokens["attention_mask"].unsqueeze(-1)
                states = model(**tokens).last_hidden_state
                found.append(((states * mask).sum(1) / mask.sum(1)).numpy())
        return np.concatenate(found)

    return embed


def nearest(embed: Callable[[list[str]], Any], texts: list[str]) -> Iterator[set[int]]:
    """Gives the numbers of the texts nearest to each that is asked for, without itself."""
    vectors = np.asarray(embed(texts), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = vectors[:QUERIES] @ vectors.T
    likeness[np.arange(QUERIES), np.arange(QUERIES)] = -np.inf
    for row in likeness:
        yield set(np.argsort(-row, kind="stable")[:NEAREST].tolist())


def main() -> None:
    """Prints a line an embedder."""
    folder, texts = Path(sys.argv[1]), descriptions()
    model2vec = StaticModel.from_pretrained(folder / "model2vec", force_download=False)
    oracle = list(nearest(minilm(folder / "all-MiniLM-L6-v2"), texts))
    embedders: dict[str, Callable[[list[str]], Any]] = {
        "StaticEmbedder": StaticEmbedder().embed,
        "model2vec, float32": model2vec.encode,
        **{f"HashingEmbedder({d})": HashingEmbedder(d).embed for d in (256, 512, 4096)},
    }
    for name, embed in embedders.items():
        found = zip(oracle, nearest(embed, texts), strict=True)
        agreed = np.array([len(one & other) / NEAREST for one, other in found])
        print(f"{name:24} {agreed.mean():.3f}")


if __name__ == "__main__":
    main()
