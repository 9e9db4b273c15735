//! Every decoder against bytes that nobody wrote: mutations of real encodings, from a fixed seed.
//!
//! Behind each decoder that a key guards, the mutated bytes are put where only the holder of the key
//! could put them: at rest they would not get so far. Nothing may panic, ask for much memory or run
//! long; what is accepted where one value has one encoding must encode to the same bytes again.
//! Each target accepts its corpus, and refuses some mutations; what no key guards accepts some, too,
//! and what one does accepts none. The ledger's are in `fuzz_ledger`, and beside the code of the
//! store what only it can name. `DACHI_TORTURE=1` makes 10^6 runs of each target instead of 10^4.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod memory;
mod mutate;

use _core::codec::{Decoder, Encoder, Token};
use _core::error::{Error, Result};
use _core::keys::{Key, Keyring, Locked, unwrap, wrap};
use _core::seal::{
    Committed, Context, Epochs, NodeId, Place, Sealer, hash_kind, kind, with_scratch,
};
use _core::state::{Arena, Flat, blueprint, schema};
use _core::store::Version;
use _core::tree::{
    Blob, Cut, Edits, Map, Node, Nodes, Range, Shape, Value, entries, get, put_value, refs,
    take_value, visit, write_state,
};
use _core::wire::{Put, Take};
use _core::witness::{FileWitness, Records, Seen, Witness};
use memory::Store;
use std::path::PathBuf;

/// Of what anybody could write, some is right.
fn fuzz(name: &str, corpus: &[Vec<u8>], decode: impl Fn(&[u8]) -> Result<()>) {
    let counts = mutate::fuzz(name, corpus, decode);
    assert!(counts.others_accepted > 0, "{name}: no mutation comes through");
}

/// Of what only the holder of a key can write, nothing else is right.
fn fuzz_sealed(name: &str, corpus: &[Vec<u8>], decode: impl Fn(&[u8]) -> Result<()>) {
    let counts = mutate::fuzz(name, corpus, decode);
    assert_eq!(counts.others_accepted, 0, "{name}: opens what nobody sealed");
}

fn sealer() -> Sealer {
    let context = Context { store: [1; 16], namespace: [2; 16] };
    Sealer::new(context, Epochs::fixed(&[3; 32]).into(), &[4; 32])
}

