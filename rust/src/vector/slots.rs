//! A set of slots, a bit each.

/// Slots in a word.
const WIDTH: usize = 64;

/// Which slots of a table are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slots {
    words: Vec<u64>,
    count: usize,
}

impl Slots {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether `slot` is one of them.
    pub fn has(&self, slot: u32) -> bool {
        let word = self.words.get(slot as usize / WIDTH).copied().unwrap_or(0);
        word >> (slot as usize % WIDTH) & 1 == 1
    }

    /// Adds one.
    pub fn add(&mut self, slot: u32) {
        let at = slot as usize / WIDTH;
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        let bit = 1 << (slot as usize % WIDTH);
        if let Some(word) = self.words.get_mut(at)
            && *word & bit == 0
        {
            *word |= bit;
            self.count += 1;
        }
    }

    /// Takes one out.
    pub fn drop(&mut self, slot: u32) {
        let bit = 1 << (slot as usize % WIDTH);
        if let Some(word) = self.words.get_mut(slot as usize / WIDTH)
            && *word & bit != 0
        {
            *word &= !bit;
            self.count -= 1;
        }
    }

    /// Adds those of another set.
    pub fn join(&mut self, other: &Slots) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
        self.count = self.words.iter().map(|word| word.count_ones() as usize).sum();
    }

    /// All of them, rising.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(at, &word)| {
            let rest = std::iter::successors(Some(word), |&word| Some(word & word.wrapping_sub(1)));
            let bits = rest.take_while(|&word| word != 0);
            bits.map(move |word| (at * WIDTH) as u32 + word.trailing_zeros())
        })
    }

    /// Bytes of memory.
    pub fn size_bytes(&self) -> usize {
        self.words.capacity() * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_there_once_and_rises() {
        let mut slots = Slots::default();
        [200, 3, 64, 3, 63].into_iter().for_each(|slot| slots.add(slot));
        slots.drop(64);
        slots.drop(64);
        slots.drop(9_999);
        assert_eq!(slots.iter().collect::<Vec<_>>(), [3, 63, 200]);
        assert_eq!(
            (slots.count(), slots.has(63), slots.has(64), slots.has(9_999)),
            (3, true, false, false)
        );
    }
    #[test]
    fn what_two_sets_share_counts_once() {
        let mut slots = Slots::default();
        let mut other = Slots::default();
        [1, 70].into_iter().for_each(|slot| slots.add(slot));
        [70, 300].into_iter().for_each(|slot| other.add(slot));
        slots.join(&other);
        assert_eq!((slots.iter().collect::<Vec<_>>(), slots.count()), (vec![1, 70, 300], 3));
    }
}
