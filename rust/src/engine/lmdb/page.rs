//! How LMDB lays out its pages, read from plain bytes with every offset checked.
//!
//! Integers are in the machine's own order, offsets count from the start of the page. Every page
//! but the later ones of an overflow run begins with
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 8 | the page's own number |
//! | 8 | 2 | not used here, may hold anything |
//! | 10 | 2 | flags: branch 1, leaf 2, overflow 4, meta 8; others only ever in memory |
//! | 12 | 2 + 2 | branch and leaf: end of the list of nodes, start of the nodes |
//! | 12 | 4 | overflow: pages of the run |
//!
//! In branch and leaf pages 2 bytes for each node, its offset, follow in the order of the keys. A
//! node begins at an even offset: 4 bytes size of the data, 2 bytes flags, 2 bytes size of the key,
//! the key, the data. In a leaf flag 1 says that the data is the number of an overflow page, flag 2
//! that it is a database. In a branch the first six bytes are the number of a child, and there is
//! no data; the first node's key means nothing. What lies between nodes and behind an odd one is
//! left over from before.
//!
//! A database: 4 bytes (in the first one of a meta page the size of pages), flags u16, depth u16,
//! then u64 each: branch, leaf and overflow pages, entries, root (all ones for none). A meta page:
//! magic u32, version u32, address u64, size of the map u64, the database of free pages, the main
//! database, last page u64, transaction u64.

use crate::error::{Error, Result};

/// Bytes before the list of nodes, the content of an overflow run, or a meta page's fields.
pub const HEADER_BYTES: usize = 16;
/// A meta page as far as it is used.
pub const META_PAGE_BYTES: usize = HEADER_BYTES + 136;
const DATABASE_BYTES: usize = 48;
const NODE_BYTES: usize = 8;
/// LMDB's limit as it is compiled here.
const MAX_KEY_BYTES: usize = 511;
const NO_ROOT: u64 = u64::MAX;
const MAGIC: u32 = 0xBEEF_C0DE;
const VERSION: u32 = 1;

/// Page flags.
pub const BRANCH: u16 = 1;
/// See [`BRANCH`].
pub const LEAF: u16 = 2;
/// See [`BRANCH`].
pub const OVERFLOW: u16 = 4;
const META: u16 = 8;

/// Node flags: the data lies in an overflow run.
pub const BIG: u16 = 1;
/// Node flags: the data is a database.
pub const DATABASE: u16 = 2;

/// The error of a page that LMDB must not see.
#[cold]
pub fn damaged(page: u64, what: &str) -> Error {
    let message = format!("page {page} of data.mdb {what}; restore the store from a backup");
    Error::new("malformed", message).with("page", page)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_ne_bytes)
}

/// Eight bytes as LMDB stores a number.
pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_ne_bytes)
}

/// What LMDB knows of one tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Database {
    /// How keys compare, and whether they repeat.
    pub flags: u16,
    /// Levels of pages.
    pub depth: u16,
    /// How much the tree holds.
    pub counts: Counts,
    /// None in an empty tree.
    pub root: Option<u64>,
}

/// What a tree holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Branch pages.
    pub branches: u64,
    /// Leaf pages.
    pub leaves: u64,
    /// Overflow pages, all of each run.
    pub overflows: u64,
    /// Keys in leaves.
    pub entries: u64,
}

impl Database {
    /// Reads the record in `bytes`, which must be as long as one.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != DATABASE_BYTES {
            return None;
        }
        let root = u64_at(bytes, 40)?;
        Some(Database {
            flags: u16_at(bytes, 4)?,
            depth: u16_at(bytes, 6)?,
            counts: Counts {
                branches: u64_at(bytes, 8)?,
                leaves: u64_at(bytes, 16)?,
                overflows: u64_at(bytes, 24)?,
                entries: u64_at(bytes, 32)?,
            },
            root: (root != NO_ROOT).then_some(root),
        })
    }
}

/// What a meta page says.
#[derive(Debug, Clone, Copy)]
pub struct Meta {
    /// Size of every page.
    pub page_bytes: u32,
    /// The transaction that wrote it.
    pub transaction: u64,
    /// The last page in use or free.
    pub last_page: u64,
    /// Free pages, by the transaction that freed them.
    pub free: Database,
    /// The named databases.
    pub main: Database,
}