fn folder(name: &str) -> PathBuf {
    // In memory where there is such a place: ext4 writes a file that is replaced to disk at once.
    let memory = PathBuf::from("/dev/shm");
    let place = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let folder = place.join(format!("dachi-fuzz-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

// --- values ----------------------------------------------------------------------------------------

fn values() -> Vec<Vec<u8>> {
    let mut corpus = Vec::new();
    let mut add = |write: &dyn Fn(&mut Encoder)| {
        let mut encoder = Encoder::new(Vec::new());
        write(&mut encoder);
        corpus.push(encoder.into_bytes());
    };
    add(&|e| e.nil());
    add(&|e| {
        e.list(7);
        [0, -1, 127, 128, -33, i64::MAX, i64::MIN].iter().for_each(|n| e.int(*n));
    });
    add(&|e| e.uint(u64::MAX));
    add(&|e| e.big_int(&[1, 0, 0, 0, 0, 0, 0, 0, 0]));
    add(&|e| e.float(1.5));
    add(&|e| e.complex(1.0, f64::NAN));
    add(&|e| {
        e.map(2);
        e.text("key");
        e.binary(&[7; 300]);
        e.bool(true);
        e.text(&"long ".repeat(60));
    });
    add(&|e| e.surrogates(b"a\xed\xa0\x80"));
    add(&|e| {
        let mark = e.open(_core::codec::ext::TUPLE);
        e.list(2);
        e.ellipsis();
        e.nil();
        e.close(mark, 0);
    });
    add(&|e| {
        let mark = e.array("<f8", false, &[2, 3]);
        e.raw(&[9; 48]);
        e.close(mark, 0);
    });
    add(&|e| e.scalar("<f4", &[1, 2, 3, 4]));
    corpus
}

/// How many values follow a token.
fn follow(token: &Token<'_>) -> u64 {
    match token {
        Token::List(n) | Token::Tuple(n) | Token::Set(n) | Token::Frozenset(n) => *n as u64,
        Token::Map(n) => 2 * *n as u64,
        Token::Named(_) => 1,
        _ => 0,
    }
}

#[test]
fn values_of_any_bytes() {
    fuzz("codec", &values(), |bytes| {
        let mut decoder = Decoder::new(bytes);
        let mut left = 1u64;
        while left > 0 {
            left += follow(&decoder.token()?);
            left -= 1;
        }
        let mut skipping = Decoder::new(bytes);
        skipping.skip()?;
        assert_eq!(skipping.is_done(), decoder.is_done(), "skipped as far as read");
        decoder.done()
    });
}

#[test]
fn numbers_and_lengths_of_any_bytes() {
    let mut corpus = Vec::new();
    for number in [0, 127, 128, 1 << 20, u64::MAX] {
        let mut out = Vec::new();
        out.put_varint(number);
        out.put_bytes(b"some bytes");
        out.put_u32(7);
        corpus.push(out);
    }
    fuzz("wire", &corpus, |bytes| {
        let mut take = Take::new(bytes);
        let (number, text, last) = (take.varint()?, take.bytes()?, take.u32()?);
        take.done()?;
        let mut out = Vec::new();
        out.put_varint(number);
        out.put_bytes(text);
        out.put_u32(last);
        assert_eq!(out, bytes);
        Ok(())
    });
}

// --- envelopes, keys, witness ----------------------------------------------------------------------

#[test]
fn envelopes_of_any_bytes() {
    let sealer = sealer();
    let place = Place { kind: kind::LEAF, id: NodeId([5; 16]) };
    for committed in [Committed::Yes, Committed::No] {
        let seal = |raw: &[u8]| {
            let mut out = Vec::new();
            with_scratch(|s| sealer.seal(s, place, committed, raw, &mut out)).unwrap();
            out
        };
        let corpus = [seal(b""), seal(b"short"), seal(&[7; 20_000])];
        fuzz_sealed("envelope", &corpus, |bytes| {
            with_scratch(|s| sealer.open(s, place, committed, bytes)).map(drop)
        });
    }
}

#[test]
fn wrapped_keys_of_any_bytes() {
    let (kek, key) = (Key::new([1; 32]), Key::new([2; 32]));
    let corpus = [wrap(&kek, &key, b"purpose").unwrap()];
    fuzz_sealed("wrapped key", &corpus, |bytes| {
        assert_eq!(unwrap(&kek, bytes, b"purpose")?, key);
        Ok(())
    });
}

#[test]
fn key_files_of_any_bytes() {
    let folder = folder("keys");
    let path = folder.join(_core::keys::FILE_NAME);
    let root = Key::new([5; 32]);
    Keyring::create([1; 16], root.clone(), vec![9; 60])
        .unwrap()
        .rewrite(&folder, _core::keys::Change::default())
        .unwrap();
    let corpus = [std::fs::read(&path).unwrap()];
    fuzz("keys.sealed", &corpus, |bytes| {
        std::fs::write(&path, bytes).unwrap();
        let locked = Locked::read(&folder)?.ok_or_else(|| Error::new("missing", "gone"))?;
        locked.unlock(root.clone()).map(drop)
    });
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn witness_files_of_any_bytes() {
    let folder = folder("witness");
    let (witness, records) = (FileWitness::new(&folder), Records::new([1; 16], [3; 32]));
    let seen = |commit| Seen { commit, lineage: [1; 16], entries: commit, chain: [2; 32] };
    (1..4).for_each(|commit| witness.advance(&records, &seen(commit)).unwrap());
    let path = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let corpus = [std::fs::read(&path).unwrap()];
    fuzz("witness", &corpus, |bytes| {
        std::fs::write(&path, bytes).unwrap();
        let found = witness.newest(&records)?;
        assert!(found.is_none_or(|found| found == seen(2) || found == seen(3)));
        Ok(())
    });
    std::fs::remove_dir_all(folder).unwrap();
}

// --- records ---------------------------------------------------------------------------------------

fn node(height: u8, packed: bool) -> Node {
    let keys = (packed && height == 0).then_some(([8; 32], NodeId([9; 16])));
    let (hash, id) = ([7; 32], NodeId([6; 16]));
    Node { height, packed, hash, id, keys, entries: 300, size_bytes: 1 << 40 }
}

#[test]
fn references_of_any_bytes() {
    let put = |node: &Node| {
        let mut out = Vec::new();
        node.put(&mut out);
        out
    };
    let corpus = [put(&node(0, true)), put(&node(0, false)), put(&node(3, true))];
    fuzz("reference", &corpus, |bytes| {
        let mut take = Take::new(bytes);
        let node = Node::take(&mut take)?;
        take.done()?;
        assert_eq!(put(&node), bytes);
        Ok(())
    });
}

#[test]
fn version_records_of_any_bytes() {
    let blob =
        Blob { hash: [1; 32], id: NodeId([2; 16]), size_bytes: 600, height: 0, cut: Cut::Fixed };
    let version = Version {
        number: 3,
        created_ns: 1 << 60,
        base: 2,
        justification: "why".into(),
        tags: vec!["a".into(), "b".into()],
        source: Some(("other".into(), 4)),
        state: Some(node(1, true)),
        blueprint: Value { inline: vec![1, 2], blob: Some(blob) },
        schema: Value { inline: Vec::new(), blob: Some(blob) },
        ..Version::default()
    };
    let corpus = [Version::default().encode(), version.encode()];
    fuzz("version", &corpus, |bytes| {
        assert_eq!(Version::decode(bytes)?.encode(), bytes);
        Ok(())
    });
}

#[test]
fn values_of_leaves_of_any_bytes() {
    let blob =
        Blob { hash: [1; 32], id: NodeId([2; 16]), size_bytes: 600, height: 0, cut: Cut::Fixed };
    // The first byte says how many of the last are the ids.
    let put = |inline: &[u8], blob: Option<&Blob>| {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        put_value(inline, blob, &mut a, &mut b);
        [vec![b.len() as u8], a, b].concat()
    };
    let corpus = [put(b"inline", None), put(b"head", Some(&blob))];
    fuzz("value of a leaf", &corpus, |bytes| {
        let (ids, rest) = bytes.split_first().unwrap_or((&0, &[]));
        let (a, b) = rest.split_at(rest.len().saturating_sub(usize::from(*ids)));
        let (mut a, mut b) = (Take::new(a), Take::new(b));
        let (inline, blob) = take_value(&mut a, &mut b)?;
        a.done()?;
        b.done()?;
        let again = put(inline, blob.as_ref());
        assert_eq!(again[1..], bytes[1..]);
        Ok(())
    });
}

// --- nodes -----------------------------------------------------------------------------------------

/// Gives the same bytes for every node.
struct Forged<'a>(&'a [u8]);

impl Nodes for Forged<'_> {
    fn open(&self, _: u8, _: NodeId) -> Result<Vec<u8>> {
        Ok(self.0.to_vec())
    }

    fn open_into(&self, _: u8, _: NodeId, out: &mut [u8]) -> Result<()> {
        out.fill(0);
        Ok(())
    }
}

/// The hash that a parent would hold of these bytes, so that they are read and not only refused.
fn hash(of: u8, plain: &[u8]) -> [u8; 32] {
    let content = Take::new(plain).bytes().map(<[u8]>::to_vec).unwrap_or_default();
    hash_kind(of, &content)
}

/// The nodes of each kind of two real trees.
fn nodes_of_kind(wanted: u8) -> Vec<Vec<u8>> {
    let mut store = Store::new();
    let edits: Edits = (0..300u32)
        .map(|n| (n.to_be_bytes().to_vec(), Some(vec![n as u8; 1 + (n as usize % 40) * 5])))
        .collect();
    store.apply(&Map::default(), edits);
    let (mut paths, mut values) = (Arena::default(), Arena::default());
    for n in 0..300u32 {
        paths.push(format!("part.{n}.value").as_bytes());
        values.push(&vec![n as u8; if n == 5 { 200_000 } else { 20 }]);
    }
    let flat = Flat { paths, values, ..Flat::default() };
    let shape = Shape::new(flat.paths.clone()).unwrap();
    store.write(|_, writer| write_state(writer, &shape, &flat).unwrap());
    let mut found: Vec<Vec<u8>> = store
        .memory
        .plain
        .values()
        .filter(|(kind, _)| *kind == wanted)
        .map(|(_, plain)| plain.clone())
        .collect();
    found.sort();
    found.truncate(20);
    assert!(!found.is_empty());
    found
}

fn read_as(node: &Node, plain: &[u8]) -> Result<()> {
    let nodes = Forged(plain);
    let _ = get(&nodes, node, b"part.7.value");
    let _ = refs(&nodes, node, &mut |_, _, _| true);
    let _ = Map { root: Some(node.clone()) }.count(&nodes, &Range::prefix(b"part"));
    let _ = entries(&nodes, node);
    visit(&nodes, node, &mut |_, _, _| Ok(()))
}

#[test]
fn leaves_of_any_bytes() {
    fuzz("leaf", &nodes_of_kind(kind::LEAF), |plain| {
        read_as(&Node { hash: hash(kind::LEAF, plain), ..node(0, false) }, plain)
    });
}

/// The two halves of a leaf, of which one is forged.
struct Halves<'a> {
    keys: &'a [u8],
    values: &'a [u8],
}

impl Nodes for Halves<'_> {
    fn open(&self, of: u8, _: NodeId) -> Result<Vec<u8>> {
        Ok(if of == kind::KEYS { self.keys } else { self.values }.to_vec())
    }

    fn open_into(&self, _: u8, _: NodeId, _: &mut [u8]) -> Result<()> {
        Err(Error::new("missing", "no piece of a value"))
    }
}

