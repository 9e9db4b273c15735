//! A navigable graph over the rows in eight bits: HNSW (arXiv 1603.09320, algorithms 1 to 5).
//!
//! Every vector is linked to its neighbours, nearer and farther ones in different directions; one in
//! sixteen also on the level above, and so on. A search goes down from the top, always on to what is
//! nearer. Vectors that were taken out stay in the graph as ways, and are never found.

use super::int8::{Int8, Query};
use super::slots::Slots;
use super::walk::{Near, Walk};

/// Levels are drawn so that more are as good as impossible.
pub const MOST_LEVELS: usize = 16;
/// Links of a vector on each level, twice as many on the lowest: more made text embeddings no faster to
/// search at any recall, and slower to link.
pub const LINKS: usize = 16;
/// How many neighbours are looked for when a vector is linked.
const EFFORT: usize = 200;
/// Numbers of a slot on the lowest level: how many links it has, and room for all.
const STRIDE: usize = 1 + 2 * LINKS;

/// The links of slots.
#[derive(Debug, Default)]
pub struct Graph {
    ground: Vec<u32>,
    /// Those of the levels above, of the few slots that have any.
    upper: Vec<Vec<Vec<u32>>>,
    linked: Slots,
    /// Where searches begin, and its level.
    entry: Option<(u32, usize)>,
}

/// What a walk goes by.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'a> {
    /// Where rows are.
    pub int8: &'a Int8,
    /// What is near.
    pub query: &'a Query,
}

/// How far a walk goes.
#[derive(Debug, Clone, Copy)]
pub struct Reach<'a> {
    /// How many of the nearest are kept.
    pub effort: usize,
    /// Which are.
    pub allowed: Option<&'a Slots>,
}

impl Graph {
    /// The slots that are linked.
    pub fn linked(&self) -> &Slots {
        &self.linked
    }

    /// Where searches begin, and on which level.
    pub fn entry(&self) -> Option<(u32, usize)> {
        self.entry
    }

    /// Begins searches at a slot; false, and nothing changes, if others are on more levels.
    pub fn begin_at(&mut self, slot: Option<u32>) -> bool {
        let Some((_, top)) = self.entry else { return slot.is_none() };
        let found = slot.filter(|&slot| self.linked.has(slot) && self.levels(slot) == top);
        self.entry = found.map_or(self.entry, |slot| Some((slot, top)));
        found.is_some()
    }

    /// Bytes of memory.
    pub fn size_bytes(&self) -> usize {
        let levels = self.upper.iter().flatten().map(|links| 24 + links.capacity() * 4);
        self.ground.capacity() * 4 + self.upper.capacity() * 24 + levels.sum::<usize>()
    }

    /// How many levels above the lowest a slot is on.
    pub fn levels(&self, slot: u32) -> usize {
        self.upper.get(slot as usize).map_or(0, Vec::len)
    }

    /// The slots that one leads to on a level.
    pub fn links(&self, slot: u32, level: usize) -> &[u32] {
        let Some(above) = level.checked_sub(1) else {
            let start = slot as usize * STRIDE;
            let row = self.ground.get(start..start + STRIDE).unwrap_or(&[]);
            let (count, links) = row.split_first().unwrap_or((&0, &[]));
            return links.get(..*count as usize).unwrap_or(&[]);
        };
        let levels = self.upper.get(slot as usize).map_or(&[][..], Vec::as_slice);
        levels.get(above).map_or(&[], Vec::as_slice)
    }

    /// Sets the links of a slot on a level that it is on.
    pub fn link(&mut self, slot: u32, level: usize, to: &[u32]) {
        let Some(above) = level.checked_sub(1) else {
            let row = self.ground.iter_mut().skip(slot as usize * STRIDE);
            let values = std::iter::once(to.len() as u32).chain(to.iter().copied());
            return row.zip(values).for_each(|(old, new)| *old = new);
        };
        if let Some(links) = self.upper.get_mut(slot as usize).and_then(|up| up.get_mut(above)) {
            links.clear();
            links.extend_from_slice(to);
        }
    }

    /// Adds a slot, without links, that is on so many levels above the lowest; a search begins at the
    /// first of those that are on the most.
    pub fn add(&mut self, slot: u32, levels: usize) {
        let slots = self.upper.len().max(slot as usize + 1);
        self.ground.resize(slots * STRIDE, 0);
        self.upper.resize(slots, Vec::new());
        self.upper.iter_mut().skip(slot as usize).take(1).for_each(|up| {
            *up = vec![Vec::new(); levels];
        });
        self.linked.add(slot);
        if self.entry.is_none_or(|(_, top)| levels > top) {
            self.entry = Some((slot, levels));
        }
    }

