//! Which text stands for each letter: lower case, without accents, with spaces around punctuation
//! and ideographs (BERT's uncased normaliser and pre-tokeniser in one table).
//!
//! The table comes with the model and not from a crate: a text must keep its vector when a compiler
//! brings a newer Unicode.

use crate::error::{Error, Result};
use crate::wire::Take;
use std::ops::Range;

/// Letters that follow each other and have one replacement.
struct Run {
    first: u32,
    last: u32,
    text: Range<usize>,
}

/// A letter that is in no run stands for itself.
pub struct Letters {
    /// Of the first letters, which nearly all text is made of, without a search.
    ascii: Vec<Option<Range<usize>>>,
    runs: Vec<Run>,
    /// All replacements, one after the other.
    texts: String,
}

impl Letters {
    /// Reads a varint count, and of each run a varint gap to the end of the one before, a varint
    /// length, and the text with its length.
    pub fn read(take: &mut Take<'_>) -> Result<Self> {
        let count = take.count()?;
        let (mut runs, mut texts) = (Vec::with_capacity(count), String::new());
        let mut end = 0;
        for _ in 0..count {
            let first = bounded(end, take.varint()?)?;
            end = bounded(first, take.varint()?)?;
            if first == end {
                return Err(Error::new("malformed", "a run of letters is empty"));
            }
            let start = texts.len();
            texts.push_str(take.text()?);
            runs.push(Run { first, last: end - 1, text: start..texts.len() });
        }
        let ascii = (0..128).map(|letter| search(&runs, letter)).collect();
        Ok(Letters { ascii, runs, texts })
    }

    /// What stands for a letter; none: it stands for itself.
    #[inline]
    pub fn replacement(&self, letter: char) -> Option<&str> {
        let found = match self.ascii.get(letter as usize) {
            Some(found) => found.clone(),
            None => search(&self.runs, letter as u32),
        };
        self.texts.get(found?)
    }
}

fn search(runs: &[Run], letter: u32) -> Option<Range<usize>> {
    let at = runs.partition_point(|run| run.last < letter);
    runs.get(at).filter(|run| run.first <= letter).map(|run| run.text.clone())
}

/// The sum, if it is at most one more than the last letter of Unicode.
fn bounded(from: u32, more: u64) -> Result<u32> {
    u64::from(from)
        .checked_add(more)
        .and_then(|sum| u32::try_from(sum).ok())
        .filter(|&sum| sum <= char::MAX as u32 + 1)
        .ok_or_else(|| Error::new("malformed", "a run of letters lies outside Unicode"))
}
