//! The ledger's records and proofs against bytes that nobody wrote, as `fuzz` does it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod mutate;

use _core::error::Result;
use _core::ledger::{self, Detail, Entry, Frontier, Hash, Tile, continues, included, leaf_hash};
use _core::seal::{Committed, Context, Epochs, Place, Sealer, kind, sha256, with_scratch};
use _core::wire::{Put, Take};

fn fuzz(name: &str, corpus: &[Vec<u8>], decode: impl Fn(&[u8]) -> Result<()>) {
    let counts = mutate::fuzz(name, corpus, decode);
    assert!(counts.others_accepted > 0, "{name}: no mutation comes through");
}

fn sealer() -> Sealer {
    let context = Context { store: [1; 16], namespace: [2; 16] };
    Sealer::new(context, Epochs::fixed(&[3; 32]).into(), &[4; 32])
}

// --- records ---------------------------------------------------------------------------------------

#[test]
fn ledger_records_of_any_bytes() {
    let (sealer, detail) = (sealer(), Detail::default());
    let (commitment, sealed) = ledger::seal_detail(&sealer, 7, &detail).unwrap();
    let operation = "store".to_owned();
    let entry = Entry { seq: 7, operation, created_ns: 1 << 60, prev: [1; 32], commitment };
    let corpus = [ledger::encode(&entry, &[2; 16], &sealed)];
    fuzz("ledger entry", &corpus, |bytes| {
        let (entry, namespace, sealed) = ledger::decode(bytes)?;
        assert_eq!(ledger::encode(&entry, &namespace, &sealed), bytes);
        assert!(entry.json().len() < 1_000 + 8 * bytes.len());
        let opened = Detail::open(&sealer, &entry, &sealed)?;
        assert_eq!(opened.0, detail, "another detail than was sealed");
        Ok(())
    });
}

/// What the entry of a detail in these bytes would name.
fn commitment(plain: &[u8]) -> Result<[u8; 32]> {
    let mut take = Take::new(plain);
    let salt: [u8; 16] = take.array()?;
    let mut text = || take.text().map(str::to_owned);
    let (agent_id, memory_type) = (text()?, text()?);
    let (justification, root) = (text()?, text()?);
    let (version, count, clock_behind_us) = (take.varint()?, take.varint()?, take.varint()?);
    let detail =
        Detail { agent_id, memory_type, justification, root, version, count, clock_behind_us };
    Ok(sha256(&[&salt, detail.json().as_bytes()]))
}

#[test]
fn details_of_any_bytes() {
    let sealer = sealer();
    let place = Place { kind: kind::DETAIL, id: ledger::node_id(7) };
    let mut plain = vec![5; 16];
    ["agent", "state", "why", "root"].iter().for_each(|text| plain.put_bytes(text.as_bytes()));
    [3, 0, 500].into_iter().for_each(|number| plain.put_varint(number));
    fuzz("ledger detail", &[plain], |bytes| {
        let mut sealed = Vec::new();
        with_scratch(|s| sealer.seal(s, place, Committed::No, bytes, &mut sealed))?;
        let (operation, created_ns) = ("store".to_owned(), 0);
        let commitment = commitment(bytes).unwrap_or_default();
        let entry = Entry { seq: 7, operation, created_ns, prev: [0; 32], commitment };
        let (_, salt) = Detail::open(&sealer, &entry, &sealed)?;
        assert_eq!(salt, bytes[..16]);
        let other = Entry { commitment: [1; 32], ..entry };
        assert!(Detail::open(&sealer, &other, &sealed).is_err(), "a detail that no entry names");
        Ok(())
    });
}

#[test]
fn frontiers_of_any_bytes() {
    let mut frontier = Frontier::default();
    let mut corpus = Vec::new();
    for seq in 0u8..12 {
        let mut out = Vec::new();
        frontier.put(&mut out);
        corpus.push(out);
        frontier.push(leaf_hash(&[seq]));
    }
    fuzz("frontier", &corpus, |bytes| {
        let mut take = Take::new(bytes);
        let frontier = Frontier::take(&mut take)?;
        take.done()?;
        let mut out = Vec::new();
        frontier.put(&mut out);
        assert_eq!(out, bytes);
        frontier.root();
        Ok(())
    });
}

