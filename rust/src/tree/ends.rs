//! Where nodes end: decided by keys alone, so that a changed value moves nothing and edits give
//! the same tree as building afresh.

use xxhash_rust::xxh3::xxh3_64;

/// A node ends behind a key whose hash has six zero bits at its level: 64 entries on average.
const BITS: usize = 6;
/// Keys may be chosen so that none ends a node.
pub const MAX_ENTRIES: usize = 256;

/// Decides the ends of one level; counting restarts behind each.
#[derive(Debug)]
pub struct Ends {
    level: usize,
    count: usize,
}

impl Ends {
    /// Level 0 are the leaves.
    pub fn new(level: usize) -> Self {
        Ends { level, count: 0 }
    }

    /// Whether the node ends behind this key.
    pub fn after(&mut self, key: &[u8]) -> bool {
        self.count += 1;
        // No level beyond ten has nodes. XXH3 and not BLAKE3, because one is taken of every key and
        // it need not resist anybody: whoever chooses keys meets the limit instead.
        let bits = xxh3_64(key) >> (BITS * self.level % u64::BITS as usize);
        let ends = bits.trailing_zeros() >= BITS as u32 || self.count >= MAX_ENTRIES;
        if ends {
            self.count = 0;
        }
        ends
    }

    /// Whether the next key begins a node.
    pub fn at_start(&self) -> bool {
        self.count == 0
    }
}
