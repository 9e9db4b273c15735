"""What docs/format.md says of writers, held against what the core wrote; and its vectors."""

from __future__ import annotations

import hmac
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import dachi_fast
from dachi_fast import Attr, BaseModule, Store, reader
from dachi_fast._core import codec
from dachi_fast.reader import _maps
from dachi_fast.reader._blobs import Blob, Value
from dachi_fast.reader._envelope import Opener
from dachi_fast.reader._nodes import Nodes, hash_of
from dachi_fast.reader._records import name_key
from tests.oracles import cutting

CHUNK, LEAF = 7, 3


class Agent(BaseModule):
    value: Any = Attr(default=None)


def _levels(nodes: Nodes, blob: Blob) -> list[list[list[bytes]]]:
    """Gives the hashes that the indexes of each level refer to, from the top."""
    level, levels = [blob], []
    while level[0].levels:
        groups = [above._parts(nodes) for above in level]
        levels.append([[part.digest for part in group] for group in groups])
        level = [part for group in groups for part in group]
    return levels


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
    level = [hash_of(CHUNK, piece) for piece in pieces]
    levels = _levels(nodes, kept.blob)
    for groups in reversed(levels):
        assert cutting.grouped(level) == groups
        level = [_index_hash(nodes, kept.blob, groups, at) for at in range(len(groups))]
    assert level == [kept.blob.digest]


def _index_hash(nodes: Nodes, blob: Blob, groups: list[list[bytes]], at: int) -> bytes:
    """Gives the hash of the index that refers to a group."""
    level = [blob]
    while [[part.digest for part in above._parts(nodes)] for above in level] != groups:
        level = [part for above in level for part in above._parts(nodes)]
    return level[at].digest


def _vectors() -> dict[str, str]:
    """Works the vectors of the page out, with nothing but the standard library and BLAKE3."""
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
        "varint of 300": "ac02",
        'H(CHUNK, "abc")': hash_of(CHUNK, b"abc").hex(),
        'H(LEAF, "abc")': hash_of(LEAF, b"abc").hex(),
        "PRK": prk.hex(),
        "node key": key.hex(),
        "envelope": (b"\1" + bytes([CHUNK]) + b"\1\0\0\0" + salt + sealed).hex(),
        "commitment, were there one": hmac.digest(
            prk, b"commitment" + info + b"\1", "sha256"
        ).hex(),
        'key of the name "agent" under the store key N': name_key(namespace, "agent").hex(),
        "G[0] \u2016 G[1]": "".join(gear),
    }


def test_the_vectors_of_the_page_hold() -> None:
    page = (Path(__file__).parent.parent / "docs" / "format.md").read_text()
    section = page[page.index("## 16. Vectors") :]
    listed = dict(re.findall(r"^(.+) = ([0-9a-f]+)$", section, re.MULTILINE))
    assert listed == _vectors()
    opener = Opener(b"\4" * 16, b"\5" * 16, {1: b"\1" * 32}, b"\2" * 32)
    assert opener.open(CHUNK, b"\6" * 16, bytes.fromhex(listed["envelope"])) == b"abc"
