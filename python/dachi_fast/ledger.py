"""Checking what a ledger says of itself, with nothing but its verifier key.

A ledger is a Merkle tree of entries (RFC 6962). A *checkpoint* is its size and root, signed: the
form is C2SP tlog-checkpoint, a signed note. A *proof* leads from an entry, or from an older
checkpoint, to a checkpoint. None of it needs the store or its keys.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Final, Self

from dachi_fast._core import ledger as _core_ledger
from dachi_fast.errors import Malformed, ProofError

_ED25519: Final = b"\x01"  # signature type of C2SP signed-note
_PROOF: Final = "c2sp.org/tlog-proof@v1"
# An entry has six members of at most 71 characters and their names: some 400 in all.
_MOST_LEAF: Final = 4096


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """Size and root of a ledger, signed.

    Attributes:
        text: the signed note, as C2SP tlog-checkpoint writes it.
        origin: whose ledger it is.
        size: how many entries.
        root: the RFC 6962 root of these, 32 bytes.
        extensions: further lines, signed with it.
    """

    text: str
    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads a checkpoint; nothing of it is proved before `verify`.

        Raises:
            Malformed: it is no checkpoint.
        """
        body, blank, _ = text.rpartition("\n\n")
        lines = body.split("\n")
        if not blank or len(lines) < 3 or not all(lines) or not lines[1].isascii():
            raise Malformed("malformed", "a checkpoint is origin, size and root, then signatures")
        return cls(text, lines[0], _decimal(lines[1]), _hash(lines[2]), tuple(lines[3:]))

    def verify(self, verifier_key: str) -> None:
        """Checks the signature, and that the fields are what was signed.

        Args:
            verifier_key: of the store, from a place that you trust: `Store.verifier_key`.

        Raises:
            ProofError: not signed by that key, or not in this form.
            Malformed: the key or the text is none.
        """
        if SignedCheckpoint.parse(self.text) != self:
            raise ProofError("proof", "the checkpoint's fields are not those of its text")
        name, hashed, public_key = _verifier(verifier_key)
        if not _is_signed(self.text, name, hashed, public_key):
            raise ProofError("proof", f"the checkpoint is not signed by {name}", origin=self.origin)
        if self.origin != name:
            raise ProofError("proof", f"the checkpoint is of {self.origin!r}, not of {name!r}")

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That an entry is in a ledger.

    Attributes:
        leaf: the entry as it is hashed, canonical JSON.
        index: its number, from 0.
        hashes: the path from it to the root (RFC 6962 section 2.1.1), 32 bytes each.
        checkpoint: of the ledger that holds it.

    Example:
        >>> from dachi_fast import InclusionProof, KeyFile, Store
        >>> with Store.open("prove.store", keys=KeyFile("prove.key")) as store:
        ...     key, text = store.verifier_key, str(store.prove(0))
        >>> proof = InclusionProof.parse(text)
        >>> proof.verify(key)
        >>> proof.index, proof.size
        (0, 1)
    """

    leaf: str
    index: int
    hashes: tuple[bytes, ...]
    checkpoint: SignedCheckpoint

    @property
    def size(self) -> int:
        """How many entries the ledger had."""
        return self.checkpoint.size

    @property
    def root(self) -> bytes:
        """The root of its tree."""
        return self.checkpoint.root

    def verify(self, verifier_key: str) -> None:
        """Checks that the entry is in the ledger that the key's owner signed.

        Args:
            verifier_key: of the store, from a place that you trust: `Store.verifier_key`.

        Raises:
            ProofError: it is not, or the proof was changed.
            Malformed: the proof or the key is none.
        """
        self.checkpoint.verify(verifier_key)
        # Nothing of the entry is read before it is known to be the ledger's.
        leaf = hashlib.sha256(b"\0" + _utf8(self.leaf)).digest()
        if _root_above(self.index, self.size, leaf, self.hashes) != self.root:
            raise ProofError("proof", "the path does not lead to the root", index=self.index)
        if _seq(self.leaf) != self.index:
            raise ProofError("proof", "the entry does not have the number that the proof names")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads what `str` of a proof gives; nothing of it is proved before `verify`.

        Raises:
            Malformed: it is no proof.
        """
        head, blank, checkpoint = text.partition("\n\n")
        lines = head.split("\n")
        if not blank or len(lines) < 3 or lines[0] != _PROOF:
            raise Malformed("malformed", "a proof of inclusion begins with its format's name")
        leaf = _base64(_after("extra ", lines[1])).decode(errors="replace")
        index = _decimal(_after("index ", lines[2]))
        return cls(leaf, index, tuple(map(_hash, lines[3:])), SignedCheckpoint.parse(checkpoint))

    def __str__(self) -> str:
        """Gives it in the form of C2SP tlog-proof, with the entry as extra data."""
        lines = [_PROOF, f"extra {encoded(self.leaf.encode())}", f"index {self.index}"]
        return "\n".join([*lines, *map(encoded, self.hashes), "", self.checkpoint.text])


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """That a ledger continues what it was before: nothing was changed or taken out since.

    Attributes:
        old: its checkpoint then.
        new: its checkpoint now.
        hashes: RFC 6962 section 2.1.2, 32 bytes each.
    """

    old: SignedCheckpoint
    new: SignedCheckpoint
    hashes: tuple[bytes, ...]

    def verify(self, verifier_key: str) -> None:
        """Checks that the one continues the other, and that the key's owner signed both.

        Args:
            verifier_key: of the store, from a place that you trust: `Store.verifier_key`.

        Raises:
            ProofError: it does not, or the proof was changed.
            Malformed: a checkpoint or the key is none.
        """
        self.old.verify(verifier_key)
        self.new.verify(verifier_key)
        if not _continues(self.old, self.new, self.hashes):
            raise ProofError(
                "proof",
                f"the ledger of {self.new.size} entries does not continue that of {self.old.size}",
            )


