//! A backup read back: into a folder of its own, where it can be proved before it is used.
//!
//! While packs are missing the head in that folder is none: `dachi_fast half\n` (16), the manifest's
//! id (16), and how many of its packs are in (u64). Each commit adds a pack and counts it, so that
//! whoever died in between is followed by one who goes on there.

use super::objects::{Manifest, Table};
use crate::engine::lmdb::{Lmdb, Sync, Use, check};
use crate::engine::{Batch, Engine, Write};
use crate::error::{Error, Result};
use crate::keys::{self, Key, Locked};
use crate::ledger::Detail;
use crate::seal::{NodeId, Sealer, StoreId};
use crate::store::commit::Change;
use crate::store::head::Head;
use crate::store::save::check_justification;
use crate::store::{Store, records};
use crate::tree::Edits;
use crate::wire::{Put, Take};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

const HALF: &[u8; 16] = b"dachi_fast half\n";

/// A backup that was found in an archive.
#[derive(Debug, Clone)]
pub struct Found {
    /// When it was made.
    pub created_ns: u64,
    /// The commit.
    pub commit: u64,
    /// When that was made.
    pub committed_ns: u64,
    /// Ledger entries.
    pub entries: u64,
    /// Hash of the last of them.
    pub chain: [u8; 32],
    /// Nodes.
    pub nodes: u64,
    /// Their bytes.
    pub size_bytes: u64,
    /// Packs that hold them, and how long those are.
    pub packs: Vec<(NodeId, u64)>,
}

/// An archive's copy of `keys.sealed`.
pub(super) fn archived(bytes: &[u8]) -> Result<Locked> {
    Locked::parse(bytes).map_err(|error| match error.slug() {
        "not-a-store" => Error::new("malformed", "the archive's keys are none: they were edited"),
        _ => error,
    })
}

/// The store and the wrapped root key of an archive's copy of `keys.sealed`.
pub fn keys_of(bytes: &[u8]) -> Result<(StoreId, Vec<u8>)> {
    archived(bytes).map(|locked| (locked.store, locked.wrapped_root))
}

/// Backups of an archive, opened with its keys.
pub struct Restoration {
    keys: Vec<u8>,
    sealer: Sealer,
    into: Option<Into>,
}

/// A folder that a backup is restored to.
struct Into {
    engine: Lmdb,
    id: NodeId,
    manifest: Manifest,
    done: usize,
}

impl Restoration {
    /// With the archive's copy of `keys.sealed`, and the root key that it is sealed under.
    pub fn new(keys: Vec<u8>, root: Key) -> Result<Self> {
        let keyring = archived(&keys)?.unlock(root)?;
        Ok(Restoration { keys, sealer: keyring.store_sealer(), into: None })
    }

    /// What a manifest says.
    pub fn read(&self, id: NodeId, sealed: &[u8]) -> Result<Found> {
        let manifest = Manifest::open(&self.sealer, id, sealed)?;
        let head = Head::open(&manifest.head, &self.sealer)?;
        Ok(Found {
            created_ns: manifest.created_ns,
            commit: head.commit,
            committed_ns: head.created_ns,
            entries: head.frontier.size(),
            chain: head.chain,
            nodes: manifest.nodes,
            size_bytes: manifest.size_bytes,
            packs: manifest.parts.iter().map(|part| (part.id, part.size_bytes)).collect(),
        })
    }

    /// Begins to restore into a folder, or goes on there; gives how many packs are in already: all
    /// of them where a store lies there that has a head, be it this one. `malformed` where something
    /// else does: empty it.
    pub fn begin(&mut self, folder: &Path, id: NodeId, sealed: &[u8]) -> Result<usize> {
        let manifest = Manifest::open(&self.sealer, id, sealed)?;
        // LMDB must not see what was edited meanwhile.
        check(folder)?;
        keys::write(folder, &self.keys)?;
        let engine = Lmdb::open(folder, Use::Write(Sync::Always))?;
        let done = match engine.head()? {
            None => 0,
            Some(head) if Head::open(&head, &self.sealer).is_ok() => manifest.parts.len(),
            Some(head) => counted(&head, id)?,
        };
        self.into = Some(Into { engine, id, manifest, done });
        Ok(done)
    }

