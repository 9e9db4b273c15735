//! The check of a data file before LMDB maps it.
//!
//! LMDB trusts its file: a wrong number in a page makes it read or write outside the map, which
//! kills the process, or hides records. So every page that the newest snapshot leads to is held
//! here to what LMDB writes, with plain reads. The content of values is not read: it is
//! authenticated above, when it is used. Nothing here helps against a file that is changed or cut
//! short while it is mapped.
//!
//! # Meta pages
//!
//! Transaction n writes the meta page n % 2 after its other pages were synced, and that write lies
//! in one sector. So at rest, after any crash, both pages are whole and their transactions are n
//! and n - 1, or 0 and 0 in a file in which nothing was committed; anything else is refused. LMDB
//! serves n. Every transaction from the second on frees pages, and lists them in its own snapshot
//! under its own number, so that the last key among the free pages is the number of the transaction
//! that wrote a meta page, whatever the page itself says. From that follows what an edit of meta
//! pages alone can do:
//!
//! - Damaging either, or giving it a number that does not fit: `malformed`.
//! - Raising the older one's number to n + 1: its free pages end with n - 1: `malformed`.
//! - Leading the newer one to the older one's trees: pages would be used and free: `malformed`.
//! - Lowering the newer one's number to n - 2, so that LMDB serves n - 1: the free pages of the page
//!   that seems older end with n, not n - 2. A commit that failed while it wrote its meta page looks
//!   the same, because LMDB then writes the old number back, so [`Checked::doubtful`] leaves it to
//!   the witness.
//! - Putting back, or writing anew, the whole meta page of n - 2: that is what a crash right before
//!   the meta page is written leaves, byte for byte as far as anybody can tell. Only the witness
//!   tells it apart, as it does a whole older file.

use super::file::{Data, Pages};
use super::page::{BRANCH, Database, LEAF, META_PAGE_BYTES, Meta, Page, u64_at};
use super::walk::{self, MAX_DEPTH};
use super::{DATA_FILE, DATABASES, MAP_BYTES};
use crate::error::{Error, Result};
use std::path::Path;

/// The system's page sizes that LMDB can have taken over; a store may come from another machine.
const PAGE_SIZES: [u32; 4] = [4096, 8192, 16_384, 32_768];
/// The database of free pages compares its keys as integers.
const INTEGER_KEYS: u16 = 8;

/// What a data file is, after it passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checked {
    /// LMDB's number of the transaction that it will serve; 0 if nothing was ever committed.
    pub transaction: u64,
    /// Whether a newer transaction may have been committed, and its meta page edited so that this
    /// one is served.
    pub doubtful: bool,
}

/// Checks the data file in `folder`, which nobody may have open: `not-a-store` if it is something
/// else, `malformed` if LMDB must not see it. No file, or an empty one, is a store yet to be made.
pub fn check(folder: &Path) -> Result<Checked> {
    let Some(data) = Data::open(&folder.join(DATA_FILE))?.filter(|data| data.size_bytes() > 0)
    else {
        return Ok(Checked::default());
    };
    let (newer, older) = metas(&data)?;
    let page_bytes = newer.page_bytes as usize;
    if newer.last_page >= (MAP_BYTES / page_bytes) as u64 {
        return Err(malformed("its last page lies outside of any map"));
    }
    let pages = Pages::new(&data, page_bytes, newer.last_page);
    let doubtful = last_freed(&pages, &older.free) != Some(must_be_freed(&older));
    let freed = walk(&pages, &newer)?;
    pages.check_end()?;
    if freed != must_be_freed(&newer) {
        return Err(malformed("a meta page leads to pages of another transaction"));
    }
    Ok(Checked { transaction: newer.transaction, doubtful })
}

#[cold]
fn malformed(what: &str) -> Error {
    Error::new("malformed", format!("data.mdb is damaged: {what}; restore it from a backup"))
}

#[cold]
fn foreign(what: &str) -> Error {
    Error::new("not-a-store", format!("data.mdb is no store's, or damaged: {what}"))
}

/// The newer meta page and the older one.
fn metas(data: &Data) -> Result<(Meta, Meta)> {
    let mut one_is_whole = false;
    for size in PAGE_SIZES {
        match (meta(data, 0, size)?, meta(data, 1, size)?) {
            (Some(even), Some(odd)) => return in_order(even, odd),
            (None, None) => {}
            _ => one_is_whole = true,
        }
    }
    if one_is_whole {
        return Err(malformed("one of its two meta pages is not whole"));
    }
    Err(foreign("it does not begin as a file of LMDB's, or of this version and page size"))
}

fn meta(data: &Data, number: u64, page_bytes: u32) -> Result<Option<Meta>> {
    let mut bytes = [0; META_PAGE_BYTES];
    if !data.read(number * u64::from(page_bytes), &mut bytes)? {
        return Ok(None);
    }
    Ok(Meta::parse(&bytes, number).filter(|meta| meta.page_bytes == page_bytes))
}

fn in_order(even: Meta, odd: Meta) -> Result<(Meta, Meta)> {
    let is_new = even.transaction == 0 && odd.transaction == 0;
    let follows =
        |older: &Meta, newer: &Meta| older.transaction.checked_add(1) == Some(newer.transaction);
    if is_new || (even.transaction.is_multiple_of(2) && follows(&odd, &even)) {
        Ok((even, odd))
    } else if even.transaction.is_multiple_of(2) && follows(&even, &odd) {
        Ok((odd, even))
    } else {
        Err(malformed("its two meta pages are not of consecutive transactions"))
    }
}

/// The last key among the free pages, if the transaction that a meta page names wrote it.
fn must_be_freed(meta: &Meta) -> Option<u64> {
    Some(meta.transaction).filter(|transaction| *transaction >= 2)
}

/// The same as it is, read down one side of the tree; None if that cannot be read.
fn last_freed(pages: &Pages<'_>, free: &Database) -> Option<Option<u64>> {
    let mut next = free.root;
    let mut freed = None;
    let mut bytes = Vec::new();
    for level in 1..=free.depth.min(MAX_DEPTH) {
        let number = next?;
        pages.read(number, 1, &mut bytes).ok()?;
        let flags = if level == free.depth { LEAF } else { BRANCH };
        let last = Page::parse(&bytes, number, flags).ok()?.last()?;
        (next, freed) = (Some(last.child), Some(u64_at(last.key, 0)?));
    }
    Some(freed)
}

/// Walks all trees of a snapshot; gives the last transaction that freed pages.
fn walk(pages: &Pages<'_>, meta: &Meta) -> Result<Option<u64>> {
    if meta.main.flags != 0 || meta.main.depth > 1 {
        return Err(foreign("its main database is no list of a store's databases"));
    }
    if meta.free.flags != INTEGER_KEYS {
        return Err(malformed("its free pages are not kept as LMDB keeps them"));
    }
    for (name, database) in walk::main(pages, &meta.main)? {
        if !DATABASES.iter().any(|ours| ours.as_bytes() == name) || database.flags != 0 {
            return Err(foreign("it holds a database that a store has not"));
        }
        walk::named(pages, &database)?;
    }
    walk::free(pages, &meta.free)
}
