//! Damaged data files: every one is refused with a typed error or gives the answers it gave before.
//!
//! `DACHI_TORTURE=1` tries every byte with more patterns. Each case is written to `case` in the
//! store's folder first, so that one that kills the process can be named.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)] // a test that panics fails

mod asked;
mod memory;

use _core::engine::lmdb::{Checked, Lmdb, Sync, Use, check};
use _core::engine::{Batch, Engine, Write};
use _core::seal::NodeId;
use asked::{
    DAMAGE, Folder, HEADER_BYTES, LAST_PAGE_AT, META_BYTES, PAGE, TRANSACTION_AT, ask, newer, open,
    save, set_u64, torture, u16_at, u64_at,
};
use memory::Random;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// A store with its past: the data file after each batch of saves.
struct Subject {
    folder: Folder,
    past: Vec<Vec<u8>>,
    good: Vec<u8>,
    answers: Vec<String>,
    refused: usize,
    same: usize,
}

impl Subject {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        let mut random = Random(11);
        let mut past = Vec::new();
        for _ in 0..2 {
            save(&folder.0, &mut random, &["one", "two"]);
            past.push(fs::read(folder.data()).unwrap());
        }
        save(&folder.0, &mut random, &["two"]);
        let good = fs::read(folder.data()).unwrap();
        let flags: Vec<usize> = good.chunks(PAGE).map(|page| u16_at(page, 10)).collect();
        assert!([1, 2, 4].iter().all(|flag| flags.contains(flag)), "a kind of page is missing");
        let store = open(&folder.0, true).unwrap();
        let answers = ask(&store).into_iter().map(Result::unwrap).collect();
        drop(store);
        Subject { folder, past, good, answers, refused: 0, same: 0 }
    }

    fn pages(&self) -> usize {
        self.good.len() / PAGE
    }

    fn page(&self, number: usize) -> &[u8] {
        &self.good[number * PAGE..(number + 1) * PAGE]
    }

    /// Opens the store with `bytes` as its data file.
    fn try_bytes(&mut self, case: &str, bytes: &[u8]) {
        fs::write(self.folder.data(), bytes).unwrap();
        self.try_file(case);
        fs::write(self.folder.data(), &self.good).unwrap();
    }

    fn try_flip(&mut self, at: usize, pattern: u8) {
        let file = File::options().write(true).open(self.folder.data()).unwrap();
        file.write_all_at(&[self.good[at] ^ pattern], at as u64).unwrap();
        self.try_file(&format!("byte {at} ^ {pattern:#x}"));
        file.write_all_at(&[self.good[at]], at as u64).unwrap();
    }

    fn try_file(&mut self, case: &str) {
        fs::write(self.folder.0.join("case"), case).unwrap();
        match check(&self.folder.0).and_then(|_| open(&self.folder.0, true)) {
            Err(error) => {
                assert!(DAMAGE.contains(&error.slug()), "{case}: {error}");
                self.refused += 1;
            }
            Ok(store) => {
                for (said, good) in ask(&store).into_iter().zip(&self.answers) {
                    match said {
                        Ok(said) => assert!(said == *good, "{case}: another answer"),
                        Err(error) => assert!(DAMAGE.contains(&error.slug()), "{case}: {error}"),
                    }
                }
                self.same += 1;
            }
        }
    }

    /// Bytes that LMDB trusts: meta pages, branch pages, headers and lists of nodes.
    fn trusted(&self) -> Vec<usize> {
        let mut trusted: Vec<usize> = (0..META_BYTES).chain(PAGE..PAGE + META_BYTES).collect();
        let mut number = 2;
        while number < self.pages() {
            let (page, start) = (self.page(number), number * PAGE);
            number += 1;
            trusted.extend(start..start + HEADER_BYTES);
            match u16_at(page, 10) {
                1 => {
                    trusted.extend(start + HEADER_BYTES..start + u16_at(page, 12));
                    trusted.extend(start + u16_at(page, 14)..start + PAGE);
                }
                2 => {
                    let nodes = (HEADER_BYTES..u16_at(page, 12)).step_by(2);
                    for at in nodes.step_by(if torture() { 1 } else { 16 }) {
                        let node = u16_at(page, at);
                        trusted.extend([start + at, start + at + 1]);
                        trusted.extend(start + node..start + node + 8);
                    }
                }
                _ => number += u16_at(page, 12) - 1,
            }
        }
        trusted
    }

    fn done(&self, least_refused: usize) {
        eprintln!("{} refused at opening, {} gave the same answers", self.refused, self.same);
        assert!(self.refused >= least_refused);
    }
}

