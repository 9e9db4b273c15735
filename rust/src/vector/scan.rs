//! Searching by looking at every vector, in as few bytes as will do.

use super::best::Best;
use super::int8::{Int8, Query};
use super::kernel::Floats;
use super::slots::Slots;
use super::table::Table;
use std::cell::RefCell;

/// Rows that are compared before the best of them are picked: their keys stay in the nearest cache.
const CHUNK: usize = 1024;
/// Changes, in how many times the vectors that there were, after which codes are made anew.
const FEWEST_CHANGES: usize = 1000;

/// Quantised vectors.
#[derive(Debug)]
pub struct Codes {
    int8: Int8,
    /// Vectors that there were when they were made, and writes since.
    built: usize,
    written: usize,
}

impl Codes {
    /// Of all vectors of a table.
    pub fn build(table: &Table) -> Codes {
        Codes { int8: Int8::build(table), built: table.count(), written: 0 }
    }

    /// Writes the row of a slot.
    pub fn put(&mut self, slot: u32, row: &[Floats]) {
        self.int8.put(slot, row);
        self.written += 1;
    }

    /// Whether most vectors are others than those that they were made for.
    pub fn is_stale(&self, table: &Table) -> bool {
        self.written > self.built.max(FEWEST_CHANGES) || table.count() < self.built / 2
    }

    /// What answers a search.
    pub fn method(&self) -> &'static str {
        "int8"
    }

    /// Bytes of memory.
    pub fn size_bytes(&self) -> usize {
        self.int8.size_bytes()
    }
}

/// Memory that a search works in, kept warm by its thread.
#[derive(Debug, Default)]
pub struct Room {
    query: Query,
    products: Vec<i32>,
    keys: Vec<f32>,
    best: Best<f32>,
    slots: Vec<u32>,
}

/// Lends this thread's room.
pub fn with_room<T>(work: impl FnOnce(&mut Room) -> T) -> T {
    thread_local! {
        static ROOM: RefCell<Room> = RefCell::default();
    }
    let mut room = ROOM.take();
    let made = work(&mut room);
    ROOM.set(room);
    made
}

/// How many of the best by eight bits are compared as they are: 30 of 10 found all that exact search
/// does among 10,000 text embeddings.
fn reranked(k: usize) -> usize {
    k.saturating_mul(3).max(30)
}

/// The `k` nearest to a prepared query, of `allowed`; there are at least as many.
pub fn search(
    table: &Table,
    codes: Option<&Codes>,
    query: &[Floats],
    k: usize,
    allowed: Option<&Slots>,
    room: &mut Room,
) -> Vec<(u64, f32)> {
    let candidates = allowed.map_or(table.count(), Slots::count);
    room.slots.clear();
    match codes {
        Some(codes) if k > 0 && reranked(k) < candidates => {
            by_int8(table, codes, query, k, allowed, room);
        }
        _ => room.slots.extend(allowed.unwrap_or(table.live()).iter()),
    }
    exactly(table, query, k, room)
}

/// Puts into the room the slots that are best in eight bits.
fn by_int8(
    table: &Table,
    codes: &Codes,
    query: &[Floats],
    k: usize,
    allowed: Option<&Slots>,
    room: &mut Room,
) {
    let Room { query: quantised, products, keys, best, slots } = room;
    codes.int8.query(query, quantised);
    best.reset(reranked(k));
    let allowed = allowed.or(table.gaps());
    for start in (0..table.capacity()).step_by(CHUNK) {
        let end = table.capacity().min(start + CHUNK);
        keys.clear();
        codes.int8.keys(quantised, start..end, products, keys);
        match allowed {
            Some(allowed) => best.offer(start as u32, keys, |slot| allowed.has(slot)),
            None => best.offer(start as u32, keys, |_| true),
        }
    }
    slots.extend(best.chosen().iter().map(|&(_, slot)| slot));
}

/// The `k` nearest of the slots in the room; equally near ones by label.
fn exactly(table: &Table, query: &[Floats], k: usize, room: &mut Room) -> Vec<(u64, f32)> {
    let Room { keys, best, slots, .. } = room;
    best.reset(k);
    for slots in slots.chunks(CHUNK) {
        keys.clear();
        table.metric().keys(query, table.rows(), slots, keys);
        best.offer_some(slots, keys);
    }
    let score = |&(key, slot): &(f32, u32)| (table.label(slot), table.metric().score(key));
    let mut found: Vec<(f32, u32)> = best.chosen().to_vec();
    found.sort_unstable_by(|a, b| {
        b.0.total_cmp(&a.0).then_with(|| table.label(a.1).cmp(&table.label(b.1)))
    });
    found.iter().map(score).collect()
}
