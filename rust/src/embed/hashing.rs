//! Feature hashing (Weinberger et al., arXiv 0902.2206): no model, no meaning, only shared words.

use super::batch::Embed;
use super::unit;
use crate::error::Result;
use xxhash_rust::xxh3::xxh3_64_with_seed;

const OF_WORDS: u64 = 0;
const OF_PARTS: u64 = 1;
/// Bytes of a part of a word: "restart" and "restarted" share most of theirs.
const PART_BYTES: usize = 4;
/// A word weighs as much as this many of its parts.
const WORD_WEIGHT: f64 = 3.0;

/// Counts words and parts of words in as many places as the dimension says, with signs.
pub struct Hashing {
    dimension: usize,
}

impl Hashing {
    /// Vectors of `dimension` numbers.
    pub fn new(dimension: usize) -> Self {
        Hashing { dimension }
    }

    fn count(&self, seed: u64, feature: &[u8], weight: f64, counts: &mut [f64]) {
        let hash = xxh3_64_with_seed(feature, seed);
        // The sign has a bit of its own, so that features that meet cancel out on average.
        let at = (hash >> 1) as usize % self.dimension;
        if let Some(count) = counts.get_mut(at) {
            *count += if hash & 1 == 0 { weight } else { -weight };
        }
    }
}

impl Embed for Hashing {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn embed(&self, text: &str, out: &mut [f32]) -> Result<()> {
        let mut counts = vec![0f64; self.dimension];
        let mut word = Vec::new();
        // Beyond ASCII every letter is one of a word: what Unicode says of it may change.
        let in_word = |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
        for part in text.as_bytes().split(|byte| !in_word(byte)).filter(|part| !part.is_empty()) {
            self.count(OF_WORDS, &part.to_ascii_lowercase(), WORD_WEIGHT, &mut counts);
            word.clear();
            word.push(b' ');
            word.extend(part.iter().map(u8::to_ascii_lowercase));
            word.push(b' ');
            for window in word.windows(PART_BYTES) {
                self.count(OF_PARTS, window, 1.0, &mut counts);
            }
        }
        unit(&counts, out)
    }
}