#[test]
fn a_flipped_byte_is_refused_or_changes_no_answer() {
    let mut subject = Subject::new("flips");
    let mut random = Random(3);
    for at in subject.trusted() {
        subject.try_flip(at, 1 << random.below(8));
        subject.try_flip(at, 0xff);
    }
    let every = if torture() { 1 } else { 4_001 };
    for at in (0..subject.good.len()).step_by(every) {
        subject.try_flip(at, 1 << random.below(8));
    }
    subject.done(1_000);
}

#[test]
fn a_file_cut_short_is_refused_or_gives_the_same_answers() {
    let mut subject = Subject::new("cuts");
    let good = subject.good.clone();
    for page in 0..subject.pages() {
        for length in [page * PAGE, page * PAGE + 1, page * PAGE + 16, (page + 1) * PAGE - 1] {
            // An empty file is what a creation that was cut short leaves.
            if length > 0 {
                subject.try_bytes(&format!("{length} bytes"), &good[..length]);
            }
        }
    }
    subject.done(subject.pages());
}

#[test]
fn a_page_of_zeros_is_refused_or_gives_the_same_answers() {
    let mut subject = Subject::new("zeros");
    for page in 0..subject.pages() {
        let mut bytes = subject.good.clone();
        bytes[page * PAGE..(page + 1) * PAGE].fill(0);
        subject.try_bytes(&format!("page {page} of zeros"), &bytes);
    }
    subject.done(10);
}

#[test]
fn two_pages_swapped_are_refused_or_give_the_same_answers() {
    let mut subject = Subject::new("swaps");
    let mut random = Random(5);
    for _ in 0..if torture() { 20_000 } else { 200 } {
        let (a, b) = (random.below(subject.pages()), random.below(subject.pages()));
        let mut bytes = subject.good.clone();
        bytes[a * PAGE..(a + 1) * PAGE].copy_from_slice(subject.page(b));
        bytes[b * PAGE..(b + 1) * PAGE].copy_from_slice(subject.page(a));
        subject.try_bytes(&format!("pages {a} and {b} swapped"), &bytes);
    }
    subject.done(50);
}

#[test]
fn stale_pages_put_back_are_refused_or_give_the_same_answers() {
    let mut subject = Subject::new("stale");
    let mut random = Random(7);
    for old in std::mem::take(&mut subject.past) {
        let changed: Vec<usize> = (0..old.len() / PAGE)
            .filter(|page| old[page * PAGE..(page + 1) * PAGE] != *subject.page(*page))
            .collect();
        let mut sets: Vec<Vec<usize>> = changed.iter().map(|page| vec![*page]).collect();
        for _ in 0..40 {
            sets.push(changed.iter().copied().filter(|_| random.below(2) == 0).collect());
        }
        for set in sets.into_iter().chain([vec![0, 1], changed]) {
            let mut bytes = subject.good.clone();
            for page in &set {
                let range = page * PAGE..(page + 1) * PAGE;
                bytes[range.clone()].copy_from_slice(&old[range]);
            }
            subject.try_bytes(&format!("stale pages {set:?}"), &bytes);
        }
        subject.try_bytes("the whole old file", &old);
    }
    subject.done(20);
}

// --- meta pages ----------------------------------------------------------------------------------

#[test]
fn a_meta_page_made_to_look_older_is_refused_with_and_without_a_witness() {
    let subject = Subject::new("lowered");
    let mut bytes = subject.good.clone();
    let at = newer(&bytes) * PAGE + TRANSACTION_AT;
    let transaction = u64_at(&bytes, at) - 2;
    set_u64(&mut bytes, at, transaction);
    fs::write(subject.folder.data(), &bytes).unwrap();
    assert_eq!(
        check(&subject.folder.0).unwrap(),
        Checked { transaction: transaction + 1, doubtful: true }
    );
    for witness in [true, false] {
        assert_eq!(open(&subject.folder.0, witness).unwrap_err().slug(), "rolled-back");
    }
}

#[test]
fn a_meta_page_made_to_look_newer_is_refused() {
    let subject = Subject::new("raised");
    let older = PAGE - newer(&subject.good) * PAGE;
    for more in [1, 2, 3, 4, 1 << 40] {
        let mut bytes = subject.good.clone();
        let transaction = u64_at(&bytes, older + TRANSACTION_AT) + more;
        set_u64(&mut bytes, older + TRANSACTION_AT, transaction);
        fs::write(subject.folder.data(), &bytes).unwrap();
        assert_eq!(check(&subject.folder.0).unwrap_err().slug(), "malformed", "{more}");
    }
}