impl Meta {
    /// Reads the meta page `number`; None if it is not one, or of another version of LMDB's format.
    pub fn parse(page: &[u8; META_PAGE_BYTES], number: u64) -> Option<Self> {
        let (head, meta) = page.split_at_checked(HEADER_BYTES)?;
        let is_meta = u64_at(head, 0)? == number && u16_at(head, 10)? == META;
        if !is_meta || u32_at(meta, 0)? != MAGIC || u32_at(meta, 4)? != VERSION {
            return None;
        }
        Some(Meta {
            page_bytes: u32_at(meta, 24)?,
            free: Database::parse(meta.get(24..72)?)?,
            main: Database::parse(meta.get(72..120)?)?,
            last_page: u64_at(meta, 120)?,
            transaction: u64_at(meta, 128)?,
        })
    }
}

/// The pages of an overflow run by the header of its first page; None if it is not this one.
pub fn run_pages(header: &[u8; HEADER_BYTES], number: u64) -> Option<u64> {
    let is_run = u64_at(header, 0)? == number && u16_at(header, 10)? == OVERFLOW;
    u32_at(header, 12).filter(|_| is_run).map(u64::from)
}

/// A branch or leaf page whose header is sound.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    bytes: &'a [u8],
    number: u64,
    is_leaf: bool,
    /// Where nodes may begin.
    upper: usize,
    count: usize,
}

/// One key with what it leads to.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    /// In a leaf: what the data is.
    pub flags: u16,
    /// The key.
    pub key: &'a [u8],
    /// In a leaf: the data, or the number of its overflow run.
    pub data: &'a [u8],
    /// In a leaf: bytes of the data, wherever it lies.
    pub size: u32,
    /// In a branch: the page below.
    pub child: u64,
}

impl<'a> Page<'a> {
    /// The page `number` of the kind that the tree has at this level.
    pub fn parse(bytes: &'a [u8], number: u64, flags: u16) -> Result<Self> {
        Self::parse_header(bytes, number, flags)
            .ok_or_else(|| damaged(number, "has a header that LMDB does not write"))
    }

    fn parse_header(bytes: &'a [u8], number: u64, flags: u16) -> Option<Self> {
        let (lower, upper) = (usize::from(u16_at(bytes, 12)?), usize::from(u16_at(bytes, 14)?));
        let is_leaf = flags == LEAF;
        let count = lower.checked_sub(HEADER_BYTES)? / 2;
        let sound = u64_at(bytes, 0)? == number
            && u16_at(bytes, 10)? == flags
            && lower.is_multiple_of(2)
            && lower <= upper
            && upper <= bytes.len()
            && count >= if is_leaf { 1 } else { 2 };
        sound.then_some(Page { bytes, number, is_leaf, upper, count })
    }

    /// Hands each node to `visit`, in the order of the keys; no two of them overlap.
    pub fn each(
        &self,
        spans: &mut Vec<(u16, u16)>,
        mut visit: impl FnMut(usize, Node<'a>) -> Result<()>,
    ) -> Result<()> {
        spans.clear();
        for index in 0..self.count {
            let (start, end, node) = self
                .node(index)
                .ok_or_else(|| damaged(self.number, "has a node that does not lie within it"))?;
            spans.push((start, end));
            visit(index, node)?;
        }
        spans.sort_unstable();
        let apart = |pair: &[(u16, u16)]| matches!(pair, [(_, end), (start, _)] if end <= start);
        if spans.windows(2).all(apart) {
            return Ok(());
        }
        Err(damaged(self.number, "has nodes that overlap"))
    }

    /// The last node.
    pub fn last(&self) -> Option<Node<'a>> {
        self.node(self.count.checked_sub(1)?).map(|(_, _, node)| node)
    }

    /// The node at `index` with its start and end; None where it leaves the page or LMDB's limits.
    fn node(&self, index: usize) -> Option<(u16, u16, Node<'a>)> {
        let start = u16_at(self.bytes, HEADER_BYTES + 2 * index)?;
        let at = usize::from(start);
        if at < self.upper || !at.is_multiple_of(2) {
            return None;
        }
        let bytes = self.bytes.get(at..)?;
        let (size, flags) = (u32_at(bytes, 0)?, u16_at(bytes, 4)?);
        let key_bytes = usize::from(u16_at(bytes, 6)?);
        let key_may_be_empty = !self.is_leaf && index == 0;
        if key_bytes > MAX_KEY_BYTES || (key_bytes == 0 && !key_may_be_empty) {
            return None;
        }
        let data_bytes = match (self.is_leaf, flags & BIG) {
            (false, _) => 0,
            (true, 0) => usize::try_from(size).ok()?,
            (true, _) => 8,
        };
        let (key, rest) = bytes.get(NODE_BYTES..)?.split_at_checked(key_bytes)?;
        let data = rest.get(..data_bytes)?;
        let end = u16::try_from(at + NODE_BYTES + key_bytes + data_bytes).ok()?;
        let child = u64::from(size) | u64::from(flags) << 32;
        Some((start, end, Node { flags, key, data, size, child }))
    }
}
