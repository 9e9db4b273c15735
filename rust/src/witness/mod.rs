//! What remembers the newest head outside the store, so that yesterday's file is not taken for
//! today's.

mod file;
mod record;

pub use file::FileWitness;
pub use record::Records;

use crate::error::Result;

/// The newest head that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its commit number; 0 for a store that is being made.
    pub commit: u64,
    /// Its lineage: changes when a store is copied or restored on purpose.
    pub lineage: [u8; 16],
    /// How many ledger entries it had.
    pub entries: u64,
    /// The hash of its last ledger entry.
    pub chain: [u8; 32],
}

/// Remembers the newest head of a store. It is asked before the store is read, and told after a
/// commit is durable, so it may lag but is never ahead.
pub trait Witness: Send + Sync {
    /// The newest head; None if it knows nothing of the store.
    fn newest(&self, records: &Records) -> Result<Option<Seen>>;
    /// Remembers `seen` unless it knows something newer; a higher commit is newer.
    fn advance(&self, records: &Records, seen: &Seen) -> Result<()>;
}
