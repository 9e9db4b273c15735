"""model2vec with our own model: the same pieces and, from int8, the same vectors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from model2vec import StaticModel
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from dachi_fast.embed import _static


class Embedder:
    """`StaticModel.encode`, its tokenizer in one thread, as ours in small batches."""

    name = "model2vec"

    def __init__(self) -> None:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        pieces, vectors = _read(Path(_static.__file__).with_name("minilm.bin").read_bytes())
        numbers = {piece: number for number, piece in enumerate(pieces)}
        tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        self._model = StaticModel(vectors, tokenizer, normalize=True)

    def embed(self, texts: list[str]) -> Any:
        """Gives a vector for each text."""
        return self._model.encode(texts, max_length=None, use_multiprocessing=False)


def _read(data: bytes) -> tuple[list[str], Any]:
    """Gives pieces and vectors; `rust/src/embed/model.rs` has the layout."""
    at = 16

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def text() -> str:
        nonlocal at
        size = varint()
        at += size
        return data[at - size : at].decode()

    dimension, count = varint(), varint()
    for _ in range(varint()):
        varint(), varint(), text()
    pieces = [text() for _ in range(count)]
    scales = np.frombuffer(data, "<f4", count, at)
    rows = np.frombuffer(data, np.int8, count * dimension, at + scales.nbytes)
    return pieces, rows.reshape(count, dimension) * scales[:, None]
