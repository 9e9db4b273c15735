//! The right edge of an RFC 6962 Merkle tree: enough to append and to know the root.

use crate::error::Result;
use crate::seal::sha256;
use crate::wire::{Put, Take};

/// RFC 6962 section 2.1: the hash of a leaf.
pub fn leaf_hash(entry: &[u8]) -> [u8; 32] {
    sha256(&[&[0], entry])
}

/// RFC 6962 section 2.1: the hash of a node.
pub fn node_hash(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    sha256(&[&[1], left, right])
}

/// The roots of the full subtrees that make up a tree, largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<[u8; 32]>,
}

impl Frontier {
    /// How many entries.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hash of the `index`th full subtree of 2^height entries, if it is on the edge.
    pub fn root_of(&self, height: u32, index: u64) -> Option<[u8; 32]> {
        let ahead = self.size.checked_shr(height)?;
        if ahead % 2 == 0 || index != ahead - 1 {
            return None;
        }
        // Larger subtrees come first.
        self.roots.get((ahead >> 1).count_ones() as usize).copied()
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: [u8; 32]) {
        let mut hash = leaf;
        // One merge for each one bit at the low end of the size.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.roots.push(hash);
        self.size += 1;
    }

    /// The root of the whole tree; of none, the hash of nothing.
    pub fn root(&self) -> [u8; 32] {
        let mut roots = self.roots.iter().rev();
        let Some(last) = roots.next() else {
            return sha256(&[]);
        };
        roots.fold(*last, |right, left| node_hash(left, &right))
    }

    /// Writes it.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.put_varint(self.size);
        self.roots.iter().for_each(|root| out.extend_from_slice(root));
    }

    /// Reads it.
    pub fn take(take: &mut Take<'_>) -> Result<Self> {
        let size = take.varint()?;
        let mut roots = Vec::new();
        for _ in 0..size.count_ones() {
            roots.push(take.array()?);
        }
        Ok(Frontier { size, roots })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962 section 2.1, word for word.
    fn recursive(leaves: &[[u8; 32]]) -> [u8; 32] {
        match leaves {
            [] => sha256(&[]),
            [one] => *one,
            many => {
                let split = many.len().next_power_of_two() / 2;
                let (left, right) = many.split_at(split);
                node_hash(&recursive(left), &recursive(right))
            }
        }
    }

    #[test]
    fn the_root_is_that_of_the_definition() {
        let mut frontier = Frontier::default();
        let mut leaves = Vec::new();
        for size in 0u64..70 {
            assert_eq!(frontier.root(), recursive(&leaves), "size {size}");
            let mut bytes = Vec::new();
            frontier.put(&mut bytes);
            assert_eq!(Frontier::take(&mut Take::new(&bytes)).ok(), Some(frontier.clone()));
            let leaf = leaf_hash(&size.to_be_bytes());
            leaves.push(leaf);
            frontier.push(leaf);
        }
    }
}
