//! A walk along links: what it has seen, what it has yet to look at, and the best so far.

use super::graph::{Reach, Sight};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A slot by nearness: keys as whole numbers that order as they do.
pub type Near = (i32, u32);

fn ordered(key: f32) -> i32 {
    let bits = key.to_bits().cast_signed();
    bits ^ ((bits >> 31).cast_unsigned() >> 1).cast_signed()
}

/// Memory that a walk works in, used again by the next.
#[derive(Debug, Default)]
pub struct Walk {
    /// In which round each slot was seen.
    seen: Vec<u32>,
    round: u32,
    /// A slot that it does not go to.
    pub shunned: Option<u32>,
    open: BinaryHeap<Near>,
    best: BinaryHeap<Reverse<Near>>,
    batch: Vec<u32>,
    products: Vec<i32>,
    keys: Vec<f32>,
}

impl Walk {
    /// Forgets what was seen of so many slots.
    pub fn begin(&mut self, slots: usize) {
        self.seen.resize(slots.max(self.seen.len()), 0);
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.seen.fill(0);
            self.round = 1;
        }
        self.open.clear();
        self.best.clear();
        let shunned =
            self.seen.iter_mut().skip(self.shunned.map_or(usize::MAX, |slot| slot as usize));
        shunned.take(1).for_each(|seen| *seen = self.round);
    }

    /// Looks at those slots that were not seen before.
    pub fn look(&mut self, sight: Sight<'_>, slots: &[u32], reach: Reach<'_>) {
        self.batch.clear();
        for &slot in slots {
            if let Some(seen) = self.seen.get_mut(slot as usize)
                && *seen != self.round
            {
                *seen = self.round;
                self.batch.push(slot);
            }
        }
        self.keys.clear();
        sight.int8.some_keys(sight.query, &self.batch, &mut self.products, &mut self.keys);
        for (&slot, &key) in self.batch.iter().zip(&self.keys) {
            let near = (ordered(key), slot);
            let full = self.best.len() >= reach.effort;
            if full && self.best.peek().is_some_and(|Reverse(worst)| near <= *worst) {
                continue;
            }
            self.open.push(near);
            if reach.allowed.is_none_or(|allowed| allowed.has(slot)) {
                self.best.push(Reverse(near));
                if full {
                    self.best.pop();
                }
            }
        }
    }

    /// The nearest slot whose links are to be looked at; None if all that is left is farther than
    /// what was found.
    pub fn next(&mut self, reach: Reach<'_>) -> Option<u32> {
        let next = self.open.pop()?;
        let full = self.best.len() >= reach.effort;
        let farther = |Reverse(worst): &Reverse<Near>| next < *worst;
        (!(full && self.best.peek().is_some_and(farther))).then_some(next.1)
    }

    /// What was found, the nearest first.
    pub fn found(&mut self) -> Vec<Near> {
        let mut found: Vec<Near> = self.best.drain().map(|Reverse(near)| near).collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found
    }

    /// Slots, the nearest first.
    pub fn sorted(&mut self, sight: Sight<'_>, slots: &[u32]) -> Vec<Near> {
        let keys = self.keys(sight, slots).iter();
        let mut near: Vec<Near> =
            keys.map(|&key| ordered(key)).zip(slots.iter().copied()).collect();
        near.sort_unstable_by(|a, b| b.cmp(a));
        near
    }

    /// The keys of slots.
    pub fn keys(&mut self, sight: Sight<'_>, slots: &[u32]) -> &[f32] {
        self.keys.clear();
        sight.int8.some_keys(sight.query, slots, &mut self.products, &mut self.keys);
        &self.keys
    }
}
