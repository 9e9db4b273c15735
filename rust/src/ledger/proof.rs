//! Proofs over the ledger's tree: that an entry is in it, and that it continues an older one.
//!
//! RFC 6962 sections 2.1.1 and 2.1.2 make them, RFC 9162 sections 2.1.3.2 and 2.1.4.2 check them.

use super::frontier::{Frontier, node_hash};
use super::tile::{HEIGHT, Hash, Source, WIDTH, fold, row};
use crate::error::{Error, Result};
use crate::seal::sha256;
use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// A tree that reads what it needs: a few tiles for each proof.
pub struct Tree<'a> {
    source: &'a dyn Source,
    frontier: &'a Frontier,
    rows: RefCell<HashMap<(u32, u64), Vec<Hash>>>,
}

/// The largest power of two below `size`, which is at least 2.
fn split(size: u64) -> u64 {
    1 << (63 - (size - 1).leading_zeros())
}

impl<'a> Tree<'a> {
    /// The tree with this right edge.
    pub fn new(source: &'a dyn Source, frontier: &'a Frontier) -> Self {
        Tree { source, frontier, rows: RefCell::default() }
    }

    /// The hash of the `index`th full subtree of 2^height entries.
    fn full(&self, height: u32, index: u64) -> Result<Hash> {
        if let Some(hash) = self.frontier.root_of(height, index) {
            return Ok(hash);
        }
        let level = height / HEIGHT;
        let (first, count) = (index << (height % HEIGHT), 1usize << (height % HEIGHT));
        let at = (level, first >> HEIGHT);
        let mut rows = self.rows.borrow_mut();
        let hashes = match rows.entry(at) {
            Entry::Occupied(read) => read.into_mut(),
            Entry::Vacant(unread) => {
                unread.insert(row(self.source, self.frontier.size(), level, at.1)?)
            }
        };
        let from = (first % WIDTH) as usize;
        let hashes = hashes.get(from..from + count);
        fold(hashes.ok_or_else(|| Error::new("malformed", "a tile of the ledger is too short"))?)
    }

    /// The root of the entries from `start` to before `end`; `start` is where a subtree begins.
    fn range(&self, start: u64, end: u64) -> Result<Hash> {
        let size = end - start;
        if size == 0 {
            return Ok(sha256(&[]));
        }
        if size.is_power_of_two() {
            return self.full(size.trailing_zeros(), start / size);
        }
        let middle = start + split(size);
        Ok(node_hash(&self.range(start, middle)?, &self.range(middle, end)?))
    }

    /// The path from entry `index` to the root of the first `size`, nearest first.
    fn path(&self, index: u64, size: u64) -> Result<Vec<Hash>> {
        let (mut start, mut end, mut path) = (0, size, Vec::new());
        while end - start > 1 {
            let middle = start + split(end - start);
            if index < middle {
                path.push(self.range(middle, end)?);
                end = middle;
            } else {
                path.push(self.range(start, middle)?);
                start = middle;
            }
        }
        path.reverse();
        Ok(path)
    }

    /// That the tree holds `leaf` as entry `index`: the path, proved.
    pub fn inclusion(&self, index: u64, leaf: Hash) -> Result<Vec<Hash>> {
        let size = self.frontier.size();
        let path = self.path(index, size)?;
        if included(index, size, leaf, &path) == Some(self.frontier.root()) {
            return Ok(path);
        }
        Err(Error::new("tampered", "a ledger entry is not in the tree that the head names")
            .with("seq", index))
    }

    /// That the first `new` entries continue the first `old`: the hashes that show it.
    pub fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>> {
        let (mut start, mut end, mut path) = (0, new, Vec::new());
        if old == 0 || old == new {
            return Ok(path);
        }
        // Down to the subtree whose right edge is the old tree's.
        while end != old {
            let middle = start + split(end - start);
            if old <= middle {
                path.push(self.range(middle, end)?);
                end = middle;
            } else {
                path.push(self.range(start, middle)?);
                start = middle;
            }
        }
        // The old tree's own root is known to who checks.
        if start > 0 {
            path.push(self.range(start, end)?);
        }
        path.reverse();
        Ok(path)
    }

    /// The root that the tree had at `size`, proved to be continued by this one.
    pub fn root_at(&self, size: u64) -> Result<Hash> {
        let (now, root) = (self.frontier.size(), self.frontier.root());
        let old = self.range(0, size)?;
        if continues((size, old), (now, root), &self.consistency(size, now)?) {
            return Ok(old);
        }
        Err(Error::new("tampered", "the ledger's tree is not the one that the head names"))
    }
}

/// The root that a path leads to from a leaf; None where a path of that length cannot be.
pub fn included(index: u64, size: u64, leaf: Hash, path: &[Hash]) -> Option<Hash> {
    let mut last = size.checked_sub(1).filter(|last| index <= *last)?;
    let (mut at, mut root) = (index, leaf);
    for hash in path {
        if last == 0 {
            return None;
        }
        if at % 2 == 1 || at == last {
            root = node_hash(hash, &root);
            while at != 0 && at.is_multiple_of(2) {
                (at, last) = (at / 2, last / 2);
            }
        } else {
            root = node_hash(&root, hash);
        }
        (at, last) = (at / 2, last / 2);
    }
    (last == 0).then_some(root)
}

