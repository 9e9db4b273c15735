//! The vocabulary of a WordPiece model (Wu et al., arXiv 1609.08144, section 4.1; BERT's variant).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use xxhash_rust::xxh3::xxh3_64;

/// Longer words are unknown, as in BERT.
pub const LONGEST_WORD: usize = 100;
/// What stands before a piece that continues a word.
const CONTINUES: &str = "##";

/// The hash of one short key. The keys are fixed, so nobody can choose ones that collide.
#[derive(Default)]
struct OfKey(u64);

impl Hasher for OfKey {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    // Of a length, and of what ends a text: one key is one piece, so neither tells keys apart.
    fn write_usize(&mut self, _: usize) {}
    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The pieces that begin words, or those that continue them.
struct Pieces {
    numbers: HashMap<Box<str>, u32, BuildHasherDefault<OfKey>>,
    longest_bytes: usize,
}

impl Pieces {
    fn with_room(pieces: usize) -> Self {
        let numbers = HashMap::with_capacity_and_hasher(pieces, BuildHasherDefault::new());
        Pieces { numbers, longest_bytes: 0 }
    }

    fn add(&mut self, piece: &str, number: u32) {
        self.longest_bytes = self.longest_bytes.max(piece.len());
        self.numbers.insert(piece.into(), number);
    }

    /// The longest piece that `text` begins with, and what is left after it.
    fn longest<'a>(&self, text: &'a str) -> Option<(u32, &'a str)> {
        let longest = text.len().min(self.longest_bytes);
        (1..=longest)
            .rev()
            .filter_map(|len| text.split_at_checked(len))
            .find_map(|(head, rest)| self.numbers.get(head).map(|&number| (number, rest)))
    }
}

/// Pieces and their numbers.
pub struct Words {
    starts: Pieces,
    continuations: Pieces,
}

impl Words {
    /// None yet, with room for as many.
    pub fn with_room(pieces: usize) -> Self {
        Words { starts: Pieces::with_room(pieces), continuations: Pieces::with_room(pieces / 4) }
    }

    /// Adds the next piece of the vocabulary.
    pub fn add(&mut self, piece: &str, number: u32) {
        match piece.strip_prefix(CONTINUES) {
            Some(rest) if !rest.is_empty() => self.continuations.add(rest, number),
            _ => self.starts.add(piece, number),
        }
    }

    /// Appends the numbers of a word's pieces, the longest first from the left; nothing if a rest
    /// of it is no piece.
    pub fn split(&self, word: &str, numbers: &mut Vec<u32>) {
        let before = numbers.len();
        let mut found = self.starts.longest(word);
        while let Some((number, rest)) = found {
            numbers.push(number);
            if rest.is_empty() {
                return;
            }
            found = self.continuations.longest(rest);
        }
        numbers.truncate(before);
    }
}
