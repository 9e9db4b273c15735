"""Proofs: equal to RFC 6962 word for word, checked without the store, refused once changed."""

from __future__ import annotations

import base64
import dataclasses
import json
import random
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dachi_fast import (
    ConsistencyProof,
    FileWitness,
    InclusionProof,
    KeyFile,
    SignedCheckpoint,
    Store,
)
from dachi_fast import ledger as ledgers_of_the_package
from dachi_fast.errors import IntegrityError, Malformed, ProofError, UnknownEntry
from tests.ledgers import consistency, grow, leaf_hash, path, root, unsynced

VECTORS = Path(__file__).parent / "vectors" / "ledger"
SIZES = 300  # more than one tile of 256


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with unsynced(tmp_path / "store") as store:
        yield store


def _leaves(store: Store) -> list[bytes]:
    return [
        leaf_hash(store.prove(seq).leaf.encode()) for seq in range(store.checkpoint().size)
    ]  # fmt: skip


# --- against the definition -----------------------------------------------------------------------


def test_the_proofs_of_every_size_are_those_of_the_definition(store: Store) -> None:
    rng = random.Random(6962)
    leaves: list[bytes] = []
    for size in range(1, SIZES + 1):
        grow(store, size)
        for index in (size - 1, rng.randrange(size)):
            proof = store.prove(index)
            if len(leaves) < size:
                leaves.append(leaf_hash(proof.leaf.encode()))
            assert (proof.index, proof.size, proof.root) == (index, size, root(leaves))
            assert list(proof.hashes) == path(index, leaves)
            proof.verify(store.verifier_key)


def test_the_consistency_of_every_size_is_that_of_the_definition(store: Store) -> None:
    rng = random.Random(2)
    grow(store, SIZES)
    leaves = _leaves(store)
    for new in range(SIZES + 1):
        for old in {0, new, rng.randint(0, new), rng.randint(0, new)}:
            proof = store.prove_consistency(old, new)
            assert (proof.old.size, proof.new.size) == (old, new)
            assert (proof.old.root, proof.new.root) == (root(leaves[:old]), root(leaves[:new]))
            assert list(proof.hashes) == consistency(old, leaves[:new])
            proof.verify(store.verifier_key)


def test_the_known_answers_of_certificate_transparency_hold() -> None:
    known = json.loads((VECTORS / "rfc6962.json").read_text())
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in known["leaves"]]
    roots = [bytes.fromhex(hashed) for hashed in known["roots"]]
    assert [root(leaves[:size]) for size in range(9)] == roots
    for vector in known["inclusion"]:
        hashes = tuple(map(bytes.fromhex, vector["hashes"]))
        index, size = vector["index"], vector["size"]
        found = ledgers_of_the_package._root_above(index, size, leaves[index], hashes)
        assert found == roots[size]
        assert path(index, leaves[:size]) == list(hashes)
    for vector in known["consistency"]:
        hashes = tuple(map(bytes.fromhex, vector["hashes"]))
        old, new = (
            SignedCheckpoint("", "", vector[at], roots[vector[at]]) for at in ("old", "new")
        )
        assert ledgers_of_the_package._continues(old, new, hashes)
        assert consistency(old.size, leaves[: new.size]) == list(hashes)


# --- checkpoints ----------------------------------------------------------------------------------


def test_notes_are_signed_as_others_sign_them() -> None:
    known = json.loads((VECTORS / "notes.json").read_text())["signed"]
    verifier = ledgers_of_the_package._verifier(known["verifier_key"])
    assert ledgers_of_the_package._is_signed(known["text"], *verifier)
    assert not ledgers_of_the_package._is_signed("x" + known["text"], *verifier)


def test_checkpoints_have_the_form_that_others_give_them(store: Store) -> None:
    known = json.loads((VECTORS / "notes.json").read_text())["checkpoint"]
    other = SignedCheckpoint.parse(known["text"])
    assert (other.origin, other.size) == (known["origin"], known["size"])
    assert other.root.hex() == known["root"]
    own = store.checkpoint()
    name = f"dachi_fast/{store._core.store_id.hex()}"
    root64 = base64.b64encode(own.root).decode()
    assert own.text.startswith(f"{name}\n1\n{root64}\n\n\u2014 {name} ")
    assert SignedCheckpoint.parse(own.text) == own


def test_a_checkpoint_is_the_same_whenever_it_is_signed(store: Store) -> None:
    before = store.checkpoint()
    grow(store, 7)
    assert store.prove_consistency(1).old == before
    assert store.prove_consistency(1).new == store.checkpoint()


