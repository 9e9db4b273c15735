"""Checks an export of a ledger, without the package that wrote it.

    python verify_export.py EXPORT [VERIFIER_KEY]

Needs Python 3.11 and nothing else; with the package `cryptography` it checks the signature too, and
says so if it could not. VERIFIER_KEY is what `store.verifier_key` gives, had from a source that you
trust. Without it the key in the export is used, which whoever wrote the export chose.

Exit code 0: everything that it prints is proved. 1: the first line that is wrong, and why.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FORMAT = "dachi_fast ledger export 1"
HEADER = {"details", "entries", "format", "store", "verifier_key"}
ENTRY = {"detail_commitment", "operation", "prev", "seq", "timestamp"}


class Refused(Exception):
    """A line is not what it should be."""


def check(condition: object, reason: str) -> None:
    if not condition:
        raise Refused(reason)


# --- JSON as RFC 8785 writes it -------------------------------------------------------------------


def canonical(value: object) -> bytes:
    """Gives what is hashed: for texts and integers, Python's own JSON with sorted keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def parsed(line: bytes) -> dict[str, Any]:
    value = json.loads(
        line, object_pairs_hook=_no_key_twice, parse_float=_no_float, parse_constant=_no_float
    )
    check(isinstance(value, dict), "not an object")
    return dict(value)


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    check(len(members) == len(pairs), "a member stands there twice")
    return members


def _no_float(text: str) -> None:
    raise Refused(f"{text} is no integer")


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def tagged(digest: bytes) -> str:
    return f"sha256:{digest.hex()}"


# --- entries --------------------------------------------------------------------------------------


class Ledger:
    """What the entries so far come to: their chain, and the edge of their Merkle tree."""

    def __init__(self) -> None:
        self.size = 0
        self.chain = tagged(bytes(32))
        self.time = ""
        self.edge: list[bytes] = []  # roots of full subtrees, largest first
        self.proved = {"disclosed": 0, "erased": 0, "withheld": 0}

    def append(self, line: dict[str, Any], details: str) -> None:
        entry = line.get("entry")
        check(isinstance(entry, dict) and set(entry) == ENTRY, "the entry has other members")
        check(type(entry["seq"]) is int and entry["seq"] == self.size, "an entry is out of order")
        check(entry["prev"] == self.chain, "the entry does not follow the one before")
        time = entry["timestamp"]
        check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", time), "no timestamp")
        check(time >= self.time, "the entry is older than the one before")
        leaf = canonical(entry)
        check(line.get("hash") == tagged(sha256(leaf)), "the entry does not have this hash")
        self.proved[self._detail(line, entry["detail_commitment"], details)] += 1
        self.chain, self.time = line["hash"], time
        self._push(sha256(b"\0", leaf))

    @staticmethod
    def _detail(line: dict[str, Any], commitment: str, details: str) -> str:
        members = set(line) - {"entry", "hash"}
        if details == "withheld":
            check(not members, "the line has members that such an export has not")
            return "withheld"
        if line.get("detail") == "erased":
            check(members == {"detail"}, "an erased detail has a salt")
            return "erased"
        check(members == {"detail", "salt"}, "the line has other members")
        salt = line["salt"]
        check(isinstance(salt, str) and re.fullmatch("[0-9a-f]{32}", salt), "no salt of 16 bytes")
        opened = sha256(bytes.fromhex(salt), canonical(line["detail"]))
        check(commitment == tagged(opened), "the detail is not the one that was committed to")
        return "disclosed"

    def _push(self, leaf: bytes) -> None:
        """RFC 6962 section 2.1: as many merges as the size has ones at its low end."""
        size = self.size
        while size % 2:
            leaf = sha256(b"\1", self.edge.pop(), leaf)
            size //= 2
        self.edge.append(leaf)
        self.size += 1

    @property
    def root(self) -> bytes:
        if not self.edge:
            return sha256()
        *left, root = self.edge
        for hashed in reversed(left):
            root = sha256(b"\1", hashed, root)
        return root


# --- the checkpoint: C2SP tlog-checkpoint, a signed note ------------------------------------------