/// Whether a tree (size, root) continues an older one.
pub fn continues(old: (u64, Hash), new: (u64, Hash), path: &[Hash]) -> bool {
    if old.0 > new.0 {
        return false;
    }
    if old.0 == 0 {
        return path.is_empty() && old.1 == sha256(&[]);
    }
    if old.0 == new.0 {
        return path.is_empty() && old.1 == new.1;
    }
    let own = if old.0.is_power_of_two() { Some(old.1) } else { None };
    let mut hashes = own.into_iter().chain(path.iter().copied());
    let Some(first) = hashes.next() else { return false };
    let skip = (old.0 - 1).trailing_ones();
    let (mut at, mut last) = ((old.0 - 1) >> skip, (new.0 - 1) >> skip);
    let (mut left, mut root) = (first, first);
    for hash in hashes {
        if last == 0 {
            return false;
        }
        if at % 2 == 1 || at == last {
            left = node_hash(&hash, &left);
            root = node_hash(&hash, &root);
            while at != 0 && at.is_multiple_of(2) {
                (at, last) = (at / 2, last / 2);
            }
        } else {
            root = node_hash(&root, &hash);
        }
        (at, last) = (at / 2, last / 2);
    }
    last == 0 && left == old.1 && root == new.1
}

#[cfg(test)]
mod tests {
    use super::super::frontier::leaf_hash;
    use super::super::tile::{Tile, grown, grown_row};
    use super::*;

    /// A ledger in memory, which knows tiles only once they were written.
    #[derive(Default)]
    struct Memory {
        frontier: Frontier,
        tiles: HashMap<Tile, Vec<Hash>>,
    }

    impl Source for Memory {
        fn tile(&self, tile: Tile) -> Result<Vec<Hash>> {
            let found = self.tiles.get(&tile).cloned();
            found.ok_or_else(|| Error::new("missing", format!("{tile:?}")))
        }

        fn leaf(&self, seq: u64) -> Result<Hash> {
            Ok(leaf(seq))
        }
    }

    fn leaf(seq: u64) -> Hash {
        leaf_hash(seq.to_string().as_bytes())
    }

    impl Memory {
        fn of(size: u64) -> Self {
            let mut memory = Memory::default();
            for seq in 0..size {
                memory.frontier.push(leaf(seq));
                for tile in grown(seq + 1) {
                    let hashes = grown_row(&memory, seq + 1, tile).unwrap_or_default();
                    memory.tiles.insert(tile, hashes);
                }
            }
            memory
        }
    }

    /// RFC 6962 section 2.1, word for word.
    fn naive(start: u64, end: u64) -> Hash {
        match end - start {
            0 => sha256(&[]),
            1 => leaf(start),
            size => {
                let middle = start + split(size);
                node_hash(&naive(start, middle), &naive(middle, end))
            }
        }
    }

    #[test]
    fn entries_are_proved_and_only_they() {
        for size in [1, 2, 3, 7, 255, 256, 257, 511, 700, 1025] {
            let memory = Memory::of(size);
            let tree = Tree::new(&memory, &memory.frontier);
            for index in (0..size).step_by(13).chain([size - 1]) {
                assert!(tree.inclusion(index, leaf(index)).is_ok(), "{index} of {size}");
                let other = tree.inclusion(index, leaf(index + 1));
                assert_eq!(other.err().map(|e| e.slug()), Some("tampered"));
            }
        }
    }

    #[test]
    fn three_levels_of_tiles_are_one_tree() {
        let memory = Memory::of(66_000);
        for index in [0, 255, 256, 65_535, 65_536, 65_999] {
            let tree = Tree::new(&memory, &memory.frontier);
            assert!(tree.inclusion(index, leaf(index)).is_ok(), "{index}");
            assert!(tree.rows.borrow().len() <= 3, "{index}");
        }
        let tree = Tree::new(&memory, &memory.frontier);
        for old in [1, 256, 65_535, 65_536, 65_792, 65_999] {
            assert_eq!(tree.root_at(old).ok(), Some(naive(0, old)), "{old}");
        }
    }

    #[test]
    fn older_trees_are_continued() {
        for size in [1, 2, 3, 8, 256, 300, 1025] {
            let memory = Memory::of(size);
            let tree = Tree::new(&memory, &memory.frontier);
            for old in (0..=size).step_by(7).chain([size]) {
                let root = tree.root_at(old);
                assert_eq!(root.ok(), Some(naive(0, old)), "{old} of {size}");
                let path = tree.consistency(old, size).unwrap_or_default();
                let new = (size, memory.frontier.root());
                assert!(continues((old, naive(0, old)), new, &path));
                assert!(!continues((old, [7; 32]), new, &path));
                assert!(!continues((old, naive(0, old)), (size, [7; 32]), &path) || old == 0);
            }
        }
    }
}
