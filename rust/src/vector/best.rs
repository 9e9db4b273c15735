//! The greatest keys out of many that are offered in turn.

use std::cmp::Ordering;

/// Keys that are compared at once before any is looked at.
const STRIDE: usize = 16;

/// A key: a float that is no NaN, or a whole number.
pub trait Key: Copy + PartialOrd {
    /// As `Ord` has it.
    fn order(self, other: Self) -> Ordering;
}

impl Key for f32 {
    fn order(self, other: Self) -> Ordering {
        self.total_cmp(&other)
    }
}

impl Key for i32 {
    fn order(self, other: Self) -> Ordering {
        self.cmp(&other)
    }
}

/// Keeps the greatest keys with their slots.
///
/// A buffer of twice as many takes what is above the floor; when it is full, it is cut in halves
/// and the floor rises. So almost all of many keys cost a comparison, sixteen at a time.
#[derive(Debug)]
pub struct Best<K> {
    kept: Vec<(K, u32)>,
    most: usize,
    floor: Option<K>,
}

impl<K: Key> Default for Best<K> {
    fn default() -> Self {
        Best { kept: Vec::new(), most: 0, floor: None }
    }
}

impl<K: Key> Best<K> {
    /// Begins anew, for `most` keys.
    pub fn reset(&mut self, most: usize) {
        self.kept.clear();
        self.most = most;
        self.floor = None;
    }

    /// Offers the keys of the slots from `first` on; `allowed` is asked for those that may count.
    pub fn offer(&mut self, first: u32, keys: &[K], allowed: impl Fn(u32) -> bool) {
        for (at, stride) in keys.chunks(STRIDE).enumerate() {
            // Without a floor all are above it.
            let above = |key: K| self.floor.is_none_or(|floor| key > floor);
            if !stride.iter().fold(false, |any, &key| any | above(key)) {
                continue;
            }
            let first = first + (at * STRIDE) as u32;
            for (&key, slot) in stride.iter().zip(first..) {
                if self.floor.is_none_or(|floor| key > floor) && allowed(slot) {
                    self.keep(key, slot);
                }
            }
        }
    }

    /// Offers keys with their slots.
    pub fn offer_some(&mut self, slots: &[u32], keys: &[K]) {
        for (&slot, &key) in slots.iter().zip(keys) {
            if self.floor.is_none_or(|floor| key > floor) {
                self.keep(key, slot);
            }
        }
    }

    fn keep(&mut self, key: K, slot: u32) {
        self.kept.push((key, slot));
        if self.kept.len() >= self.most.saturating_mul(2).max(STRIDE) {
            self.cut();
        }
    }

    /// Drops what is not among the greatest.
    fn cut(&mut self) {
        let Some(last) = self.most.checked_sub(1) else {
            return self.kept.clear();
        };
        if last < self.kept.len() {
            let (_, floor, _) = self.kept.select_nth_unstable_by(last, |a, b| b.0.order(a.0));
            self.floor = Some(floor.0);
            self.kept.truncate(self.most);
        }
    }

    /// The greatest, in any order.
    pub fn chosen(&mut self) -> &[(K, u32)] {
        self.cut();
        &self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_are_kept_whatever_the_order() {
        let keys: Vec<i32> = (0..5_000).map(|at| at * 7_919 % 5_003).collect();
        for most in [0, 1, 7, 100, 4_999, 5_000, 9_000] {
            let mut best = Best::default();
            best.reset(most);
            for (at, chunk) in keys.chunks(333).enumerate() {
                best.offer(at as u32 * 333, chunk, |slot| slot % 3 != 0);
            }
            let mut truth: Vec<(i32, u32)> =
                keys.iter().copied().zip(0..).filter(|(_, slot)| slot % 3 != 0).collect();
            truth.sort_by_key(|(key, _)| -key);
            truth.truncate(most);
            let mut chosen = best.chosen().to_vec();
            chosen.sort_by_key(|(key, _)| -key);
            assert_eq!(chosen, truth);
        }
    }
}