def check_checkpoint(note: object, header: dict[str, Any], ledger: Ledger, digest: str) -> bool:
    """Checks the last line; says whether the signature could be checked as well."""
    check(isinstance(note, str), "the checkpoint is no text")
    body, blank, signature = str(note).rpartition("\n\n")
    check(blank, "the checkpoint has no signature")
    name = f"dachi_fast/{header['store']}"
    root = base64.b64encode(ledger.root).decode()
    expected = [name, str(ledger.size), root, f"export sha256:{digest}"]
    check(len(body.split("\n")) == len(expected), "the checkpoint has other lines")
    for what, found, wanted in zip(
        ("origin", "size", "root", "digest of the lines before"),
        body.split("\n"),
        expected,
        strict=True,
    ):
        check(found == wanted, f"the checkpoint's {what} is {found}, not {wanted}")
    return is_signed(name, f"{body}\n".encode(), signature, header["verifier_key"])


def is_signed(name: str, message: bytes, line: str, verifier_key: str) -> bool:
    found = re.fullmatch(r"(.+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)", verifier_key)
    check(found and found[1] == name, "the verifier key is not this store's")
    assert found is not None
    key = unpacked(found[3])
    check(len(key) == 33 and key[0] == 1, "the verifier key is not an Ed25519 key")
    key_hash = sha256(name.encode(), b"\n", key)[:4]
    check(key_hash.hex() == found[2], "the verifier key does not have its hash")
    prefix = f"\u2014 {name} "
    check(line.startswith(prefix) and line.endswith("\n"), "the signature is not by this store")
    signature = unpacked(line.removeprefix(prefix).removesuffix("\n"))
    check(signature[:4] == key_hash, "the signature is by another key")
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature[4:], message)
    except InvalidSignature:
        raise Refused("the signature does not hold") from None
    return True


def unpacked(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    check(base64.b64encode(data).decode() == text, f"{text} is not base64 as it is written")
    return data


# --- the export -----------------------------------------------------------------------------------


def verify(lines: Iterator[tuple[int, bytes]], verifier_key: str | None) -> Iterator[str]:
    """Checks line by line; gives what it proved."""
    digest = hashlib.sha256()

    def following() -> dict[str, Any]:
        _, line = next(lines, (0, b""))
        check(line.endswith(b"\n"), "the export ends here, before it is complete")
        members = parsed(line)
        if "checkpoint" not in members:
            digest.update(line)
        return members

    header = following()
    check(set(header) == HEADER, "the header has other members")
    check(header["format"] == FORMAT, "an export of another format")
    check(re.fullmatch("[0-9a-f]{32}", header["store"]), "no id of a store")
    check(header["details"] in {"disclosed", "withheld"}, "details are disclosed or withheld")
    check(type(header["entries"]) is int and header["entries"] >= 0, "no number of entries")
    check(verifier_key in {None, header["verifier_key"]}, "the verifier key is not the one given")
    ledger = Ledger()
    for _ in range(header["entries"]):
        ledger.append(following(), header["details"])
    last = following()
    check(set(last) == {"checkpoint"}, "there are more entries than the header says")
    signed = check_checkpoint(last["checkpoint"], header, ledger, digest.hexdigest())
    check(next(lines, None) is None, "something follows the checkpoint")

    yield f"{ledger.size} entries of store {header['store']}, none changed, left out or moved"
    yield f"last entry of {ledger.time}, hash {ledger.chain}"
    yield f"root {ledger.root.hex()} (RFC 6962)"
    yield ", ".join(f"{count} details {what}" for what, count in ledger.proved.items() if count)
    if not signed:
        yield "NOT checked: the signature (install the package cryptography)"
    elif verifier_key is None:
        yield f"signed by {header['verifier_key']}, which is only as good as the export's source"
    else:
        yield f"signed by {verifier_key}"


def main(export: Path, verifier_key: str | None = None) -> int:
    at = 1

    def numbered() -> Iterator[tuple[int, bytes]]:
        nonlocal at
        for at, line in enumerate(file, 1):
            yield at, line
        at += 1

    with export.open("rb") as file:
        try:
            proved = list(verify(numbered(), verifier_key))
        except (Refused, ValueError, TypeError, RecursionError) as reason:
            print(f"{export}, line {at}: {reason}", file=sys.stderr)
            return 1
    print("\n".join(proved))
    return 0


if __name__ == "__main__":
    if len(sys.argv) not in {2, 3}:
        print(__doc__)
        sys.exit(0 if len(sys.argv) == 1 else 2)
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
