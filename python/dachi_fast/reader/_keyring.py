"""``keys.sealed``: every key of a store (docs/format.md, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from blake3 import blake3

from dachi_fast.errors import FormatTooNew, KeyringError, NotAStore
from dachi_fast.reader._envelope import KEY_FILE, NOBODY, Opener
from dachi_fast.reader._wire import Take, malformed

if TYPE_CHECKING:
    from pathlib import Path

    from dachi_fast.reader._keys import Key

FORMAT: Final = 1
_MAGIC: Final = b"dachi_fast keys\n"
_SALT: Final = b"dachi_fast keys under their root"


@dataclass(frozen=True)
class Keyring:
    """All keys of a store.

    Attributes:
        store: the store's id.
        generation: rises with each rewrite of the file.
        digest: BLAKE3 of the file, which the head names.
        store_key: of the store's own records.
        signing_seed: Ed25519, of the ledger's checkpoints.
        epochs: number -> key.
        namespaces: id -> keys, by the first epoch that each is for.
        created: whether the store's first commit is on disk.
    """

    store: bytes
    generation: int
    digest: bytes
    store_key: bytes
    signing_seed: bytes
    epochs: dict[int, bytes]
    namespaces: dict[bytes, dict[int, bytes]]
    created: bool

    def store_opener(self) -> Opener:
        """Gives what opens the store's own records."""
        return Opener(self.store, NOBODY, self.epochs, {0: self.store_key})

    def opener(self, namespace: bytes) -> Opener:
        """Gives what opens a namespace's records.

        Raises:
            KeyringError: its key was destroyed: it was forgotten.
        """
        keys = self.namespaces.get(namespace)
        if keys is None:
            raise KeyringError("keyring", "the key of this namespace is gone: it was forgotten")
        return Opener(self.store, namespace, self.epochs, keys)


def unlocked(path: Path, key: Key) -> Keyring:
    """Gives the keys in a file, whose root key `key` unwraps."""
    data = path.read_bytes()
    take = Take(data)
    if take.raw(16) != _MAGIC:
        raise NotAStore("not-a-store", f"{path} does not begin as a key file", path=str(path))
    check_format(take.u32())
    store, generation = take.raw(16), take.u64()
    wrapped = take.sized()
    root = key.unwrap(wrapped, b"dachi_fast root key of store " + store.hex().encode())
    place = generation.to_bytes(8, "big") + bytes(8)
    body = Take(Opener(store, NOBODY, {0: _SALT}, {0: root}).open(KEY_FILE, place, take.rest))
    store_key, signing_seed = body.raw(32), body.raw(32)
    epochs = {body.u32(): body.raw(32) for _ in range(body.count())}
    namespaces: dict[bytes, dict[int, bytes]] = {}
    for _ in range(body.count()):
        namespace, since = body.raw(16), body.u32()
        namespaces.setdefault(namespace, {})[since] = body.raw(32)
    created = body.flag()
    body.done()
    digest = blake3(data).digest()
    return Keyring(store, generation, digest, store_key, signing_seed, epochs, namespaces, created)


def check_format(number: int) -> None:
    """Refuses a format that this reader does not know."""
    if number > FORMAT:
        what = "the store is of a newer format than this reader knows; upgrade it"
        raise FormatTooNew("format-too-new", what, format=number)
    if number == 0:
        raise malformed("a record has no format")
