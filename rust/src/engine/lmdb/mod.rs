//! LMDB as an engine: one environment; nodes of states, of plain maps and numbered ones in a database
//! each, and the head in another.
//!
//! LMDB fills its pages only when keys are appended at the very end of a database: anywhere else a
//! full page is split in halves, and the left one stays half empty. And where nodes that stay lie
//! between those that go, holes remain. So each kind has a database of its own, and a commit puts its
//! nodes in the order of their ids.

mod check;
mod copy;
mod file;
mod page;
mod room;
mod seat;
mod turn;
mod walk;

pub use check::{Checked, check};
pub use copy::Progress;
pub use room::is_short;
pub use seat::Lmdb;

use super::{Engine, FIRST_NUMBERED, FIRST_OF_MAPS, Make, Write};
use crate::error::{Error, Result};
use crate::seal::NodeId;
use heed::types::{Bytes, Str};
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, MdbError, WithoutTls};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use turn::Turns;

/// LMDB's data file, and its table of readers, in the store's folder.
pub const DATA_FILE: &str = "data.mdb";
const READERS_FILE: &str = "lock.mdb";
const NODES: &str = "nodes";
const MAPS: &str = "maps";
const LOG: &str = "log";
const META: &str = "meta";
const DATABASES: [&str; 4] = [NODES, MAPS, LOG, META];
const HEAD: &str = "head";
/// Address space, not disk or memory; halved until the system grants it. Never resized: growing a
/// map in use needs every other user of the file to stand still.
const MAP_BYTES: usize = 1 << 40;
const MIN_MAP_BYTES: usize = 1 << 30;

/// How a commit reaches the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Returned means on disk.
    Always,
    /// Never waited for: benchmarks only, to measure everything else.
    BenchOnlyNever,
    /// A sleep in place of the sync: benchmarks only, to measure a disk that takes that long.
    BenchOnlySlept(Duration),
}

/// What an environment is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Reading and writing.
    Write(Sync),
    /// Reading; this reader is registered, so that nobody overwrites what it reads.
    Read,
    /// Reading where nothing can be written, not even that somebody reads. Nobody may write.
    ReadUnregistered,
}

/// What the data file's pages are used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of a page.
    pub page_bytes: u64,
    /// Pages that hold something; the others are used again, or given back by a copy.
    pub used_pages: u64,
}

impl Room {
    /// How much of the file a node of this length takes: with its id and their place in a page, or,
    /// when less than two of its like fit into one, whole pages of its own.
    pub fn taken_bytes(&self, node_bytes: usize) -> u64 {
        let (node_bytes, largest) = (node_bytes as u64, self.page_bytes / 2 - PAGE_HEADER_BYTES);
        let with_id = node_bytes + NODE_BYTES;
        if with_id > largest {
            return (node_bytes + PAGE_HEADER_BYTES).next_multiple_of(self.page_bytes);
        }
        with_id.next_multiple_of(2)
    }
}

/// LMDB's header of a page.
const PAGE_HEADER_BYTES: u64 = 16;
/// What LMDB keeps in a page beside a node: its place (2), header (8) and id (16).
const NODE_BYTES: u64 = 26;
/// Pages of a file that holds nothing: two metas and the table of databases.
const FIXED_PAGES: usize = 3;

/// An open LMDB environment over one data file.
struct Mapped {
    data: PathBuf,
    /// Device and inode of the data file.
    place: (u64, u64),
    env: Env<WithoutTls>,
    databases: Databases,
    used: Use,
    turns: Turns,
}

fn failed(cause: heed::Error) -> Error {
    match cause {
        heed::Error::Mdb(MdbError::MapFull) => {
            Error::new("full", "the store's map is full; free space or prune old versions")
        }
        heed::Error::Mdb(MdbError::Invalid | MdbError::VersionMismatch) => {
            Error::new("not-a-store", "the data file is not one of LMDB's")
        }
        heed::Error::Mdb(MdbError::Corrupted | MdbError::PageNotFound) => {
            Error::new("malformed", format!("LMDB's structure is damaged: {cause}"))
        }
        heed::Error::EnvAlreadyOpened => {
            Error::new("locked", "this process has the store open already; share that handle")
        }
        heed::Error::Io(ref io) if io.kind() == std::io::ErrorKind::StorageFull => {
            Error::new("full", "the disk is full; nothing acknowledged was lost")
        }
        heed::Error::Io(ref io) if io.kind() == std::io::ErrorKind::PermissionDenied => {
            Error::new("io", "no permission to open the store's data file")
        }
        cause => Error::new("io", format!("the storage engine failed: {cause}")),
    }
}