def test_the_verifier_key_stays_when_the_store_is_opened_again(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "key")
    with Store.open(tmp_path / "store", keys=keys) as store:
        key, checkpoint = store.verifier_key, store.checkpoint()
    with Store.open(tmp_path / "store", keys=keys) as store:
        assert store.verifier_key == key
    checkpoint.verify(key)


def test_closing_leaves_a_checkpoint_beside_the_witness(tmp_path: Path) -> None:
    witness = FileWitness(tmp_path / "seen")
    with Store.open(tmp_path / "store", keys=KeyFile(tmp_path / "key"), witness=witness) as store:
        expected, key = store.checkpoint(), store.verifier_key
        name = f"{store._core.store_id.hex()}.checkpoint"
    kept = SignedCheckpoint.parse((tmp_path / "seen" / name).read_text())
    assert kept == expected
    kept.verify(key)
    assert not list((tmp_path / "seen").glob("*.part"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n5\n",
        "origin\n5\nAAAA\n\n\u2014 origin AAAA\n",
        "origin\n05\n" + "A" * 43 + "=\n\n\u2014 origin AAAA\n",
        "origin\n" + "9" * 5000 + "\n" + "A" * 43 + "=\n\n\u2014 origin AAAA\n",
        "origin\n5\n" + "A" * 42 + "B=\n\n\u2014 origin AAAA\n",
    ],
)
def test_what_is_no_checkpoint_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        SignedCheckpoint.parse(text)


def test_the_key_of_another_store_opens_nothing(store: Store, tmp_path: Path) -> None:
    grow(store, 3)
    with unsynced(tmp_path / "other") as other:
        for proof in (store.prove(1), store.prove_consistency(2), store.checkpoint()):
            with pytest.raises(ProofError):
                proof.verify(other.verifier_key)
            with pytest.raises(Malformed):
                proof.verify(store.verifier_key[:-1])


# --- changed proofs -------------------------------------------------------------------------------


def _refused(parse: Any, text: bytes, key: str) -> None:
    """Bytes that are no UTF-8 come as somebody's lenient reading of a file gives them."""
    with pytest.raises((Malformed, ProofError)):
        parse(text.decode(errors="surrogateescape")).verify(key)


def test_a_proof_with_any_byte_changed_is_refused(store: Store) -> None:
    grow(store, 11)
    key = store.verifier_key
    for proof in (store.prove(10), store.prove(3)):
        text = str(proof).encode()
        assert InclusionProof.parse(text.decode()) == proof
        for at in range(len(text)):
            for other in {text[at] ^ 1, text[at] ^ 0x80, 0, ord("\n")} - {text[at]}:
                _refused(InclusionProof.parse, text[:at] + bytes([other]) + text[at + 1 :], key)
        for at in range(len(text)):
            _refused(InclusionProof.parse, text[:at], key)


@pytest.mark.parametrize("leaf", ["[" * 1_000_000, '{"seq": 0}' + " " * 10_000])
def test_an_entry_is_not_read_before_it_is_known_to_be_the_ledgers(store: Store, leaf: str) -> None:
    """Symptom: a RecursionError out of `verify`. Cause: the entry was parsed before anything of it
    was proved. Fix: it is parsed afterwards, and only if it is as small as entries are."""
    proof = dataclasses.replace(store.prove(0), leaf=leaf)
    with pytest.raises(ProofError, match="does not lead to the root"):
        InclusionProof.parse(str(proof)).verify(store.verifier_key)
    assert ledgers_of_the_package._seq(leaf) is None


def test_text_that_utf_8_cannot_write_is_malformed(store: Store) -> None:
    """Symptom: a UnicodeEncodeError. Cause: halves of surrogate pairs. Fix: no proof has any."""
    key, proof = store.verifier_key, store.prove(0)
    with pytest.raises(Malformed):
        dataclasses.replace(proof, leaf="\ud800").verify(key)
    with pytest.raises(Malformed):
        proof.verify("\ud800" + key)
    text = proof.checkpoint.text.replace("\n\n", "\n\ud800\n\n")
    with pytest.raises(Malformed):
        SignedCheckpoint.parse(text).verify(key)


