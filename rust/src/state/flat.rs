//! One state as the walk leaves it: two arenas, and the large arrays where they lie.

use crate::error::{Error, Result};
use crate::wire::{SHORT_BYTES, put_short};

/// Many byte strings behind one another.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Arena {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Arena {
    /// Over buffers that were used before.
    pub fn with_buffers(mut bytes: Vec<u8>, mut ends: Vec<usize>) -> Self {
        bytes.clear();
        ends.clear();
        Arena { bytes, ends }
    }

    /// The buffers, for the next use.
    pub fn into_buffers(self) -> (Vec<u8>, Vec<usize>) {
        (self.bytes, self.ends)
    }

    /// An arena of `bytes` cut at `ends`.
    pub fn from_parts(bytes: Vec<u8>, ends: Vec<usize>) -> Self {
        Arena { bytes, ends }
    }

    /// How many strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends one string.
    pub fn push(&mut self, string: &[u8]) {
        self.bytes.extend_from_slice(string);
        self.ends.push(self.bytes.len());
    }

    /// Appends one string given in two parts, which are mostly short.
    #[inline]
    pub fn push_joined(&mut self, prefix: &[u8], rest: &[u8]) {
        for part in [prefix, rest] {
            if part.len() <= SHORT_BYTES {
                put_short(&mut self.bytes, part);
            } else {
                self.bytes.extend_from_slice(part);
            }
        }
        self.ends.push(self.bytes.len());
    }

    /// The string at `at`; empty beyond the end.
    #[inline]
    pub fn get(&self, at: usize) -> &[u8] {
        let start = match at.checked_sub(1) {
            Some(before) => self.ends.get(before).copied().unwrap_or(usize::MAX),
            None => 0,
        };
        let end = self.ends.get(at).copied().unwrap_or(0);
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// The places of the strings, in ascending order of the strings.
    ///
    /// Most comparisons are of the eight bytes behind what all strings share: no memory is chased.
    pub fn ascending(&self) -> Vec<u32> {
        let first = self.get(0);
        let shared = self.iter().fold(first.len(), |shared, string| {
            let both = first.iter().zip(string).take(shared);
            both.take_while(|(a, b)| a == b).count()
        });
        let rest = |at: u32| self.get(at as usize).get(shared..).unwrap_or_default();
        let mut order: Vec<(u64, u32)> = (0..self.len() as u32)
            .map(|at| {
                let mut eight = [0; 8];
                eight.iter_mut().zip(rest(at)).for_each(|(to, from)| *to = *from);
                (u64::from_be_bytes(eight), at)
            })
            .collect();
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| rest(a.1).cmp(rest(b.1))));
        order.into_iter().map(|(_, at)| at).collect()
    }

    /// The strings in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|at| self.get(at))
    }
}

/// Bytes that lie elsewhere and stay valid until dropped: the items of an array.
pub trait Payload: Send + Sync {
    /// The bytes.
    fn bytes(&self) -> &[u8];
}

impl Payload for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }
}

/// The rest of one value, outside the arena.
pub struct Outside {
    /// Which entry it belongs to.
    pub entry: usize,
    /// What follows that entry's bytes in the arena.
    pub payload: Box<dyn Payload>,
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outside(entry {}, {} bytes)", self.entry, self.payload.bytes().len())
    }
}

/// A flat state with the blueprint and the classes it belongs to.
#[derive(Debug, Default)]
pub struct Flat {
    /// Dot paths, in the order of the walk.
    pub paths: Arena,
    /// Encoded values, in the same order.
    pub values: Arena,
    /// The parts of values too large to copy, by ascending entry.
    pub outside: Vec<Outside>,
    /// The encoded blueprint: kinds, ids and plain fields, but no Param values.
    pub blueprint: Vec<u8>,
    /// The encoded table of its classes.
    pub schema: Vec<u8>,
}

impl Flat {
    /// How many bytes of values there are.
    pub fn size_bytes(&self) -> usize {
        let outside: usize = self.outside.iter().map(|part| part.payload.bytes().len()).sum();
        self.values.bytes().len() + outside
    }

    /// The paths of values longer than `limit`.
    pub fn large(&self, limit: usize) -> impl Iterator<Item = &[u8]> {
        let mut outside = self.outside.iter().map(|part| part.entry).peekable();
        (0..self.paths.len()).filter_map(move |entry| {
            let outside = outside.next_if(|at| *at == entry).is_some();
            (outside || self.values.get(entry).len() > limit).then(|| self.paths.get(entry))
        })
    }

    /// The error for two values under one path.
    pub fn duplicate(path: &[u8]) -> Error {
        let path = String::from_utf8_lossy(path).into_owned();
        Error::new("duplicate-path", "two values have the same path; rename one of the fields")
            .inside(path)
    }

    /// Refuses what no tree can hold.
    pub fn check(&self) -> Result<()> {
        match self.paths.iter().find(|path| path.len() > super::MAX_PATH_BYTES) {
            None => Ok(()),
            Some(path) => {
                let shown: String = String::from_utf8_lossy(path).chars().take(120).collect();
                Err(Error::new("too-large", "a path is longer than 4096 bytes").inside(shown))
            }
        }
    }
}
