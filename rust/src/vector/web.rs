//! A graph that follows a table: what is not linked yet, what was taken out, and what efforts give.

use super::graph::{Graph, Reach, Sight};
use super::int8::Int8;
use super::ranks::{NEIGHBOURS, RESERVE, Sample};
use super::slots::Slots;
use super::table::Table;
use super::walk::Walk;

/// Efforts that are measured.
const EFFORTS: [usize; 12] = [10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448];
/// Fewer vectors are compared with a query in eight bits in less time than a walk takes.
const FEWEST: usize = 1000;
/// Slots that are linked at a time: searches wait so long.
const LINKED: usize = 8;
/// What a step of a walk costs, in vectors compared one by one.
const STEP: usize = 16;

/// The graph of a table.
#[derive(Debug, Default)]
pub struct Web {
    graph: Graph,
    /// Compared one by one until they are linked.
    pending: Slots,
    /// Linked slots whose vectors were taken out.
    dead: Vec<u32>,
    /// What was found with each of the efforts.
    recalls: Vec<f32>,
    /// How many were linked when that was measured.
    measured: usize,
}

impl Web {
    /// Of a table, nothing of which is linked yet.
    pub fn new(table: &Table) -> Web {
        Web { pending: table.live().clone(), ..Web::default() }
    }

    /// With a graph of all of a table.
    pub fn with(graph: Graph) -> Web {
        Web { graph, ..Web::default() }
    }

    /// The graph, if it has all vectors.
    pub fn whole(&self) -> Option<&Graph> {
        (self.pending.count() == 0).then_some(&self.graph)
    }

    /// Is told of a new slot.
    pub fn put(&mut self, slot: u32) {
        self.pending.add(slot);
    }

    /// Forgets a slot; false if it must not be used again yet, because it is a way to others.
    pub fn remove(&mut self, slot: u32) -> bool {
        let linked = self.graph.linked().has(slot);
        match linked {
            true => self.dead.push(slot),
            false => self.pending.drop(slot),
        }
        !linked
    }

    /// Whether so much of it is dead that one without that is better.
    pub fn is_worn(&self, table: &Table) -> bool {
        self.dead.len() > table.count().max(FEWEST)
    }

    /// Slots that may be used again once it is gone.
    pub fn into_dead(self) -> Vec<u32> {
        self.dead
    }

    /// Links some slots; false if none was left.
    pub fn link(&mut self, int8: &Int8, walk: &mut Walk) -> bool {
        let some: Vec<u32> = self.pending.iter().take(LINKED).collect();
        for &slot in &some {
            self.pending.drop(slot);
            self.graph.insert(slot, int8, walk);
        }
        !some.is_empty()
    }

    /// Whether what efforts give was measured on fewer vectors by half.
    pub fn is_unmeasured(&self) -> bool {
        let linked = self.graph.linked().count();
        linked >= FEWEST && linked / 2 >= self.measured
    }

    /// What each effort finds of the neighbours of samples.
    pub fn measure(&self, table: &Table, int8: &Int8, samples: &[Sample]) -> Vec<f32> {
        let (mut walk, mut slots) = (Walk::default(), Vec::new());
        let allowed = table.gaps();
        let mut found = |effort: usize| {
            let mut hits = 0;
            for Sample { slot, query, near } in samples {
                slots.clear();
                // A sample's own links would lead straight to its neighbours.
                walk.shunned = Some(*slot);
                let reach = Reach { effort, allowed };
                self.graph.search(Sight { int8, query }, reach, &mut walk, &mut slots);
                let found = slots.iter().take(NEIGHBOURS);
                hits += found.filter(|other| near.contains(other)).count();
            }
            let all = samples.iter().map(|sample| sample.near.len()).sum::<usize>();
            hits as f32 / all.max(1) as f32
        };
        EFFORTS.iter().map(|&effort| found(effort)).collect()
    }

    /// Keeps what was measured.
    pub fn keep(&mut self, recalls: Vec<f32>) {
        self.recalls = recalls;
        self.measured = self.graph.linked().count();
    }

    /// The effort that finds a recall; None where comparing all is faster or no effort is known to.
    pub fn effort(&self, table: &Table, k: usize, recall: f32) -> Option<usize> {
        let enough = 1.0 - (1.0 - recall) * RESERVE as f32;
        let at = self.recalls.iter().position(|&found| found >= enough)?;
        let known = recall < 1.0 && self.pending.count() <= table.count() / 8;
        let effort = EFFORTS.get(at).filter(|_| known && table.count() >= FEWEST)?;
        Some((effort * k.max(NEIGHBOURS)).div_ceil(NEIGHBOURS))
    }

    /// Whether a walk for some of the vectors costs less than comparing these one by one.
    pub fn pays(&self, table: &Table, effort: usize, candidates: usize) -> bool {
        let steps = effort.saturating_mul(table.count()) / candidates.max(1);
        candidates > steps.saturating_mul(STEP)
    }

    /// Adds to `slots` the nearest, and all that are not linked.
    pub fn search(
        &self,
        sight: Sight<'_>,
        reach: Reach<'_>,
        walk: &mut Walk,
        slots: &mut Vec<u32>,
    ) {
        self.graph.search(sight, reach, walk, slots);
        let allowed = |slot: &u32| reach.allowed.is_none_or(|allowed| allowed.has(*slot));
        slots.extend(self.pending.iter().filter(allowed));
    }

    /// Bytes of memory.
    pub fn size_bytes(&self) -> usize {
        self.graph.size_bytes() + self.pending.size_bytes() + self.dead.capacity() * 4
    }
}
