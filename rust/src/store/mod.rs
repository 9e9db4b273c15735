//! A store: head, namespaces, versions, commits, and the proof of all of it.

mod agents;
pub mod archive;
mod backlog;
mod ballast;
mod branches;
mod clock;
mod commit;
mod compact;
mod documents;
mod expire;
mod forget;
mod garbage;
mod head;
mod history;
mod hot;
mod later;
mod ledger;
mod living;
mod load;
mod mark;
mod nodes;
mod open;
mod prune;
mod purge;
mod queue;
mod reads;
mod records;
mod reseal;
mod retain;
mod rewrap;
mod rotate;
mod save;
mod sets;
mod snapshot;
mod spares;
mod stats;
mod transaction;
mod vectors;
mod verify;
mod view;
mod warnings;
mod watch;

#[cfg(test)]
#[path = "../../tests/mutate/mod.rs"]
#[allow(clippy::indexing_slicing)]
mod mutate;

pub use branches::Which;
pub use clock::{Clock, now_ns};
pub use documents::{Document, DocumentId, Indexes};
pub use forget::{Forgotten, Forks};
pub use head::FORMAT;
pub use history::Change;
pub use later::{Deferred, Repeat};
pub use ledger::LedgerEntry;
pub use living::wait_for_workers;
pub use load::Loaded;
pub use mark::{Base, Mark, Stamp};
pub use open::{Access, Options, probe};
pub use prune::{Limits, Pruned};
pub use purge::{Purged, Removal, Unwanted};
pub use reads::AuditReads;
pub use records::{RESERVED, Version};
pub use reseal::Resealed;
pub use retain::{Ages, Policy, Retained};
pub use save::{Origin, Save};
pub use stats::{Stats, Usage};
pub use transaction::{At, Content, Found, Near, Search, Transaction};
pub use vectors::VectorSpace;
pub use verify::Report;
pub use watch::Unseen;

use crate::engine::lmdb::Lmdb;
use crate::error::Error;
use crate::keys::{Key, Keyring, Provider};
use crate::seal::Sealer;
use agents::Agents;
use backlog::Backlog;
use queue::Queue;
use sets::Sets;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, RwLock};
use view::View;
use watch::Watch;

/// An open store. Any number of threads and processes read and save; saves that meet share a commit.
pub struct Store {
    folder: PathBuf,
    /// A fork must not use what it inherited.
    process: u32,
    engine: Lmdb,
    store_key: Key,
    sealer: Sealer,
    keyring: Mutex<Keyring>,
    provider: Mutex<Arc<dyn Provider>>,
    clock: Clock,
    /// What callers should be told although nothing failed.
    warnings: Mutex<Vec<Error>>,
    watch: Watch,
    access: Access,
    /// The newest commit that this process has seen.
    view: RwLock<Arc<View>>,
    agents: Mutex<Agents>,
    /// Vectors that were searched.
    sets: Mutex<Sets>,
    /// Nodes of documents that were opened.
    hot: Mutex<hot::Hot>,
    /// Namespaces with keys that no name leads to, once they were looked for.
    spares: Mutex<Vec<[u8; 16]>>,
    queue: Queue,
    limits: Limits,
    audit_reads: AuditReads,
    unwritten: Mutex<reads::Unwritten>,
    /// Saves that nobody waits for here.
    backlog: Arc<Backlog>,
    /// Held by who ends purges.
    resealing: reseal::Turns,
    /// Set when a sync failed: what is on disk is not known any more.
    failed: AtomicBool,
    /// Holds `store.lock` until dropped, or what stands for it.
    _lock: File,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.folder.display())
    }
}

impl Store {
    /// The folder.
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// Whether it was opened to be read only.
    pub fn is_read_only(&self) -> bool {
        self.access == Access::Read
    }
}

fn unknown_name(name: &str) -> Error {
    Error::new("unknown-name", format!("nothing was saved under the name {name:?}"))
        .with("name", name)
}

fn unknown_version(name: &str, number: u64, latest: u64) -> Error {
    let what = match (1..=latest).contains(&number) {
        true => format!("version {number} of {name:?} was pruned"),
        false => format!("{name:?} has no version {number}: the latest is {latest}"),
    };
    Error::new("unknown-version", what)
        .with("name", name)
        .with("version", number)
        .with("latest", latest)
}
