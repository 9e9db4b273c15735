"""The same composed in Python from good parts.

msgpack, zstandard, AES-256-GCM, a SHA-256 chain as ledger, and LMDB, all in one transaction a save:
equal durability and encryption. It keeps versions and proves what it reads against the chain's
newest entry, which lies in the same file: no head under a key, no witness, no sharing between
versions, no diff.
"""

from __future__ import annotations

import json
import os
import struct
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import lmdb
import msgpack
import numpy as np
import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benches.compare import Durability
from benches.compare.blueprint import described, rebuilt
from benches.compare.flatten import assign, flatten
from dachi_fast import BaseModule

_ARRAY = 1
_MAP_BYTES = 1 << 40
_HEAD = b"head"
_GENESIS = "0" * 64


def _array(value: object) -> Any:
    """Header, then the items, copied once."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{type(value).__name__} cannot be saved")
    header = msgpack.packb((value.dtype.str, value.shape))
    items = np.ascontiguousarray(value).data.cast("B")
    return msgpack.ExtType(_ARRAY, b"".join((struct.pack("<I", len(header)), header, items)))


def _ext(code: int, data: bytes) -> Any:
    if code != _ARRAY:
        raise ValueError(f"an extension type {code}")
    (length,) = struct.unpack_from("<I", data)
    dtype, shape = msgpack.unpackb(data[4 : 4 + length])
    # A copy: what is over bytes could not be written to.
    return np.frombuffer(data, dtype, offset=4 + length).reshape(shape).copy()


class Keeper:
    """One LMDB environment; level is zstandard's (its own default is 3)."""

    def __init__(self, folder: Path, durability: Durability, level: int = 3) -> None:
        self.name = f"composed, zstd {level}"
        folder.mkdir(parents=True)
        self._folder, self._sync = folder, durability == "sync"
        self.open()
        self._aead = AESGCM(AESGCM.generate_key(256))
        self._compressor = zstandard.ZstdCompressor(level=level)
        self._decompressor = zstandard.ZstdDecompressor()

    def open(self) -> None:
        """Opens the environment, at first or again."""
        self._env = lmdb.open(
            str(self._folder), map_size=_MAP_BYTES, sync=self._sync, metasync=self._sync
        )

    def _content(self, agent: BaseModule) -> dict[str, Any]:
        return flatten(agent)

    def save(self, agent: BaseModule) -> None:
        """Keeps the agent's state as its next version."""
        content = msgpack.packb(self._content(agent), default=_array)
        packed = self._compressor.compress(content)
        nonce = os.urandom(12)
        sealed = nonce + self._aead.encrypt(nonce, packed, b"agent")
        digest = sha256(sealed).hexdigest()
        with self._env.begin(write=True) as txn:
            held = txn.get(_HEAD)
            head: dict[str, Any] = json.loads(held) if held else {"version": 0, "chain": _GENESIS}
            version = head["version"] + 1
            entry = {
                "seq": version,
                "operation": "store",
                "time_ns": time.time_ns(),
                "prev": head["chain"],
                "state": digest,
            }
            record = json.dumps(entry, sort_keys=True).encode()
            head = {"version": version, "chain": sha256(record).hexdigest()}
            txn.put(b"state-%d" % version, sealed)
            txn.put(b"ledger-%d" % version, record)
            txn.put(_HEAD, json.dumps(head).encode())

    def _state(self) -> dict[str, Any]:
        with self._env.begin(buffers=True) as txn:
            head = json.loads(bytes(txn.get(_HEAD)))
            record = bytes(txn.get(b"ledger-%d" % head["version"]))
            sealed = txn.get(b"state-%d" % head["version"])
            if sha256(record).hexdigest() != head["chain"]:
                raise ValueError("the ledger was edited")
            if sha256(sealed).hexdigest() != json.loads(record)["state"]:
                raise ValueError("the state was edited")
            packed = self._aead.decrypt(bytes(sealed[:12]), sealed[12:], b"agent")
        state: dict[str, Any] = msgpack.unpackb(
            self._decompressor.decompress(packed), ext_hook=_ext
        )
        return state

    def load(self, make: Callable[[], BaseModule]) -> BaseModule:
        """Gives the newest version, proved, in a tree that code built."""
        agent = make()
        assign(agent, self._state())
        return agent

    def load_into(self, agent: BaseModule) -> None:
        """Loads the newest version, proved, into a tree of the same structure."""
        assign(agent, self._state())

    def close(self) -> None:
        """Closes the environment."""
        self._env.close()


class WholeKeeper(Keeper):
    """The same with the blueprint kept beside the state: no code needs to know the tree."""

    def __init__(self, folder: Path, durability: Durability, level: int) -> None:
        super().__init__(folder, durability, level)
        self.name = f"composed with blueprint, zstd {level}"

    def _content(self, agent: BaseModule) -> dict[str, Any]:
        return {"blueprint": described(agent), "state": flatten(agent)}

    def load(self, make: Callable[[], BaseModule]) -> BaseModule:  # noqa: ARG002
        """Gives the newest version, proved, in a tree built from its blueprint."""
        kept = self._state()
        agent = rebuilt(kept["blueprint"])
        assign(agent, kept["state"])
        return agent

    def load_into(self, agent: BaseModule) -> None:
        """Loads the newest version's state, proved, into a tree of the same structure."""
        assign(agent, self._state()["state"])


def whole_level_1(folder: Path, durability: Durability) -> Keeper:
    """The level that dachi_fast uses, with the blueprint."""
    return WholeKeeper(folder, durability, 1)


def level_1(folder: Path, durability: Durability) -> Keeper:
    """The level that dachi_fast uses."""
    return Keeper(folder, durability, 1)


def level_3(folder: Path, durability: Durability) -> Keeper:
    """zstandard's default."""
    return Keeper(folder, durability, 3)
