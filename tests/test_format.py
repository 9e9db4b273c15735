"""What docs/format.md says of writers, held against what the core wrote; and its vectors."""

from __future__ import annotations

import hmac
import random
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import dachi_fast
from dachi_fast import Attr, BaseModule, Store, reader
from dachi_fast._core import codec
from dachi_fast.reader import _maps
from dachi_fast.reader._blobs import Value
from dachi_fast.reader._envelope import Opener
from dachi_fast.reader._nodes import Nodes
from tests.oracles import cutting

LEAF, CHUNK, INDEX = 3, 7, 8


class Agent(BaseModule):
    value: Any = Attr(default=None)


def _varint(number: int) -> bytes:
    """LEB128, as section 1 has it."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _hash(kind: int, content: bytes) -> bytes:
    """H of section 6."""
    key = b"dachi_fast hash of a node, kind" + bytes([kind])
    return bytes(blake3(content, key=key).digest())


def _blob_hash(pieces: list[bytes]) -> bytes:
    """The hash of a blob of these pieces, by the rules of section 8."""
    level = [(len(piece), _hash(CHUNK, piece)) for piece in pieces]
    while len(level) > 1:
        above, at = [], 0
        for group in cutting.grouped([digest for _, digest in level]):
            refs = level[at : at + len(group)]
            at += len(group)
            content = _varint(len(refs)) + b"".join(_varint(size) + hashed for size, hashed in refs)
            above.append((sum(size for size, _ in refs), _hash(INDEX, content)))
        level = above
    [(_, digest)] = level
    return digest


def _words(length: int, seed: int) -> str:
    chance = random.Random(seed)
    return " ".join(f"{chance.getrandbits(16):x}" for _ in range(length // 5))[:length]


@pytest.mark.parametrize(
    "value",
    [
        _words(509, 1),
        _words(510, 2),
        _words(16_384, 3),
        _words(16_381, 4),
        _words(16_382, 5),
        _words(30_000, 6),
        "a" * 200_000,
        _words(900_000, 7),
        np.zeros(4_095, np.uint8),
        np.arange(4_096, dtype=np.uint8),
        np.random.default_rng(8).bytes(40_000),
        np.random.default_rng(9).standard_normal(150_000),
        np.zeros(100_000),  # equal pieces, so that no index ends before it is full
        [np.arange(5_000.0), "in a container"],
    ],
    ids=lambda value: f"{type(value).__name__} {len(value)}",
)
def test_values_are_cut_as_the_page_says(value: Any, tmp_path: Path) -> None:
    agent = Agent()
    agent.value = value
    with Store.open(
        tmp_path / "store", keys=dachi_fast.KeyFile(tmp_path / "key"), witness=None
    ) as store:
        store.save(agent, "agent")
    with reader.StoreReader(tmp_path / "store", key=reader.KeyFile(tmp_path / "key")) as store:
        nodes, root = store._branch("agent").nodes, store.version("agent").state
        [(_, kept)] = _maps.entries(nodes, root)
        _check(nodes, kept, codec.encode(value), is_array=isinstance(value, np.ndarray))


def _check(nodes: Nodes, kept: Value, encoded: bytes, *, is_array: bool) -> None:
    assert kept.read(nodes) == encoded
    items = len(encoded) - len(kept.inline)
    if is_array and items >= 4_096:
        pieces = cutting.fixed(encoded[-items:])
    elif len(encoded) > 512:
        head = 64 if len(encoded) > 16_384 else 0
        assert kept.inline == encoded[:head]
        pieces = cutting.by_content(encoded[head:])
    else:
        assert kept.blob is None
        return
    assert kept.blob is not None
    # It covers every piece, every index and where each ends.
    assert kept.blob.digest == _blob_hash(pieces)


def _vectors() -> dict[str, str]:
    """Works the vectors of the page out; nothing here was written for the core or the reader."""
    epoch, namespace, salt = b"\1" * 32, b"\2" * 32, b"\3" * 24
    prk = hmac.digest(epoch, namespace, "sha256")
    info = salt + bytes([CHUNK])
    key = hmac.digest(prk, info + b"\1", "sha256")
    associated = (
        b"dachi_fast\1" + b"\4" * 16 + b"\5" * 16 + bytes([CHUNK]) + b"\6" * 16 + b"\1\0\0\0"
    )
    plain = b"\0\3\3abc".ljust(64, b"\0")
    sealed = AESGCM(key).encrypt(bytes(12), plain, associated)
    gear = [number.to_bytes(8, "big").hex() for number in cutting.GEAR[:2]]
    return {
        "varint of 300": _varint(300).hex(),
        'H(CHUNK, "abc")': _hash(CHUNK, b"abc").hex(),
        'H(LEAF, "abc")': _hash(LEAF, b"abc").hex(),
        "PRK": prk.hex(),
        "node key": key.hex(),
        "envelope": (b"\1" + bytes([CHUNK]) + b"\1\0\0\0" + salt + sealed).hex(),
        "commitment, were there one": hmac.digest(
            prk, b"commitment" + info + b"\1", "sha256"
        ).hex(),
        'key of the name "agent" under the store key N': (
            b"n" + hmac.digest(namespace, b"nameagent", "sha256")
        ).hex(),
        "G[0] \u2016 G[1]": "".join(gear),
        "record of the vector (3, 4), visibility 1, expires 5": struct.pack(
            "<BQ2e", 1, 5, 3 / 5, 4 / 5
        ).hex(),
        'key of its part 0 in the space "tasks", document `07`\u00d716': (
            b"wtasks\0" + b"\7" * 16 + b"\0"
        ).hex(),
    }


def test_the_vectors_of_the_page_hold() -> None:
    page = (Path(__file__).parent.parent / "docs" / "format.md").read_text()
    section = page[page.index("## 16. Vectors") :]
    listed = dict(re.findall(r"^(.+) = ([0-9a-f]+)$", section, re.MULTILINE))
    assert listed == _vectors()
    opener = Opener(b"\4" * 16, b"\5" * 16, {1: b"\1" * 32}, {0: b"\2" * 32})
    assert opener.open(CHUNK, b"\6" * 16, bytes.fromhex(listed["envelope"])) == b"abc"
