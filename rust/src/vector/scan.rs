//! Searching by looking at every vector, in as few bytes as will do.

use super::best::Best;
use super::graph::{Reach, Sight};
use super::int8::{Int8, Query};
use super::kernel::Floats;
use super::ranks::Sample;
use super::signs::{self, Effort, Signs};
use super::slots::Slots;
use super::table::Table;
use super::walk::Walk;
use super::web::Web;
use std::cell::RefCell;

/// Rows that are compared before the best of them are picked: their keys stay in the nearest cache.
const CHUNK: usize = 1024;
/// Writes that never make codes stale: fewer vectors are quantised anew in a millisecond or so.
const FEWEST_WRITES: usize = 1000;
/// Below this many vectors signs do not pay for what is compared in eight bits after them.
const FEWEST_FOR_SIGNS: usize = 4000;
/// Bytes of a row in eight bits, in those of its signs.
const SMALLER: usize = 8;

/// Quantised vectors.
#[derive(Debug)]
pub struct Codes {
    int8: Int8,
    signs: Option<Signs>,
    web: Option<Web>,
    /// Vectors that there were when they were made, and writes since.
    built: usize,
    written: usize,
}

impl Codes {
    /// Of all vectors of a table; `signs` from as many on as pay.
    pub fn build(table: &Table, signs: bool) -> Codes {
        let int8 = Int8::build(table);
        let many = signs && table.count() >= FEWEST_FOR_SIGNS;
        let signs = many.then(|| Signs::build(table, &int8));
        Codes { int8, signs, web: None, built: table.count(), written: 0 }
    }

    /// Writes the row of a slot.
    pub fn put(&mut self, slot: u32, row: &[Floats]) {
        self.int8.put(slot, row);
        if let Some(signs) = &mut self.signs {
            signs.put(slot, row, &self.int8);
        }
        if let Some(web) = &mut self.web {
            web.put(slot);
        }
        self.written += 1;
    }

    /// Forgets a slot; false if it must not be used again yet.
    pub fn remove(&mut self, slot: u32) -> bool {
        if let Some(signs) = &mut self.signs {
            signs.remove(slot);
        }
        self.web.as_mut().is_none_or(|web| web.remove(slot))
    }

    /// The graph, if there is one.
    pub fn web(&self) -> Option<&Web> {
        self.web.as_ref()
    }

    /// Takes the graph away.
    pub fn take_web(&mut self) -> Option<Web> {
        self.web.take()
    }

    /// Goes on with a graph.
    pub fn set_web(&mut self, web: Web) {
        self.web = Some(web);
    }

    /// Links some of what is not linked yet; false if nothing was left.
    pub fn link(&mut self, walk: &mut Walk) -> bool {
        self.web.as_mut().is_some_and(|web| web.link(&self.int8, walk))
    }

    /// Keeps what efforts find.
    pub fn keep(&mut self, recalls: &[f32]) {
        self.web.as_mut().into_iter().for_each(|web| web.keep(recalls.to_vec()));
    }

    /// What efforts find, if it has to be measured.
    pub fn measured(&self, table: &Table) -> Option<Vec<f32>> {
        let web = self.web.as_ref().filter(|web| web.is_unmeasured())?;
        Some(web.measure(table, &self.int8, &Sample::of(table, &self.int8)))
    }

    /// Whether most vectors are others than those that they were made for.
    pub fn is_stale(&self, table: &Table) -> bool {
        self.written > self.built.max(FEWEST_WRITES) || table.count() < self.built / 2
    }

    /// How much to look at by signs; None where comparing all in eight bits is faster.
    ///
    /// `share` is that of the vectors that may be found.
    fn by_signs(
        &self,
        table: &Table,
        k: usize,
        recall: f32,
        share: f32,
    ) -> Option<(&Signs, Effort)> {
        let signs = self.signs.as_ref()?;
        let needed = signs.needed(recall)?;
        // Measured for ten neighbours, among those that there were; more of them lie further out, and
        // among more there are more before them.
        let grown = needed.best.saturating_mul(table.count()).div_ceil(self.built.max(1));
        let best = grown.saturating_mul(k.div_ceil(10)).max(reranked(k));
        // The nearest of some are among more of all, of which most lie in the same cells.
        let further = k.div_ceil(10) as f32 / share.sqrt();
        let cells = ((needed.cells as f32 * further) as usize).clamp(1, signs.cells());
        (best <= table.capacity() / SMALLER).then_some((signs, Effort { cells, best }))
    }

    /// What answers a search.
    pub fn method(&self, table: &Table, recall: f32) -> &'static str {
        if self.web.as_ref().is_some_and(|web| web.effort(table, 10, recall).is_some()) {
            "hnsw"
        } else if self.by_signs(table, 10, recall, 1.0).is_some() {
            "signs"
        } else {
            "int8"
        }
    }

    /// Bytes of memory.
    pub fn size_bytes(&self) -> usize {
        self.int8.size_bytes()
            + self.signs.as_ref().map_or(0, Signs::size_bytes)
            + self.web.as_ref().map_or(0, Web::size_bytes)
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// How many, of which there are as many.
    pub k: usize,
    /// Which share of the nearest is to be found, on average.
    pub recall: f32,
    /// Which may be found.
    pub allowed: Option<&'a Slots>,
}

