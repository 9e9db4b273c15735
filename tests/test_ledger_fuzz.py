"""Proofs and checkpoints of any bytes: an error of ours, or what the store said, never another."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from dachi_fast import ConsistencyProof, InclusionProof, SignedCheckpoint
from dachi_fast.errors import Malformed, ProofError
from tests.ledgers import grow, unsynced

TORTURE: Final = bool(os.environ.get("DACHI_TORTURE"))
RUNS: Final = 1_000_000 if TORTURE else 3_000
SIZE: Final = 13
ODD: Final = (
    b"",
    b"\0",
    b"\n",
    b"\n\n",
    b"0",
    b"9" * 30,
    b"=",
    "\u2014 ".encode(),
    b"\xff",
    b"[" * 99,
)


class Genuine:
    """A store's proofs, as text."""

    def __init__(self, folder: Path) -> None:
        with unsynced(folder) as store:
            grow(store, SIZE)
            self.key = store.verifier_key
            proofs = [store.prove(index) for index in range(SIZE)]
            pairs = [(old, new) for new in (8, SIZE) for old in range(1, new + 1)]
            continued = [store.prove_consistency(*pair) for pair in pairs]
        self.inclusion = [str(proof).encode() for proof in proofs]
        self.consistency = [_text(proof).encode() for proof in continued]
        self.checkpoints = [proof.old.text.encode() for proof in continued]


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Genuine:
    return Genuine(tmp_path_factory.mktemp("ledger") / "store")


def _text(proof: ConsistencyProof) -> str:
    """Gives both checkpoints and the path in hex; the package has no form of its own."""
    return "\f".join([proof.old.text, proof.new.text, *(hashed.hex() for hashed in proof.hashes)])


def _consistency(text: str) -> ConsistencyProof:
    parts = text.split("\f")
    if len(parts) < 2:
        raise Malformed("malformed", "no two checkpoints")
    old, new, *hashes = parts
    try:
        path = tuple(map(bytes.fromhex, hashes))
    except ValueError as cause:
        raise Malformed("malformed", "no hexadecimal digits") from cause
    return ConsistencyProof(SignedCheckpoint.parse(old), SignedCheckpoint.parse(new), path)


def _mutated(draw: random.Random, corpus: list[bytes]) -> bytes:
    """Cuts, joins, repeats, inserts and flips parts of genuine texts."""
    text = draw.choice(corpus)
    for _ in range(draw.randint(1, 3)):
        at, end = sorted((draw.randrange(len(text) + 1), draw.randrange(len(text) + 1)))
        other = draw.choice(corpus)
        near = min(at + draw.randint(1, 8), len(text))
        text = draw.choice(
            [
                text[:at],
                text[:at] + other[draw.randrange(len(other)) :],
                text[:at] + text[near:],
                text[:end] + text[at:],
                text[:at] + draw.choice(ODD) + text[at:],
                text[:at] + draw.choice(ODD) + text[near:],
                text[:at] + bytes([draw.randrange(256)]) + text[at + 1 :],
            ]
        )
    return text


def _fuzz(corpus: list[bytes], ask: Callable[[str], Any]) -> Iterator[Any]:
    """Gives what is accepted of mutated texts, after it has seen that all genuine ones are."""
    for text in corpus:
        ask(text.decode())
    draw, counts = random.Random(1), Counter[str]()
    for _ in range(RUNS):
        text = _mutated(draw, corpus)
        try:
            found = ask(text.decode(errors="surrogateescape"))
        except (Malformed, ProofError):
            counts["refused"] += 1
            continue
        counts["accepted"] += 1
        yield found
    print(counts)
    assert min(counts["refused"], counts["accepted"]) > 0


def _said(checkpoint: SignedCheckpoint) -> tuple[Any, ...]:
    """Gives what is signed; others may add their signatures to a note."""
    return checkpoint.origin, checkpoint.size, checkpoint.root, checkpoint.extensions


@pytest.mark.timeout(0 if TORTURE else 30)
def test_checkpoints_of_any_bytes_are_none_or_read_back_as_they_are(genuine: Genuine) -> None:
    for found in _fuzz(genuine.checkpoints, SignedCheckpoint.parse):
        assert SignedCheckpoint.parse(str(found)) == found


@pytest.mark.timeout(0 if TORTURE else 30)
def test_no_checkpoint_of_any_bytes_says_what_was_not_signed(genuine: Genuine) -> None:
    signed = {_said(SignedCheckpoint.parse(text.decode())) for text in genuine.checkpoints}

    def ask(text: str) -> SignedCheckpoint:
        checkpoint = SignedCheckpoint.parse(text)
        checkpoint.verify(genuine.key)
        return checkpoint

    for found in _fuzz(genuine.checkpoints, ask):
        assert _said(found) in signed


@pytest.mark.timeout(0 if TORTURE else 30)
def test_no_proof_of_any_bytes_proves_an_entry_that_is_not_there(genuine: Genuine) -> None:
    def ask(text: str) -> InclusionProof:
        proof = InclusionProof.parse(text)
        proof.verify(genuine.key)
        return proof

    def said(proof: InclusionProof) -> tuple[Any, ...]:
        return proof.leaf, proof.index, proof.hashes, _said(proof.checkpoint)

    proved = {said(InclusionProof.parse(text.decode())) for text in genuine.inclusion}
    for found in _fuzz(genuine.inclusion, ask):
        assert said(found) in proved


@pytest.mark.timeout(0 if TORTURE else 30)
def test_no_proof_of_any_bytes_continues_what_it_does_not(genuine: Genuine) -> None:
    def ask(text: str) -> ConsistencyProof:
        proof = _consistency(text)
        proof.verify(genuine.key)
        return proof

    proved = {_said(SignedCheckpoint.parse(text.decode())) for text in genuine.checkpoints}
    for found in _fuzz(genuine.consistency, ask):
        assert {_said(found.old), _said(found.new)} <= proved
        assert found.old.size <= found.new.size
