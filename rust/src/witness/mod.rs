//! What remembers the newest head outside the store, so that yesterday's file is not taken for
//! today's.

mod file;

pub use file::FileWitness;

/// The newest head that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its commit number.
    pub commit: u64,
    /// Its lineage: changes when a store is copied or restored on purpose.
    pub lineage: [u8; 16],
    /// How many ledger entries it had.
    pub entries: u64,
    /// The hash of its last ledger entry.
    pub chain: [u8; 32],
}