    /// Links a slot, whose row is there (algorithm 1).
    pub fn insert(&mut self, slot: u32, int8: &Int8, walk: &mut Walk) {
        let level = drawn(slot);
        let before = self.entry;
        self.add(slot, level);
        let Some((mut at, top)) = before else { return };
        let mut query = Query::default();
        int8.row_query(slot, &mut query);
        let sight = Sight { int8, query: &query };
        for above in (level + 1..=top).rev() {
            at = self.descended(sight, at, above, walk);
        }
        let reach = Reach { effort: EFFORT, allowed: None };
        for level in (0..=level.min(top)).rev() {
            let near = self.nearest(sight, at, reach, level, walk);
            at = near.first().map_or(at, |&(_, nearest)| nearest);
            let chosen = chosen(int8, slot, &near, LINKS, walk);
            self.link(slot, level, &chosen);
            chosen.iter().for_each(|&other| self.link_back(int8, other, slot, level, walk));
        }
    }

    /// Adds a link, and drops the least useful one where there is no room.
    fn link_back(&mut self, int8: &Int8, from: u32, to: u32, level: usize, walk: &mut Walk) {
        let mut links = self.links(from, level).to_vec();
        links.push(to);
        let most = if level == 0 { 2 * LINKS } else { LINKS };
        if links.len() > most {
            let mut query = Query::default();
            int8.row_query(from, &mut query);
            let near = walk.sorted(Sight { int8, query: &query }, &links);
            links = chosen(int8, from, &near, most, walk);
        }
        self.link(from, level, &links);
    }

    /// The nearest slot that single steps on a level lead to.
    fn descended(&self, sight: Sight<'_>, from: u32, level: usize, walk: &mut Walk) -> u32 {
        let reach = Reach { effort: 1, allowed: None };
        self.nearest(sight, from, reach, level, walk).first().map_or(from, |near| near.1)
    }

    /// The nearest slots of a level that a walk from `from` finds, the nearest first (algorithm 2).
    fn nearest(
        &self,
        sight: Sight<'_>,
        from: u32,
        reach: Reach<'_>,
        level: usize,
        walk: &mut Walk,
    ) -> Vec<Near> {
        walk.begin(self.upper.len());
        walk.look(sight, &[from], reach);
        while let Some(next) = walk.next(reach) {
            walk.look(sight, self.links(next, level), reach);
        }
        walk.found()
    }

    /// Adds to `slots` the nearest to a query (algorithm 5).
    pub fn search(
        &self,
        sight: Sight<'_>,
        reach: Reach<'_>,
        walk: &mut Walk,
        slots: &mut Vec<u32>,
    ) {
        let Some((mut at, top)) = self.entry else { return };
        for level in (1..=top).rev() {
            at = self.descended(sight, at, level, walk);
        }
        let found = self.nearest(sight, at, reach, 0, walk);
        slots.extend(found.iter().map(|&(_, slot)| slot));
    }
}

/// How many levels above the lowest a slot is on. Drawn from its number, so that equal insertions make
/// equal graphs.
fn drawn(slot: u32) -> usize {
    let mut mixed = u64::from(slot).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    // One in sixteen has four zeros at its end, one in sixteen of these four more.
    ((mixed.trailing_zeros() / LINKS.ilog2()) as usize).min(MOST_LEVELS)
}

/// Of slots, the nearest first, those that are nearer to `base` than to one chosen before
/// (algorithm 4), at most `most`.
fn chosen(int8: &Int8, base: u32, near: &[Near], most: usize, walk: &mut Walk) -> Vec<u32> {
    // The base comes first: with it the others are compared.
    let mut chosen: Vec<u32> = Vec::with_capacity(most + 1);
    chosen.push(base);
    let mut query = Query::default();
    for &(_, slot) in near {
        if chosen.len() > most {
            break;
        }
        int8.row_query(slot, &mut query);
        let keys = walk.keys(Sight { int8, query: &query }, &chosen);
        let (to_base, others) = keys.split_first().unwrap_or((&0.0, &[]));
        if others.iter().all(|key| key < to_base) {
            chosen.push(slot);
        }
    }
    chosen.remove(0);
    chosen
}