def encoded(data: bytes) -> str:
    """Gives the base64 of notes (RFC 4648 section 4)."""
    return base64.b64encode(data).decode()


def key_hash(name: str, public_key: bytes) -> bytes:
    """Gives the four bytes that tell a name's Ed25519 keys apart (C2SP signed-note)."""
    return hashlib.sha256(_utf8(name) + b"\n" + _ED25519 + public_key).digest()[:4]


def verifier_key(name: str, public_key: bytes) -> str:
    """Gives the text that a note's signature is checked with (C2SP signed-note)."""
    return f"{name}+{key_hash(name, public_key).hex()}+{encoded(_ED25519 + public_key)}"


def _verifier(text: str) -> tuple[str, bytes, bytes]:
    """Gives name, key hash and public key of a verifier key."""
    name, _, rest = text.partition("+")
    hashed, _, key = rest.partition("+")
    public_key = _base64(key)[1:]
    if not name or len(public_key) != 32 or text != verifier_key(name, public_key):
        raise Malformed("malformed", f"{text[:80]!r} is no verifier key of an Ed25519 key")
    return name, bytes.fromhex(hashed), public_key


def _is_signed(note: str, name: str, hashed: bytes, public_key: bytes) -> bool:
    body, _, signatures = note.rpartition("\n\n")
    *lines, end = signatures.split("\n")
    own = [line for line in lines if line.startswith(f"\u2014 {name} ")]
    if end or len(lines) != sum(line.startswith("\u2014 ") for line in lines):
        return False
    found = [_base64(line.rpartition(" ")[2]) for line in own]
    message = _utf8(f"{body}\n")
    return any(
        _core_ledger.is_signed(public_key, message, signature[4:])
        for signature in found
        if signature[:4] == hashed
    )


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as cause:
        raise Malformed("malformed", f"{text[:80]!r} is no text that UTF-8 can write") from cause


def _base64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as cause:
        raise Malformed("malformed", f"{text[:80]!r} is not base64") from cause
    if encoded(data) != text:
        raise Malformed("malformed", f"{text[:80]!r} is not base64 as it is written here")
    return data


def _hash(text: str) -> bytes:
    data = _base64(text)
    if len(data) != 32:
        raise Malformed("malformed", f"{text[:80]!r} is not the base64 of 32 bytes")
    return data


def _decimal(text: str) -> int:
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", text):
        raise Malformed("malformed", f"{text[:80]!r} is no number as it is written here")
    return int(text)


def _after(name: str, line: str) -> str:
    if not line.startswith(name):
        raise Malformed("malformed", f"a proof of inclusion has no line {name.strip()!r}")
    return line.removeprefix(name)


def _seq(leaf: str) -> object:
    """Gives the number that an entry says it has; None where it is no entry."""
    if len(leaf) > _MOST_LEAF:
        return None
    try:
        entry = json.loads(leaf)
    except (ValueError, RecursionError):
        return None
    return entry.get("seq") if isinstance(entry, dict) else None


def _above(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def _root_above(index: int, size: int, leaf: bytes, hashes: tuple[bytes, ...]) -> bytes | None:
    """RFC 9162 section 2.1.3.2: gives the root, None where the path has a wrong length."""
    if not 0 <= index < size:
        return None
    at, last, root = index, size - 1, leaf
    for hashed in hashes:
        if last == 0:
            return None
        if at % 2 or at == last:
            root = _above(hashed, root)
            while at and not at % 2:
                at, last = at // 2, last // 2
        else:
            root = _above(root, hashed)
        at, last = at // 2, last // 2
    return root if last == 0 else None


def _continues(old: SignedCheckpoint, new: SignedCheckpoint, hashes: tuple[bytes, ...]) -> bool:
    """RFC 9162 section 2.1.4.2; the empty ledger is continued by every other."""
    if old.size == 0:
        return not hashes and old.root == hashlib.sha256(b"").digest()
    if old.size >= new.size:
        return not hashes and (old.size, old.root) == (new.size, new.root)
    # The root of a full subtree is not repeated in the path.
    path = list(hashes) if old.size & (old.size - 1) else [old.root, *hashes]
    at, last = old.size - 1, new.size - 1
    while at % 2:
        at, last = at // 2, last // 2
    if not path:
        return False
    before = after = path[0]
    for hashed in path[1:]:
        if last == 0:
            return False
        if at % 2 or at == last:
            before, after = _above(hashed, before), _above(hashed, after)
            while at and not at % 2:
                at, last = at // 2, last // 2
        else:
            after = _above(after, hashed)
        at, last = at // 2, last // 2
    return last == 0 and (before, after) == (old.root, new.root)
