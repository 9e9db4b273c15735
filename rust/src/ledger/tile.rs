//! Tiles: the ledger's tree cut into pieces of 256 hashes (C2SP tlog-tiles).
//!
//! Tile (level, index) holds the hashes of full subtrees of 256^level entries, from the
//! `index * 256`th on. Level 0 is written when it is full: its growing tile is what the newest
//! entries hash to, and to write it with every entry would cost 8 KiB each. The levels above are
//! written, under their width, whenever they grow, which is once in 256 entries. So tiles never
//! change, and one that an older head leads to is never gone: 48 bytes an entry in all.

use super::frontier::node_hash;
use crate::error::{Error, Result};
use crate::seal::NodeId;

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// Hashes in a full tile, as a power of two.
pub const HEIGHT: u32 = 8;
/// Hashes in a full tile.
pub const WIDTH: u64 = 1 << HEIGHT;

/// Names a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tile {
    /// 0 for the hashes of entries.
    pub level: u32,
    /// From 0.
    pub index: u64,
    /// 1 to 256 hashes.
    pub width: u64,
}

impl Tile {
    /// The node that holds it: `ff*4 ‖ fe ‖ level ‖ width (u16) ‖ index (u64)`, big endian.
    pub fn node_id(&self) -> NodeId {
        let mut id = [0xffu8; 16];
        let level = u8::try_from(self.level).unwrap_or(u8::MAX);
        let width = u16::try_from(self.width).unwrap_or(u16::MAX);
        let tail = [0xfe, level].into_iter().chain(width.to_be_bytes());
        let tail = tail.chain(self.index.to_be_bytes());
        id.iter_mut().skip(4).zip(tail).for_each(|(to, from)| *to = from);
        NodeId(id)
    }

    /// The bytes of a node as hashes.
    pub fn decode(&self, bytes: &[u8]) -> Result<Vec<Hash>> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        if rest.is_empty() && hashes.len() as u64 == self.width {
            return Ok(hashes.to_vec());
        }
        Err(Error::new("malformed", "a tile of the ledger's tree has a wrong length"))
    }
}

/// The tiles to write when the tree has grown to `size` entries, lowest first.
pub fn grown(size: u64) -> impl Iterator<Item = Tile> {
    let levels = if size == 0 { 0 } else { size.trailing_zeros() / HEIGHT };
    let full = move |level: u32| {
        let count = size >> (HEIGHT * level);
        Tile { level, index: (count - 1) >> HEIGHT, width: (count - 1) % WIDTH + 1 }
    };
    // Level 0 when it has filled, each level above when the one below has.
    let bottom = (levels > 0).then(|| full(0));
    bottom.into_iter().chain((1..=levels).map(full))
}

/// How many tiles a tree of `size` entries has on disk.
pub fn count(size: u64) -> u64 {
    let full = size >> HEIGHT;
    let above = (1..8).map(|level| size >> (HEIGHT * level)).sum::<u64>();
    full + above
}

/// The root of a full subtree out of its leaves, which are a power of two many.
pub fn fold(hashes: &[Hash]) -> Result<Hash> {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    row.first().copied().ok_or_else(|| Error::new("malformed", "a part of the ledger is empty"))
}

/// What a tree reads: tiles, and the newest entries.
pub trait Source {
    /// The hashes of a tile that was written.
    fn tile(&self, tile: Tile) -> Result<Vec<Hash>>;
    /// The hash of an entry.
    fn leaf(&self, seq: u64) -> Result<Hash>;
}

/// The hashes of a tile in a tree of `size` entries, written or not.
pub fn row(source: &dyn Source, size: u64, level: u32, index: u64) -> Result<Vec<Hash>> {
    let count = size.checked_shr(HEIGHT * level).unwrap_or(0);
    let width = count.saturating_sub(index << HEIGHT).min(WIDTH);
    if level > 0 || width == WIDTH {
        return source.tile(Tile { level, index, width });
    }
    let first = index << HEIGHT;
    (first..first + width).map(|seq| source.leaf(seq)).collect()
}

/// The hashes of a tile that a tree which has just grown to `size` entries is to write.
pub fn grown_row(source: &dyn Source, size: u64, tile: Tile) -> Result<Vec<Hash>> {
    let Some(below) = tile.level.checked_sub(1) else {
        return (size - tile.width..size).map(|seq| source.leaf(seq)).collect();
    };
    let mut hashes = match tile.width {
        1 => Vec::new(),
        width => source.tile(Tile { width: width - 1, ..tile })?,
    };
    let newest = (tile.index << HEIGHT) + tile.width - 1;
    hashes.push(fold(&row(source, size, below, newest)?)?);
    Ok(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_written_when_they_fill_and_upper_ones_as_they_grow() {
        let named = |size| grown(size).map(|t| (t.level, t.index, t.width)).collect::<Vec<_>>();
        assert_eq!(named(0), []);
        assert_eq!(named(255), []);
        assert_eq!(named(256), [(0, 0, 256), (1, 0, 1)]);
        assert_eq!(named(257), []);
        assert_eq!(named(768), [(0, 2, 256), (1, 0, 3)]);
        assert_eq!(named(65_536), [(0, 255, 256), (1, 0, 256), (2, 0, 1)]);
        assert_eq!(named(65_792), [(0, 256, 256), (1, 1, 1)]);
        let all: u64 = (0..=70_000).map(|size| grown(size).count() as u64).sum();
        assert_eq!(count(70_000), all);
    }
}
