//! The engine that a store holds: an environment whose data file can be replaced by a copy.

use super::{Mapped, READERS_FILE, Room, Use};
use crate::engine::{Engine, Make};
use crate::error::{Error, Result};
use crate::seal::NodeId;
use std::path::{Path, PathBuf};
use std::sync::RwLock;

/// An open LMDB environment.
pub struct Lmdb {
    folder: PathBuf,
    used: Use,
    /// Locked for writing only while no commit runs: a commit reads nodes while it holds the lock.
    mapped: RwLock<Option<Mapped>>,
}

impl std::fmt::Debug for Lmdb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lmdb({})", self.folder.display())
    }
}

fn broken<T>(_: T) -> Error {
    Error::new("store", "an earlier operation died; reopen the store")
}

impl Lmdb {
    /// Opens the environment in `folder`; creates it if it may write.
    pub fn open(folder: &Path, used: Use) -> Result<Self> {
        let mapped = RwLock::new(Some(Mapped::open(folder, used)?));
        Ok(Lmdb { folder: folder.to_owned(), used, mapped })
    }

    /// Whether readers can register in `folder`: LMDB's table is there and can be written.
    pub fn has_readers_table(folder: &Path) -> bool {
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).open(folder.join(READERS_FILE)).is_ok()
    }

    pub(super) fn with<T>(&self, work: impl FnOnce(&Mapped) -> Result<T>) -> Result<T> {
        let mapped = self.mapped.read().map_err(broken)?;
        let closed =
            || Error::new("io", "the data file could not be opened again; reopen the store");
        work(mapped.as_ref().ok_or_else(closed)?)
    }

    /// What the file's pages are used for.
    pub fn room(&self) -> Result<Room> {
        self.with(Mapped::room)
    }

    /// The data file must still be the one that was opened.
    pub fn check_in_place(&self) -> Result<()> {
        self.with(Mapped::check_in_place)
    }

    /// Closes the file, lets `replace` put another one in its place, and opens what then lies there.
    /// For who leads the commits: waits for the reads that run, and none begins meanwhile.
    pub fn replace(&self, replace: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut mapped = self.mapped.write().map_err(broken)?;
        if let Some(old) = mapped.take() {
            old.close();
        }
        let replaced = replace();
        *mapped = Some(Mapped::open(&self.folder, self.used)?);
        replaced
    }
}

impl Engine for Lmdb {
    fn head(&self) -> Result<Option<Vec<u8>>> {
        self.with(Mapped::head)
    }

    fn node(&self, id: NodeId, read: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool> {
        self.with(|mapped| mapped.node(id, read))
    }

    fn scan(&self, each: &mut dyn FnMut(NodeId, &[u8]) -> Result<()>) -> Result<()> {
        self.with(|mapped| mapped.scan(each))
    }

    fn commit(&self, make: Make<'_>) -> Result<()> {
        self.with(|mapped| mapped.commit(make))
    }
}