/// LMDB writes the old numbers back over the meta page that it could not write.
#[test]
fn a_commit_that_failed_at_its_meta_page_is_told_from_a_rollback_by_the_witness() {
    let subject = Subject::new("failed");
    let witness = subject.folder.0.join("witness");
    let seen = fs::read_dir(&witness).unwrap().next().unwrap().unwrap().path();
    let (before, seen_before) = (subject.good.clone(), fs::read(&seen).unwrap());
    save(&subject.folder.0, &mut Random(13), &["one"]);
    let mut bytes = fs::read(subject.folder.data()).unwrap();
    let failed = newer(&bytes) * PAGE;
    for at in [LAST_PAGE_AT, TRANSACTION_AT] {
        set_u64(&mut bytes, failed + at, u64_at(&before, failed + at));
    }
    fs::write(subject.folder.data(), &bytes).unwrap();
    assert_eq!(open(&subject.folder.0, true).unwrap_err().slug(), "rolled-back");
    fs::write(&seen, &seen_before).unwrap();
    let store = open(&subject.folder.0, true).unwrap();
    let said: Vec<String> = ask(&store).into_iter().map(Result::unwrap).collect();
    drop(store);
    // What the failed commit wrote is no part of the store, but still lies in its free pages.
    assert!(said == subject.answers);
    save(&subject.folder.0, &mut Random(17), &["two"]);
    assert!(!check(&subject.folder.0).unwrap().doubtful);
}

// --- each rule ------------------------------------------------------------------------------------

fn swapped(bytes: &[u8], a: usize, b: usize, len: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    (0..len).for_each(|at| bytes.swap(a + at, b + at));
    bytes
}

fn with_u64(bytes: &[u8], at: usize, value: u64) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    set_u64(&mut bytes, at, value);
    bytes
}

/// Edits of one place each that LMDB would not notice at once, with what is said of them.
fn edits(good: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let start = |number: u64| usize::try_from(number).unwrap() * PAGE;
    let node = |page: usize, index: usize| page + u16_at(good, page + HEADER_BYTES + 2 * index);
    let meta = newer(good) * PAGE;
    let (free, main) = (start(u64_at(good, meta + 80)), start(u64_at(good, meta + 128)));
    let branch = start(u64_at(good, node(main, 3) + 8 + "nodes".len() + 40));
    assert_eq!((u16_at(good, branch + 10), u16_at(good, free + 10)), (1, 2));
    let child = |index: usize| u64_at(good, node(branch, index)) & 0xffff_ffff_ffff;
    let leaf = start(child(1));
    let nodes = (u16_at(good, leaf + 12) - HEADER_BYTES) / 2;
    // 32 bytes, as its value lies elsewhere, and another node behind it.
    let is_inner =
        |at: &usize| u16_at(good, node(leaf, *at) + 4) == 1 && node(leaf, *at) + 32 < leaf + PAGE;
    let inner = (0..nodes).find(is_inner).unwrap();
    let mut longer = good.to_vec();
    longer[node(leaf, inner) + 6] += 2;
    let mut twice = good.to_vec();
    twice.copy_within(node(branch, 0)..node(branch, 0) + 6, node(branch, 1));
    let list = node(free, 0) + 16;
    let pointers = leaf + HEADER_BYTES;
    vec![
        ("has keys out of order", swapped(good, pointers, pointers + 2, 2)),
        ("has nodes that overlap", longer),
        ("is used twice", twice),
        ("has a header", with_u64(good, leaf, child(0))),
        ("keys of its neighbour", swapped(good, node(branch, 0), node(branch, 1), 6)),
        ("keys of its neighbour", with_u64(good, node(branch, 1) + 8, 0)),
        ("another number of pages or entries", with_u64(good, meta + 120, 3)),
        ("free pages out of order", swapped(good, list + 8, list + 16, 8)),
        ("list of free pages that is cut short", with_u64(good, list, 1 << 20)),
        ("cut short", with_u64(good, meta + LAST_PAGE_AT, u64_at(good, meta + LAST_PAGE_AT) + 9)),
    ]
}

#[test]
fn each_rule_names_what_it_refuses() {
    let subject = Subject::new("rules");
    for (expected, bytes) in edits(&subject.good) {
        fs::write(subject.folder.data(), bytes).unwrap();
        let said = check(&subject.folder.0).unwrap_err();
        assert_eq!(said.slug(), "malformed");
        assert!(said.message().contains(expected), "{expected}: {said}");
    }
}

// --- what is no store ----------------------------------------------------------------------------