impl Mapped {
    /// Opens the environment in `folder`; creates it if it may write.
    fn open(folder: &Path, used: Use) -> Result<Self> {
        let mut map_bytes = MAP_BYTES;
        let env = loop {
            match open_env(folder, map_bytes, used) {
                Err(heed::Error::Io(cause))
                    if cause.raw_os_error() == Some(libc::ENOMEM) && map_bytes > MIN_MAP_BYTES =>
                {
                    map_bytes /= 2;
                }
                opened => break opened.map_err(failed)?,
            }
        };
        let turns = Turns::open(&folder.join(DATA_FILE))?;
        let opened = match used {
            Use::Write(_) => {
                env.clear_stale_readers().map_err(failed)?;
                let _turn = turns.take()?;
                created(&env).map_err(failed)?
            }
            Use::Read | Use::ReadUnregistered => found(&env).map_err(failed)?,
        };
        let databases = opened.ok_or_else(|| {
            Error::new("missing", "the store's data file holds nothing: its creation was cut short")
        })?;
        let data = folder.join(DATA_FILE);
        let place = place(&data).map_err(|cause| failed(heed::Error::Io(cause)))?;
        Ok(Mapped { data, place, env, databases, used, turns })
    }

    /// What the file's pages are used for.
    fn room(&self) -> Result<Room> {
        let txn = self.env.read_txn().map_err(failed)?;
        let Databases { nodes, maps, log, meta } = &self.databases;
        let stats = [nodes.stat(&txn), maps.stat(&txn), log.stat(&txn), meta.stat(&txn)];
        let (mut used_pages, mut page_bytes) = (FIXED_PAGES, 0);
        for stat in stats {
            let stat = stat.map_err(failed)?;
            used_pages += stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
            page_bytes = u64::from(stat.page_size);
        }
        let file_bytes = std::fs::metadata(&self.data);
        let file_bytes = file_bytes.map_err(|cause| failed(heed::Error::Io(cause)))?.len();
        Ok(Room { file_bytes, page_bytes, used_pages: used_pages as u64 })
    }

    /// Waits until the file is closed.
    fn close(self) {
        self.env.prepare_for_closing().wait();
    }

    /// The data file must still be the one that was opened: what is written to a file that was
    /// removed is lost.
    fn check_in_place(&self) -> Result<()> {
        let said = |slug, what: &'static str| {
            Err(Error::new(slug, what).with("path", self.data.display().to_string()))
        };
        match place(&self.data) {
            Ok(place) if place == self.place => Ok(()),
            Ok(_) => said(
                "rolled-back",
                "another data file was put in the store's place while it was open; close this \
                 handle and open the store anew",
            ),
            Err(_) => said("missing", "the store's data file was taken away while it was open"),
        }
    }
}

fn place(path: &Path) -> std::io::Result<(u64, u64)> {
    std::fs::metadata(path).map(|found| (found.dev(), found.ino()))
}

type Bag = Database<'static, Bytes, Bytes>;

struct Databases {
    nodes: Bag,
    maps: Bag,
    log: Bag,
    meta: Database<'static, Str, Bytes>,
}

impl Databases {
    /// Where a node lies.
    fn of(&self, id: NodeId) -> &Bag {
        match id.0.first() {
            Some(&first) if first >= FIRST_NUMBERED => &self.log,
            Some(&first) if first >= FIRST_OF_MAPS => &self.maps,
            _ => &self.nodes,
        }
    }
}

fn created(env: &Env<WithoutTls>) -> heed::Result<Option<Databases>> {
    let txn = env.write_txn()?;
    let made = env.create_databases_and_commit(txn, |opener, txn| {
        let bags = [NODES, MAPS, LOG].map(|name| opener.create_database(txn, Some(name)));
        let [nodes, maps, log] = bags;
        let meta = opener.create_database(txn, Some(META))?;
        heed::Result::Ok(CommitOrAbort::<_, ()>::Commit((nodes?, maps?, log?, meta)))
    })?;
    let (nodes, maps, log, meta) = made.unwrap_commit();
    Ok(Some(Databases { nodes, maps, log, meta }))
}