/// Memory that a search works in, kept warm by its thread.
#[derive(Debug, Default)]
pub struct Room {
    query: Query,
    signs: signs::Room,
    walk: Walk,
    products: Vec<i32>,
    keys: Vec<f32>,
    best: Best,
    /// What the next stage looks at.
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

/// How many of the best in eight bits are compared as they are: 30 for 10 found all that exact search
/// does among 10,000 text embeddings.
fn reranked(k: usize) -> usize {
    k.saturating_mul(3).max(30)
}

/// The nearest to a prepared query.
pub fn search(
    table: &Table,
    codes: Option<&Codes>,
    query: &[Floats],
    wish: Wish<'_>,
    room: &mut Room,
) -> Vec<(u64, f32)> {
    room.slots.clear();
    let candidates = wish.allowed.map_or(table.count(), Slots::count);
    match codes {
        Some(codes) if wish.k > 0 && reranked(wish.k) < candidates => {
            codes.int8.query(query, &mut room.query);
            codes.narrow(table, candidates, wish, room);
        }
        _ => room.slots.extend(wish.allowed.unwrap_or(table.live()).iter()),
    }
    exactly(table, query, wish.k, room)
}

impl Codes {
    /// Puts into the room the slots that are best in eight bits.
    fn narrow(&self, table: &Table, candidates: usize, wish: Wish<'_>, room: &mut Room) {
        let allowed = wish.allowed.or(table.gaps());
        if self.walked(table, candidates, wish, room) {
            return self.narrow_some(wish.k, room);
        }
        let share = candidates as f32 / table.count().max(1) as f32;
        let signs = self.by_signs(table, wish.k, wish.recall, share);
        // A few are compared one by one for less than it takes to read one bit of all.
        if let Some(allowed) = allowed
            && candidates <= table.capacity() / if signs.is_some() { SMALLER } else { 2 }
        {
            room.slots.extend(allowed.iter());
            return self.narrow_some(wish.k, room);
        }
        if let Some((signs, effort)) = signs {
            let Room { query, best, slots, .. } = room;
            best.reset(effort.best);
            signs.search(query, effort.cells, allowed, best, &mut room.signs);
            if best.chosen().len() < reranked(wish.k) {
                // Those that may be found lie elsewhere.
                best.reset(effort.best);
                signs.search(query, signs.cells(), allowed, best, &mut room.signs);
            }
            slots.extend(best.chosen().iter().map(|&(_, slot)| slot));
            return self.narrow_some(wish.k, room);
        }
        let Room { query, keys, best, slots, .. } = room;
        best.reset(reranked(wish.k));
        for start in (0..table.capacity()).step_by(CHUNK) {
            keys.clear();
            self.int8.keys(query, start..table.capacity().min(start + CHUNK), keys);
            match allowed {
                Some(allowed) => best.offer(start as u32, keys, |slot| allowed.has(slot)),
                None => best.offer(start as u32, keys, |_| true),
            }
        }
        slots.extend(best.chosen().iter().map(|&(_, slot)| slot));
    }

    /// Puts into the room the slots that a walk along links finds; false if that does not serve.
    fn walked(&self, table: &Table, candidates: usize, wish: Wish<'_>, room: &mut Room) -> bool {
        let effort = |web: &Web| web.effort(table, wish.k, wish.recall);
        let Some((web, effort)) = self.web.as_ref().and_then(|web| Some((web, effort(web)?)))
        else {
            return false;
        };
        if wish.allowed.is_some() && !web.pays(table, effort, candidates) {
            room.slots.extend(wish.allowed.into_iter().flat_map(Slots::iter));
            return true;
        }
        let Room { query, walk, slots, .. } = room;
        let reach = Reach { effort, allowed: wish.allowed.or(table.gaps()) };
        web.search(Sight { int8: &self.int8, query }, reach, walk, slots);
        if slots.len() < wish.k {
            // What may be found is cut off.
            slots.clear();
        }
        slots.len() >= wish.k
    }

    /// Leaves of the slots in the room those that are best in eight bits.
    fn narrow_some(&self, k: usize, room: &mut Room) {
        let Room { query, products, keys, best, slots, .. } = room;
        best.reset(reranked(k));
        for slots in slots.chunks(CHUNK) {
            keys.clear();
            self.int8.some_keys(query, slots, products, keys);
            best.offer_of(slots, keys, |_| true);
        }
        slots.clear();
        slots.extend(best.chosen().iter().map(|&(_, slot)| slot));
    }
}

/// The `k` nearest of the slots in the room; equally near ones by label.
fn exactly(table: &Table, query: &[Floats], k: usize, room: &mut Room) -> Vec<(u64, f32)> {
    let Room { keys, best, slots, .. } = room;
    best.reset(k);
    for slots in slots.chunks(CHUNK) {
        keys.clear();
        table.metric().keys(query, table.rows(), slots, keys);
        best.offer_of(slots, keys, |_| true);
    }
    let score = |&(key, slot): &(f32, u32)| (table.label(slot), table.metric().score(key));
    let mut found: Vec<(f32, u32)> = best.chosen().to_vec();
    found.sort_unstable_by(|a, b| {
        b.0.total_cmp(&a.0).then_with(|| table.label(a.1).cmp(&table.label(b.1)))
    });
    found.iter().map(score).collect()
}