#[test]
fn split_leaves_of_any_bytes() {
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    keys.put_bytes(&[3, 0, 1, b'a', 1, 1, b'b', 0, 1, b'c']);
    values.put_bytes(&[3, 2, 7, 4, 8, 9, 0]);
    for forged in [kind::KEYS, kind::VALUES] {
        let corpus = [if forged == kind::KEYS { &keys } else { &values }.clone()];
        fuzz("keys or values", &corpus, |plain| {
            let is_keys = forged == kind::KEYS;
            let nodes = Halves {
                keys: if is_keys { plain } else { &keys },
                values: if is_keys { &values } else { plain },
            };
            let ids = Some((hash(kind::KEYS, nodes.keys), NodeId::default()));
            let root = Node { hash: hash(kind::VALUES, nodes.values), keys: ids, ..node(0, true) };
            let _ = get(&nodes, &root, b"ab");
            let _ = refs(&nodes, &root, &mut |_, _, _| true);
            let all = entries(&nodes, &root)?;
            assert!(all.windows(2).all(|two| two[0].key < two[1].key), "keys do not ascend");
            visit(&nodes, &root, &mut |_, _, _| Ok(()))
        });
    }
}

#[test]
fn branches_of_any_bytes() {
    // Of plain and of split maps.
    fuzz("branch", &nodes_of_kind(kind::BRANCH), |plain| {
        let read = |height, packed| {
            let node = Node { hash: hash(kind::BRANCH, plain), ..node(height, packed) };
            let _ = read_as(&node, plain);
            node.children(&Forged(plain)).map(drop)
        };
        let _ = read(2, true);
        read(1, true).or_else(|_| read(1, false))
    });
}

