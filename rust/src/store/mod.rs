//! A store: head, namespaces, versions, commits, and the proof of all of it.

mod commit;
mod head;
mod history;
mod load;
mod nodes;
mod open;
mod records;
mod save;
mod verify;

pub use commit::now_ns;
pub use head::FORMAT;
pub use history::{Change, LedgerEntry};
pub use load::Loaded;
pub use open::{Options, probe};
pub use records::{MAIN, Version};
pub use save::Save;
pub use verify::Report;

use crate::engine::lmdb::Lmdb;
use crate::error::{Error, Result};
use crate::keys::{Key, Keyring};
use crate::seal::Sealer;
use crate::tree::{Known, Map, Shape};
use crate::witness::FileWitness;
use head::Head;
use nodes::Opened;
use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

/// An open store. One thread commits at a time; any number read.
pub struct Store {
    folder: PathBuf,
    /// A fork must not use what it inherited.
    process: u32,
    engine: Lmdb,
    store_key: Key,
    sealer: Sealer,
    keyring: Mutex<Keyring>,
    witness: Option<FileWitness>,
    current: Mutex<Current>,
    /// Holds `store.lock` until dropped.
    _lock: File,
}

/// What this process knows of the newest commit.
struct Current {
    head: Head,
    /// As it lies on disk.
    sealed_head: Vec<u8>,
    agents: HashMap<String, Agent>,
    /// Set when a sync failed: what is on disk is not known any more.
    failed: bool,
}

/// One namespace's branch, as of the newest commit.
struct Agent {
    sealer: Arc<Sealer>,
    map: Map,
    latest: Option<Version>,
    /// Nodes that the latest version refers to; None until they were read.
    known: Option<Known>,
    shape: Option<Arc<Shape>>,
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

    /// Locks what is known of the newest commit; an error in a fork, or after a failed sync.
    fn current(&self) -> Result<MutexGuard<'_, Current>> {
        self.same_process()?;
        let current = self
            .current
            .lock()
            .map_err(|_| Error::new("store", "an earlier operation died; reopen the store"))?;
        if current.failed {
            let what = "a write to disk failed earlier; reopen the store to see what was saved";
            return Err(Error::new("io", what));
        }
        Ok(current)
    }

    fn same_process(&self) -> Result<()> {
        if self.process == std::process::id() {
            return Ok(());
        }
        let what = "the store was opened before a fork; open it anew in the child process";
        Err(Error::new("forked", what))
    }

    fn top_nodes(&self) -> Opened<'_> {
        Opened::new(&self.engine, &self.sealer)
    }

    fn nodes<'a>(&'a self, sealer: &'a Sealer) -> Opened<'a> {
        Opened::new(&self.engine, sealer)
    }

    /// The namespace of a name as of `current`, read on first use; None if there is none.
    fn agent<'c>(&self, current: &'c mut Current, name: &str) -> Result<Option<&'c mut Agent>> {
        if !current.agents.contains_key(name) {
            let Some(agent) = self.read_agent(&current.head, name)? else {
                return Ok(None);
            };
            current.agents.insert(name.to_owned(), agent);
        }
        Ok(current.agents.get_mut(name))
    }

    fn read_agent(&self, head: &Head, name: &str) -> Result<Option<Agent>> {
        let key = records::name_key(&self.store_key, name);
        let Some(id) = head.top.get(&self.top_nodes(), &key)? else {
            return Ok(None);
        };
        let malformed = |_| Error::new("malformed", "a name leads to no namespace");
        let namespace: [u8; 16] = id.as_slice().try_into().map_err(malformed)?;
        let sealer = self.namespace_sealer(&namespace)?;
        let map = self.namespace_map(head, &sealer)?;
        let nodes = self.nodes(&sealer);
        let latest = match map.get(&nodes, &records::branch_key(MAIN))? {
            None => None,
            Some(bytes) => {
                let number = crate::wire::Take::new(&bytes).u64()?;
                Some(read_version(&map, &nodes, number)?.ok_or_else(|| {
                    Error::new("missing", "the latest version of a branch is not in the store")
                        .with("version", number)
                })?)
            }
        };
        Ok(Some(Agent { sealer: Arc::new(sealer), map, latest, known: None, shape: None }))
    }

    fn namespace_sealer(&self, namespace: &[u8; 16]) -> Result<Sealer> {
        let keyring = self.keyring.lock().map_err(|_| Error::new("store", "the keys are gone"))?;
        keyring.sealer(namespace)
    }

    fn namespace_map(&self, head: &Head, sealer: &Sealer) -> Result<Map> {
        let key = records::root_key(&sealer.context().namespace);
        let sealed = head.top.get(&self.top_nodes(), &key)?;
        let sealed = sealed.ok_or_else(|| {
            Error::new("missing", "the root record of a namespace is not in the store")
        })?;
        records::open_root(sealer, &sealed)
    }
}

/// A version by number; None if it does not exist.
fn read_version(map: &Map, nodes: &Opened<'_>, number: u64) -> Result<Option<Version>> {
    match map.get(nodes, &records::version_key(MAIN, number))? {
        None => Ok(None),
        Some(bytes) => Version::decode(&bytes).map(Some),
    }
}

fn unknown_name(name: &str) -> Error {
    Error::new("unknown-name", format!("nothing was saved under the name {name:?}"))
        .with("name", name)
}

fn unknown_version(name: &str, number: u64) -> Error {
    Error::new("unknown-version", format!("{name:?} has no version {number}"))
        .with("name", name)
        .with("version", number)
}