    /// Adds the next pack.
    pub fn add(&mut self, pack: &[u8]) -> Result<()> {
        let into = self.into.as_mut().ok_or_else(not_begun)?;
        let part = into.manifest.parts.get(into.done).ok_or_else(not_begun)?;
        let named = |error: Error| error.with("pack", part.id.to_string());
        if pack.len() as u64 != part.size_bytes {
            let what = "a pack of the archive has another length than was put there";
            return Err(named(Error::new("malformed", what)));
        }
        let (table, mut rest) = Table::split(&self.sealer, part.id, pack).map_err(named)?;
        let mut batch = Batch::expecting(rest.len());
        for (at, row) in table.rows.iter().enumerate() {
            let long = usize::try_from(row.size_bytes).ok();
            let split = long.and_then(|long| rest.split_at_checked(long));
            let short = || named(Error::new("malformed", "a pack of the archive is too short"));
            let (sealed, behind) = split.ok_or_else(short)?;
            rest = behind;
            if part.used.has(at) {
                batch.add(row.id, |out| {
                    out.extend_from_slice(sealed);
                    Ok(())
                })?;
            }
        }
        into.done += 1;
        into.commit(batch)
    }

    /// Lets go of the folder, as far as it came.
    pub fn stop(&mut self) {
        self.into = None;
    }

    /// Puts the head in its place, and lets go of the folder: a store as it was backed up.
    pub fn finish(&mut self) -> Result<()> {
        let into = self.into.take().ok_or_else(not_begun)?;
        if into.done != into.manifest.parts.len() {
            return Err(not_begun());
        }
        match into.engine.head()? {
            Some(head) if !head.starts_with(HALF) => Ok(()),
            _ => into.put(Batch::default(), into.manifest.head.clone()),
        }
    }
}

impl Into {
    fn commit(&self, batch: Batch) -> Result<()> {
        let mut head = HALF.to_vec();
        head.extend_from_slice(&self.id.0);
        head.put_u64(self.done as u64);
        self.put(batch, head)
    }

    fn put(&self, batch: Batch, head: Vec<u8>) -> Result<()> {
        let batch = Arc::new(batch);
        self.engine.commit(&mut |_| {
            let batches = vec![Arc::clone(&batch)];
            Ok(Some(Write { batches, dead: Vec::new(), head: head.clone() }))
        })
    }
}

fn not_begun() -> Error {
    Error::new("store", "a restoration is used out of order")
}

/// How many packs of a backup are in.
fn counted(head: &[u8], id: NodeId) -> Result<usize> {
    let mut take = Take::new(head);
    let other = || Error::new("malformed", "the folder holds something else, half restored");
    if take.array::<16>()? != *HALF || take.array::<16>()? != id.0 {
        return Err(other());
    }
    let done = usize::try_from(take.u64()?).map_err(|_| other())?;
    take.done()?;
    Ok(done)
}

impl Store {
    /// After a backup was restored: takes out what was forgotten since it was made, of which the
    /// keys are gone, and writes why into the ledger. Gives how many namespaces were taken out.
    pub fn restored(&self, manifest: &str, justification: &str) -> Result<u64> {
        check_justification(justification)?;
        let detail = Detail {
            justification: justification.to_owned(),
            root: manifest.to_owned(),
            ..Detail::default()
        };
        self.write(move |change| {
            let gone = change.store.keyless(change)?;
            let count = gone.len() as u64;
            take_out(change, &gone)?;
            change.log("restore", &detail, &change.store.sealer)?;
            Ok(count)
        })
    }

    fn keyless(&self, change: &Change<'_>) -> Result<HashSet<[u8; 16]>> {
        let mut gone = HashSet::new();
        for id in self.namespaces(change.view)? {
            let opened = self
                .namespace_sealer(&id)
                .and_then(|sealer| self.namespace_map(&change.view.head, &sealer));
            match opened {
                // No edit looks like this: the pack's table holds the hash of all its bytes.
                Err(error) if matches!(error.slug(), "keyring" | "wrong-context") => {
                    gone.insert(id);
                }
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        Ok(gone)
    }
}

/// Takes namespaces out of the top map, with the names that lead to them.
fn take_out(change: &mut Change<'_>, gone: &HashSet<[u8; 16]>) -> Result<()> {
    if gone.is_empty() {
        return Ok(());
    }
    let mut edits = Edits::new();
    for id in gone {
        edits.insert(records::root_key(id), None);
    }
    let nodes = change.store.top_nodes();
    for entry in change.view.head.top.prefixed(&nodes, records::NAMES)? {
        let leads_to = entry.value.whole(&nodes)?;
        if leads_to.first_chunk::<16>().is_some_and(|id| gone.contains(id)) {
            edits.insert(entry.key, None);
        }
    }
    change.edit_top(edits, gone.iter().copied());
    Ok(())
}
