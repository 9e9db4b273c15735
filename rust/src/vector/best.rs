//! The greatest keys out of many that are offered in turn.

/// Keys that are compared at once before any is looked at.
const STRIDE: usize = 16;

/// Keeps the greatest keys with their slots.
///
/// A buffer of twice as many takes what is above the floor; when it is full, it is cut in halves
/// and the floor rises. So almost all of many keys cost a comparison, sixteen at a time.
#[derive(Debug, Default)]
pub struct Best {
    kept: Vec<(f32, u32)>,
    most: usize,
    floor: f32,
}

impl Best {
    /// For `most` keys.
    pub fn new(most: usize) -> Self {
        Best { kept: Vec::new(), most, floor: f32::NEG_INFINITY }
    }

    /// Begins anew, for `most` keys.
    pub fn reset(&mut self, most: usize) {
        self.kept.clear();
        self.most = most;
        self.floor = f32::NEG_INFINITY;
    }

    /// Offers the keys of the slots from `first` on; `allowed` is asked for those that may count.
    pub fn offer(&mut self, first: u32, keys: &[f32], allowed: impl Fn(u32) -> bool) {
        for (at, stride) in keys.chunks(STRIDE).enumerate() {
            if !stride.iter().fold(false, |any, &key| any | (key > self.floor)) {
                continue;
            }
            let first = first + (at * STRIDE) as u32;
            for (&key, slot) in stride.iter().zip(first..) {
                if key > self.floor && allowed(slot) {
                    self.keep(key, slot);
                }
            }
        }
    }

    /// Above what a key must be.
    pub fn floor(&self) -> f32 {
        self.floor
    }

    /// Offers the keys of some slots.
    pub fn offer_of(&mut self, slots: &[u32], keys: &[f32], allowed: impl Fn(u32) -> bool) {
        for (slots, stride) in slots.chunks(STRIDE).zip(keys.chunks(STRIDE)) {
            if !stride.iter().fold(false, |any, &key| any | (key > self.floor)) {
                continue;
            }
            for (&slot, &key) in slots.iter().zip(stride) {
                if key > self.floor && allowed(slot) {
                    self.keep(key, slot);
                }
            }
        }
    }

    fn keep(&mut self, key: f32, slot: u32) {
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
            let (_, last, _) = self.kept.select_nth_unstable_by(last, |a, b| b.0.total_cmp(&a.0));
            self.floor = last.0;
            self.kept.truncate(self.most);
        }
    }

    /// The greatest, in any order.
    pub fn chosen(&mut self) -> &[(f32, u32)] {
        self.cut();
        &self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_are_kept_whatever_the_order() {
        let keys: Vec<f32> = (0..5_000u32).map(|at| (at * 7_919 % 5_003) as f32).collect();
        for most in [0, 1, 7, 100, 4_999, 5_000, 9_000] {
            let mut best = Best::default();
            best.reset(most);
            for (at, chunk) in keys.chunks(333).enumerate() {
                best.offer(at as u32 * 333, chunk, |slot| slot % 3 != 0);
            }
            let mut truth: Vec<(f32, u32)> =
                keys.iter().copied().zip(0..).filter(|(_, slot)| slot % 3 != 0).collect();
            truth.sort_by(|a, b| b.0.total_cmp(&a.0));
            truth.truncate(most);
            let mut chosen = best.chosen().to_vec();
            chosen.sort_by(|a, b| b.0.total_cmp(&a.0));
            assert_eq!(chosen, truth);
        }
    }
}