#[test]
fn tiles_of_any_bytes() {
    let tile = Tile { level: 0, index: 0, width: 3 };
    fuzz("tile", &[vec![7; 96]], |bytes| {
        assert_eq!(tile.decode(bytes)?.concat(), bytes);
        Ok(())
    });
}

// --- proofs ----------------------------------------------------------------------------------------

/// Entries of the tree whose proofs are mutated.
const SIZE: u64 = 13;

fn leaf(seq: u64) -> Hash {
    leaf_hash(&seq.to_le_bytes())
}

/// RFC 6962 section 2.1, word for word.
fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(&[]),
        [one] => *one,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            sha256(&[&[1], &root(left), &root(right)])
        }
    }
}

/// RFC 6962 section 2.1.1.
fn path(at: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut below, beside) = if at < left.len() {
        (path(at, left), root(right))
    } else {
        (path(at - left.len(), right), root(left))
    };
    below.push(beside);
    below
}

/// RFC 6962 section 2.1.2.
fn consistency(old: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if known { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut below, beside) = if old <= left.len() {
        (consistency(old, left, known), root(right))
    } else {
        (consistency(old - left.len(), right, false), root(left))
    };
    below.push(beside);
    below
}

fn encoded(numbers: [u64; 2], hashes: impl IntoIterator<Item = Hash>) -> Vec<u8> {
    let mut out = Vec::new();
    numbers.into_iter().for_each(|number| out.put_varint(number));
    hashes.into_iter().for_each(|hash| out.extend_from_slice(&hash));
    out
}

/// Two numbers, a hash and a path.
fn taken(bytes: &[u8]) -> Result<(u64, u64, Hash, Vec<Hash>)> {
    let mut take = Take::new(bytes);
    let (a, b, hash) = (take.varint()?, take.varint()?, take.array()?);
    Ok((a, b, hash, take.rest().as_chunks::<32>().0.to_vec()))
}

fn refused() -> _core::error::Error {
    _core::error::Error::new("tampered", "no proof of this tree")
}

/// Who checks knows the root. The size it belongs to is in the signed text, so that a proof of
/// another size may pass here, but no other leaf.
#[test]
fn inclusion_of_any_bytes() {
    let leaves: Vec<_> = (0..SIZE).map(leaf).collect();
    let paths: Vec<_> = (0..leaves.len()).map(|at| path(at, &leaves)).collect();
    let corpus: Vec<_> = (0..SIZE)
        .zip(leaves.iter().zip(&paths))
        .map(|(at, (leaf, path))| encoded([at, SIZE], [*leaf].into_iter().chain(path.clone())))
        .collect();
    fuzz("inclusion", &corpus, |bytes| {
        let (index, size, leaf, path) = taken(bytes)?;
        let found = included(index, size, leaf, &path).ok_or_else(refused)?;
        if found != root(&leaves) {
            return Err(refused());
        }
        let at = leaves
            .iter()
            .position(|genuine| *genuine == leaf)
            .unwrap_or_else(|| panic!("a forged leaf"));
        assert_eq!(path, paths[at], "another path");
        Ok(())
    });
}

/// Who checks knows the new root: no old one is accepted that the tree never had.
#[test]
fn consistency_of_any_bytes() {
    let leaves: Vec<_> = (0..SIZE).map(leaf).collect();
    let roots: Vec<_> = (0..=leaves.len()).map(|size| root(&leaves[..size])).collect();
    let corpus: Vec<_> = (1..=leaves.len())
        .map(|old| {
            let path = consistency(old, &leaves, true);
            encoded([old as u64, SIZE], [roots[old]].into_iter().chain(path))
        })
        .collect();
    fuzz("consistency", &corpus, |bytes| {
        let (old, new, claimed, path) = taken(bytes)?;
        if !continues((old, claimed), (new, root(&leaves)), &path) {
            return Err(refused());
        }
        assert!(roots.contains(&claimed), "a root that never was");
        Ok(())
    });
}