/// The length that a parent would hold of an index of these bytes.
fn size_bytes(plain: &[u8]) -> u64 {
    let sum = || {
        let mut take = Take::new(plain);
        let mut content = Take::new(take.bytes()?);
        let mut sum = 0u64;
        for _ in 0..content.count()? {
            sum = sum.saturating_add(content.varint()?);
            content.slice(32)?;
        }
        Ok::<_, Error>(sum)
    };
    sum().unwrap_or_default()
}

#[test]
fn indexes_of_any_bytes() {
    let blob = |plain: &[u8], height, size_bytes| {
        let (hash, id) = (hash(kind::INDEX, plain), NodeId::default());
        Blob { hash, id, size_bytes, height, cut: Cut::Content }
    };
    fuzz("index", &nodes_of_kind(kind::INDEX), |plain| {
        let (nodes, own) = (Forged(plain), size_bytes(plain));
        for (height, size_bytes) in [(1, own), (1, own ^ 1), (2, own), (200, u64::MAX)] {
            let _ = blob(plain, height, size_bytes).append_to(&nodes, &mut Vec::new());
            let _ = blob(plain, height, size_bytes).read_into(&nodes, &mut [0; 1_000]);
        }
        blob(plain, 1, own).refs(&nodes, &mut |_, _, _| true)
    });
}

#[test]
fn a_piece_longer_than_any_is_refused_before_memory_for_it_is_asked_for() {
    let (hash, id, size_bytes) = (hash(kind::CHUNK, b""), NodeId::default(), 1 << 32);
    let blob = Blob { hash, id, size_bytes, height: 0, cut: Cut::Content };
    let refused = blob.append_to(&Forged(b""), &mut Vec::new());
    assert_eq!(refused.map_err(|error| error.slug()), Err("malformed"));
}

// --- classes and blueprints ------------------------------------------------------------------------

/// A module with two fields, of which the second holds another module twice.
fn blueprint() -> Vec<u8> {
    let mut out = Encoder::default();
    let module = |out: &mut Encoder, kind: &str, id: &str, fields: usize| {
        out.map(fields + 2);
        for text in ["kind", kind, "id", id] {
            out.text(text);
        }
    };
    module(&mut out, "m:Root", "r", 2);
    out.text("number");
    out.int(1);
    out.text("parts");
    out.list(2);
    module(&mut out, "m:Part", "a", 0);
    out.map(1);
    out.text("same");
    out.text("a");
    out.into_bytes()
}

#[test]
fn blueprints_of_any_bytes() {
    fuzz("blueprint", &[blueprint()], |bytes| {
        let outlined = blueprint::outline(bytes);
        blueprint::kind(bytes)?;
        outlined.map(drop)
    });
}

#[test]
fn tables_of_classes_of_any_bytes() {
    let mut row = Encoder::default();
    row.list(2);
    row.map(1);
    row.text("m:Base");
    row.int(3);
    row.list(0);
    let row = row.into_bytes();
    let table = schema::encode(&[("m:A", row.as_slice()), ("m:B", row.as_slice())].into());
    fuzz("table of classes", std::slice::from_ref(&table), |bytes| {
        let theirs = schema::outgrown(bytes, &table).map(drop);
        let mine = schema::outgrown(&table, bytes).map(drop);
        assert_eq!(theirs.is_ok(), mine.is_ok());
        mine
    });
}
