"""Envelopes: what every record is sealed in (docs/format.md, section 4)."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dachi_fast.errors import DachiError, KeyringError, Tampered, WrongContext
from dachi_fast.reader._wire import Take, malformed

if TYPE_CHECKING:
    from collections.abc import Mapping

HEAD: Final = 1
ROOT: Final = 2
LEAF: Final = 3
BRANCH: Final = 4
KEYS: Final = 5
VALUES: Final = 6
CHUNK: Final = 7
INDEX: Final = 8
LEDGER: Final = 9
KEY_FILE: Final = 10
WRAPPED: Final = 11
TILE: Final = 12
DETAIL: Final = 13
GARBAGE: Final = 20

# Their envelopes hold a commitment to the key: no hash of a parent binds what they hold.
COMMITTED: Final = frozenset({HEAD, ROOT, KEY_FILE, WRAPPED})

NOBODY: Final = bytes(16)  # in place of a namespace's id, for what is the store's own
_VERSION: Final = 1
_SALT_BYTES: Final = 24
_MOST_RAW_BYTES: Final = 64 << 20


class Opener:
    """Opens the envelopes of one namespace, or the store's own.

    Args:
        store: id of the store.
        namespace: id of the namespace; `NOBODY` for the store's own.
        epochs: number of an epoch -> its key.
        keys: the namespace's keys, or the store's, each by the first epoch that it is for.
    """

    def __init__(
        self, store: bytes, namespace: bytes, epochs: Mapping[int, bytes], keys: Mapping[int, bytes]
    ) -> None:
        self.namespace = namespace
        self._store = store
        self._prks = {}
        for number, epoch in epochs.items():
            since = max((first for first in keys if first <= number), default=None)
            if since is not None:  # else the key was destroyed by a purge
                # HKDF-Extract (RFC 5869, section 2.2).
                self._prks[number] = _mac(epoch, keys[since])

    def open(self, kind: int, node_id: bytes, sealed: bytes) -> bytes:
        """Gives the content of an envelope that must be of this kind and lie under this id.

        Raises:
            Tampered: it was edited, or belongs elsewhere.
            WrongContext: it is of another kind, or of an epoch without a key.
            KeyringError: its commitment is to another key (``wrong-key``).
            Malformed: it does not follow the format.
        """
        try:
            return self._opened(kind, node_id, sealed)
        except DachiError as error:
            error.context.update(node=node_id.hex(), kind=kind)
            raise

    def _opened(self, kind: int, node_id: bytes, sealed: bytes) -> bytes:
        take = Take(sealed)
        if take.u8() != _VERSION:
            raise malformed("an envelope of an unknown version")
        if take.u8() != kind:
            raise WrongContext("wrong-context", "an envelope of another kind")
        epoch = take.u32()
        prk = self._prks.get(epoch)
        if prk is None:
            what = "an envelope of an epoch that there is no key of"
            raise WrongContext("wrong-context", what, epoch=epoch)
        salt = take.raw(_SALT_BYTES)
        info = salt + bytes([kind])
        if kind in COMMITTED:
            commitment = _mac(prk, b"commitment" + info + b"\1")
            if not hmac.compare_digest(take.raw(32), commitment):
                raise KeyringError("wrong-key", "a record is sealed by another key")
        # HKDF-Expand of one block (RFC 5869, section 2.3).
        node_key = _mac(prk, info + b"\1")
        place = bytes([kind]) + node_id + epoch.to_bytes(4, "little")
        associated = b"dachi_fast" + bytes([_VERSION]) + self._store + self.namespace + place
        try:
            plain = AESGCM(node_key).decrypt(bytes(12), take.rest, associated)
        except InvalidTag as cause:
            raise Tampered("tampered", "a node on disk was altered or misplaced") from cause
        return _content(plain)


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _content(plain: bytes) -> bytes:
    """Takes padding and compression off."""
    take = Take(plain)
    compressed, raw_bytes, body = take.flag(), take.varint(), take.sized()
    if not compressed:
        if raw_bytes != len(body):
            raise malformed("an envelope's content is not well formed")
        return body
    try:
        declared = zstandard.frame_content_size(body)
        if raw_bytes > _MOST_RAW_BYTES or declared not in {-1, raw_bytes}:
            raise malformed("an envelope's content is not well formed")
        raw: bytes = zstandard.ZstdDecompressor().decompress(body, max_output_size=raw_bytes)
    except zstandard.ZstdError as cause:
        raise malformed("a node cannot be decompressed") from cause
    if len(raw) != raw_bytes:
        raise malformed("a node is shorter than it says")
    return raw
