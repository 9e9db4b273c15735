//! Giving room back: what nothing needs is deleted, and the file written anew without its holes.

use super::Store;
use super::prune::{Pruning, each_ref, prune_now};
use super::records::{DROPPED, VERSIONS, Version};
use super::view::View;
use crate::engine::lmdb::Lmdb;
use crate::engine::{Engine, FIRST_NUMBERED};
use crate::error::{Error, Result};
use crate::ledger::Detail;
use crate::seal::NodeId;
use crate::tree::{Map, Nodes, refs};
use std::collections::HashSet;

/// The copy, until it takes the place of the data file.
pub const COPY_FILE: &str = "data.mdb.new";

/// Whether a node lies at a place of its own, where no map or state leads to.
pub(super) fn has_place(id: NodeId) -> bool {
    id.0.first().is_some_and(|first| *first >= FIRST_NUMBERED)
}

/// A copy of the data file without holes, and the commit it holds.
#[derive(Debug)]
pub struct Compacted {
    head: Option<Vec<u8>>,
}

impl Store {
    /// Deletes what nothing refers to, and what was dropped long enough ago. Others read meanwhile.
    pub fn sweep_all(&self) -> Result<()> {
        for name in self.all_names()? {
            self.write(move |change| {
                let Some(agent) = change.agent(&name)? else { return Ok(()) };
                let mut pruning = Pruning::default();
                change.store.sweep(&agent, 1, change.created_ns, &mut pruning)?;
                match pruning.edits.is_empty() {
                    true => Ok(()),
                    false => prune_now(change, &name, &agent, pruning),
                }
            })?;
        }
        self.write(|change| {
            change.check_first()?;
            let live = change.store.live(change.view, change.created_ns)?;
            let mut dead = Vec::new();
            change.store.engine.scan(&mut |id, _| {
                dead.extend((!has_place(id) && !live.contains(&id)).then_some(id));
                Ok(())
            })?;
            change.delete(dead);
            change.log("compact", &Detail::default(), &change.store.sealer)
        })
    }

    /// All nodes that somebody may read.
    fn live(&self, view: &View, now_ns: u64) -> Result<HashSet<NodeId>> {
        let mut live = HashSet::new();
        hold(&self.top_nodes(), &view.head.top, &mut live)?;
        for id in self.namespaces(view)? {
            let sealer = self.namespace_sealer(&id)?;
            let map = self.namespace_map(&view.head, &sealer)?;
            let nodes = self.nodes(&sealer);
            hold(&nodes, &map, &mut live)?;
            for prefix in [VERSIONS, DROPPED] {
                for entry in map.prefixed(&nodes, prefix)? {
                    let version = Version::decode(&entry.value.whole(&nodes)?)?;
                    each_ref(&nodes, &version, &mut |id| live.insert(id))?;
                }
            }
        }
        self.each_waiting(&view.head, now_ns, &mut |id| {
            live.insert(id);
        })?;
        Ok(live)
    }

    /// Writes the copy. Others read and write meanwhile: what they write is not in it.
    pub fn copy_compacted(&self) -> Result<Compacted> {
        self.writable_view()?; // not in a fork, nor after a failed sync
        let head = self.engine.head()?;
        self.engine.copy_compacted(&self.folder.join(COPY_FILE))?;
        Ok(Compacted { head })
    }

    /// Puts the copy in the place of the data file, if nobody wrote since. At each step one of the
    /// two is there and whole. After an error of the outer kind the store must be opened anew.
    pub fn take_over(self, copy: &Compacted) -> Result<(Store, Result<bool>)> {
        if self.engine.head()? != copy.head {
            return Ok((self, Ok(false)));
        }
        if self._lock.try_lock().is_err() {
            self._lock.lock_shared().map_err(|cause| refused(&cause))?;
            let what = "another process has the store open: close it there";
            return Ok((self, Err(Error::new("locked", what))));
        }
        let (used, folder) = (self.engine.used(), self.folder.clone());
        self.engine.close();
        std::fs::rename(folder.join(COPY_FILE), folder.join(crate::engine::lmdb::DATA_FILE))
            .and_then(|()| std::fs::File::open(&folder)?.sync_all())
            .map_err(|cause| refused(&cause))?;
        let engine = Lmdb::open(&folder, used)?;
        self._lock.lock_shared().map_err(|cause| refused(&cause))?;
        Ok((Store { engine, ..self }, Ok(true)))
    }
}

fn refused(cause: &std::io::Error) -> Error {
    Error::new("io", format!("cannot replace the data file: {cause}"))
}

/// Adds the nodes of a map.
pub(super) fn hold(nodes: &dyn Nodes, map: &Map, live: &mut HashSet<NodeId>) -> Result<()> {
    match &map.root {
        Some(root) => refs(nodes, root, &mut |_, _, id| live.insert(id)),
        None => Ok(()),
    }
}