fn found(env: &Env<WithoutTls>) -> heed::Result<Option<Databases>> {
    let txn = env.read_txn()?;
    let found = env.open_databases_and_commit(txn, |opener, txn| {
        let bags = [NODES, MAPS, LOG].map(|name| opener.open_database(txn, Some(name)));
        let [nodes, maps, log] = bags;
        let meta = opener.open_database(txn, Some(META))?;
        heed::Result::Ok(match (nodes?, maps?, log?, meta) {
            (Some(nodes), Some(maps), Some(log), Some(meta)) => {
                CommitOrAbort::Commit((nodes, maps, log, meta))
            }
            _ => CommitOrAbort::Abort(()),
        })
    })?;
    Ok(match found {
        CommitOrAbort::Commit((nodes, maps, log, meta)) => {
            Some(Databases { nodes, maps, log, meta })
        }
        CommitOrAbort::Abort(()) => None,
    })
}

impl Mapped {
    fn not_committed(&self, cause: heed::Error, write: &Write) -> Error {
        let bytes: usize = write.batches.iter().map(|batch| batch.size_bytes()).sum();
        // Nodes fill pages, and the branches above them are written anew.
        let bytes = bytes + bytes / 2 + (1 << 20);
        match cause {
            heed::Error::Io(ref io)
                if io.raw_os_error() == Some(libc::EIO) && is_short(self.env.path(), bytes) =>
            {
                failed(std::io::Error::from(std::io::ErrorKind::StorageFull).into())
            }
            cause => failed(cause),
        }
    }
}

#[allow(unsafe_code)]
fn open_env(folder: &Path, map_bytes: usize, used: Use) -> heed::Result<Env<WithoutTls>> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(map_bytes).max_dbs(4).max_readers(126);
    // SAFETY: heed asks that nobody else changes the mapped file in ways LMDB does not expect. The
    // store's lock keeps other stores of ours out, and LMDB's own locks order its users; where they
    // cannot be used, the store's keep writers out. What remains: a foreign program that truncates
    // or scribbles over the file while it is mapped can still fault this process; every byte read
    // is authenticated above, so it cannot lie to it.
    unsafe {
        let flags = match used {
            Use::Write(Sync::Always) => EnvFlags::empty(),
            Use::Write(Sync::BenchOnlyNever | Sync::BenchOnlySlept(_)) => EnvFlags::NO_SYNC,
            Use::Read => EnvFlags::READ_ONLY,
            Use::ReadUnregistered => EnvFlags::READ_ONLY | EnvFlags::NO_LOCK,
        };
        options.flags(flags | EnvFlags::NO_READ_AHEAD);
        options.open(folder)
    }
}

impl Engine for Mapped {
    fn head(&self) -> Result<Option<Vec<u8>>> {
        let txn = self.env.read_txn().map_err(failed)?;
        Ok(self.databases.meta.get(&txn, HEAD).map_err(failed)?.map(<[u8]>::to_vec))
    }

    fn node(&self, id: NodeId, read: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool> {
        let txn = self.env.read_txn().map_err(failed)?;
        match self.databases.of(id).get(&txn, &id.0).map_err(failed)? {
            Some(bytes) => read(bytes).map(|()| true),
            None => Ok(false),
        }
    }

    fn scan(&self, each: &mut dyn FnMut(NodeId, &[u8]) -> Result<()>) -> Result<()> {
        let txn = self.env.read_txn().map_err(failed)?;
        for bag in [&self.databases.nodes, &self.databases.maps, &self.databases.log] {
            for entry in bag.iter(&txn).map_err(failed)? {
                let (id, bytes) = entry.map_err(failed)?;
                let wrong = |_| Error::new("malformed", "a node id of a wrong length");
                each(NodeId(id.try_into().map_err(wrong)?), bytes)?;
            }
        }
        Ok(())
    }

    fn commit(&self, make: Make<'_>) -> Result<()> {
        // Declared first, so that it ends last.
        let _turn = self.turns.take()?;
        let mut txn = self.env.write_txn().map_err(failed)?;
        let newest = self.databases.meta.get(&txn, HEAD).map_err(failed)?.map(<[u8]>::to_vec);
        let Some(write) = make(newest.as_deref())? else {
            return Ok(());
        };
        let mut nodes: Vec<_> = write.batches.iter().flat_map(|batch| batch.nodes()).collect();
        nodes.sort_by_key(|(id, _)| *id);
        for (id, bytes) in nodes {
            self.databases.of(id).put(&mut txn, &id.0, bytes).map_err(failed)?;
        }
        for id in &write.dead {
            self.databases.of(*id).delete(&mut txn, &id.0).map_err(failed)?;
        }
        self.databases.meta.put(&mut txn, HEAD, &write.head).map_err(failed)?;
        if let Use::Write(Sync::BenchOnlySlept(delay)) = self.used {
            // While the engine's lock is held, as for a sync.
            std::thread::sleep(delay);
        }
        txn.commit().map_err(|cause| self.not_committed(cause, &write))
    }
}