def test_a_consistency_proof_with_any_byte_changed_is_refused(store: Store) -> None:
    grow(store, 13)
    key = store.verifier_key
    proof = store.prove_consistency(6, 11)
    for side in ("old", "new"):
        text = getattr(proof, side).text.encode()
        for at in range(len(text)):
            edits = {text[at] ^ 1, text[at] ^ 0x80, 0, ord("\n")} - {text[at]}

            def parse(text: str, side: str = side) -> ConsistencyProof:
                changed: dict[str, Any] = {side: SignedCheckpoint.parse(text)}
                return dataclasses.replace(proof, **changed)

            for other in edits:
                _refused(parse, text[:at] + bytes([other]) + text[at + 1 :], key)
    for at, hashed in enumerate(proof.hashes):
        for byte in range(32):
            edited = hashed[:byte] + bytes([hashed[byte] ^ 1]) + hashed[byte + 1 :]
            hashes = (*proof.hashes[:at], edited, *proof.hashes[at + 1 :])
            with pytest.raises(ProofError):
                dataclasses.replace(proof, hashes=hashes).verify(key)
    for hashes in (proof.hashes[1:], proof.hashes[:-1], (*proof.hashes, proof.new.root), ()):
        with pytest.raises(ProofError):
            dataclasses.replace(proof, hashes=hashes).verify(key)
    with pytest.raises(ProofError):
        dataclasses.replace(proof, old=proof.new, new=proof.old).verify(key)


def test_a_ledger_that_went_two_ways_does_not_continue_its_twin(tmp_path: Path) -> None:
    with unsynced(tmp_path / "store") as store:
        grow(store, 5)
    shutil.copytree(tmp_path / "store", tmp_path / "twin")
    with unsynced(tmp_path / "twin") as twin:
        grow(twin, 9)
        other = twin.checkpoint()
    with unsynced(tmp_path / "store") as store:
        grow(store, 13)
        key, proof = store.verifier_key, store.prove_consistency(9)
    proof.verify(key)
    other.verify(key)  # signed by the same key, and of the same size
    assert other.size == proof.old.size
    with pytest.raises(ProofError, match="does not continue"):
        dataclasses.replace(proof, old=other).verify(key)


def test_fields_that_are_not_those_of_the_signed_text_are_refused(store: Store) -> None:
    grow(store, 4)
    proof = store.prove(2)
    changes: tuple[dict[str, Any], ...] = (
        {"size": 5},
        {"root": bytes(32)},
        {"origin": "dachi_fast/other"},
        {"extensions": ("more",)},
    )
    for change in changes:
        checkpoint = dataclasses.replace(proof.checkpoint, **change)
        with pytest.raises(ProofError):
            dataclasses.replace(proof, checkpoint=checkpoint).verify(store.verifier_key)


# --- limits and damage ----------------------------------------------------------------------------


def test_what_the_ledger_never_had_cannot_be_proved(store: Store) -> None:
    grow(store, 3)
    for seq in (-1, 3, 2**64, 10**30):
        with pytest.raises(UnknownEntry):
            store.prove(seq)
    for sizes in ((4,), (-1,), (2, 1), (0, 4), (2**70, 2**71)):
        with pytest.raises(UnknownEntry):
            store.prove_consistency(*sizes)


def test_a_tile_that_was_edited_swapped_or_taken_out_is_found(tmp_path: Path) -> None:
    lmdb: Any = pytest.importorskip("lmdb", reason="the attacker edits the file with lmdb")
    folder = tmp_path / "store"
    with unsynced(folder) as store:
        grow(store, 520)
        assert store.verify().unused_nodes == 0
    with lmdb.open(str(folder), max_dbs=4) as env, env.begin(db=env.open_db(b"log")) as txn:
        nodes = {bytes(key): bytes(value) for key, value in txn.cursor()}
    # Two of level 0; of level 1 the one with a single hash and the one with two.
    names = [(0, 256, 0), (0, 256, 1), (1, 1, 0), (1, 2, 0)]
    keys = [b"\xff" * 4 + b"\xfe" + struct.pack(">BHQ", *name) for name in names]
    assert [key for key in sorted(nodes) if key.startswith(keys[0][:5])] == keys
    first, second = nodes[keys[0]], nodes[keys[1]]
    flipped = first[:200] + bytes([first[200] ^ 1]) + first[201:]
    for edited in (flipped, second, None):
        with lmdb.open(str(folder), max_dbs=4) as env:
            database = env.open_db(b"log")
            with env.begin(db=database, write=True) as txn:
                txn.delete(keys[0])
                if edited is not None:
                    txn.put(keys[0], edited)
        with unsynced(folder) as store:
            with pytest.raises(IntegrityError):
                store.verify()
            with pytest.raises(IntegrityError):
                store.prove(7)
            with pytest.raises(IntegrityError):
                store.prove_consistency(100)
            store.prove(300).verify(store.verifier_key)