#[test]
fn a_foreign_file_is_no_store() {
    let folder = Folder::new("foreign");
    assert_eq!(check(&folder.0).unwrap(), Checked::default());
    fs::write(folder.data(), b"").unwrap();
    assert_eq!(check(&folder.0).unwrap(), Checked::default());
    for content in [&b"x"[..], b"a text\n", &[0; 100_000], &[b'x'; 100_000], &[0xff; 4_096]] {
        fs::write(folder.data(), content).unwrap();
        assert_eq!(check(&folder.0).unwrap_err().slug(), "not-a-store");
    }
    fs::remove_file(folder.data()).unwrap();
    fs::create_dir(folder.data()).unwrap();
    assert_eq!(check(&folder.0).unwrap_err().slug(), "not-a-store");
}

#[test]
fn a_file_of_a_page_size_or_version_that_is_not_ours_is_no_store() {
    let subject = Subject::new("sizes");
    for (at, value) in [(40, 0u32), (40, 512), (40, 1 << 16), (20, 999), (20, 0)] {
        let mut bytes = subject.good.clone();
        for meta in [0, PAGE] {
            bytes[meta + at..meta + at + 4].copy_from_slice(&value.to_ne_bytes());
        }
        fs::write(subject.folder.data(), &bytes).unwrap();
        assert_eq!(check(&subject.folder.0).unwrap_err().slug(), "not-a-store");
    }
}

// --- no false alarm ------------------------------------------------------------------------------

fn id(number: u64) -> NodeId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    NodeId(id)
}

fn commit(lmdb: &Lmdb, write: Write) {
    let mut write = Some(write);
    lmdb.commit(&mut |_| Ok(write.take())).unwrap();
}

/// Commits at random: few and many nodes, small and large ones, written, overwritten and deleted.
fn commit_at_random(lmdb: &Lmdb, random: &mut Random, model: &mut BTreeMap<[u8; 16], Vec<u8>>) {
    let mut batch = Batch::default();
    let most = [3, 40, 1_500][random.below(3)];
    let largest = [0, 100, 2_500, 30_000][random.below(4)];
    let span = if random.below(2) == 0 { 500 } else { 20_000 };
    for _ in 0..random.below(most) {
        let (id, len) = (id(random.below(span) as u64), random.below(largest + 1));
        let bytes = vec![random.next() as u8; len];
        model.insert(id.0, bytes.clone());
        let seal = |out: &mut Vec<u8>| {
            out.extend_from_slice(&bytes);
            Ok(())
        };
        batch.add(id, seal).unwrap();
    }
    let share = [1, 2, 50][random.below(3)];
    let dead: Vec<NodeId> =
        model.keys().copied().filter(|_| random.below(share) == 0).map(NodeId).collect();
    let dead = if random.below(4) == 0 { dead } else { Vec::new() };
    dead.iter().for_each(|id| drop(model.remove(&id.0)));
    let head = vec![random.next() as u8; random.below(5_000)];
    let write = Write { batches: vec![Arc::new(batch)], dead, head };
    commit(lmdb, write);
}

#[test]
fn a_healthy_file_of_any_history_passes() {
    for seed in 0..if torture() { 300 } else { 12 } {
        let folder = Folder::new(&format!("healthy-{seed}"));
        let (mut random, mut model) = (Random(seed), BTreeMap::new());
        for round in 0..12 {
            let lmdb = Lmdb::open(&folder.0, Use::Write(Sync::BenchOnlyNever)).unwrap();
            for step in 0..1 + random.below(8) {
                commit_at_random(&lmdb, &mut random, &mut model);
                let checked = check(&folder.0).map_err(|error| error.to_string());
                let sound = checked.as_ref().is_ok_and(|checked| !checked.doubtful);
                assert!(sound, "seed {seed}, round {round}, step {step}: {checked:?}");
            }
            let mut found = BTreeMap::new();
            lmdb.scan(&mut |id, bytes| {
                found.insert(id.0, bytes.to_vec());
                Ok(())
            })
            .unwrap();
            assert!(found == model, "seed {seed}, round {round}");
        }
    }
}

#[test]
fn a_new_file_passes_before_and_after_its_first_commit() {
    let folder = Folder::new("new");
    for _ in 0..3 {
        drop(Lmdb::open(&folder.0, Use::Write(Sync::Always)).unwrap());
        assert_eq!(check(&folder.0).unwrap(), Checked { transaction: 1, doubtful: false });
    }
    let lmdb = Lmdb::open(&folder.0, Use::Write(Sync::Always)).unwrap();
    for transaction in 2..6 {
        commit(&lmdb, Write { batches: Vec::new(), dead: Vec::new(), head: vec![1] });
        assert_eq!(check(&folder.0).unwrap(), Checked { transaction, doubtful: false });
    }
}
