//! Giving room back: what nothing needs is deleted, and the file written anew without its holes.

use super::prune::{Pruning, each_ref, prune_now};
use super::records::{DROPPED, VERSIONS, Version};
use super::view::View;
use super::{Store, verify};
use crate::engine::lmdb::{DATA_FILE, Progress};
use crate::engine::{Engine, FIRST_NUMBERED};
use crate::error::{Error, Result};
use crate::ledger::Detail;
use crate::seal::NodeId;
use crate::tree::{Map, Nodes, refs};
use std::collections::HashSet;
use std::path::Path;

/// The copy, until it takes the place of the data file.
pub const COPY_FILE: &str = "data.mdb.new";

/// Whether a node lies at a place of its own, where no map or state leads to.
pub(super) fn has_place(id: NodeId) -> bool {
    id.0.first().is_some_and(|first| *first >= FIRST_NUMBERED)
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
        })?;
        // What was deleted does not live on in memory.
        self.hot()?.clear();
        Ok(())
    }

    /// All nodes that somebody may read.
    fn live(&self, view: &View, now_ns: u64) -> Result<HashSet<NodeId>> {
        let mut live = self.reachable(view, &mut |_| Ok(()))?;
        self.each_waiting(&view.head, now_ns, &mut |id| {
            live.insert(id);
        })?;
        Ok(live)
    }

    /// All nodes that a commit leads to but those of its ledger. `progress` is called with how many
    /// were found so far; an error of its ends the walk.
    pub(super) fn reachable(
        &self,
        view: &View,
        progress: verify::Progress<'_>,
    ) -> Result<HashSet<NodeId>> {
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
                    progress(live.len() as u64)?;
                }
            }
        }
        Ok(live)
    }

    /// Deletes what can be deleted, writes the data file anew and puts it in the old one's place. At
    /// each step one of the two is there and whole.
    ///
    /// A first copy is made while others save. If they did, the saves of this process wait for a
    /// second one: none waits longer, and the copying need not be tried again and again.
    pub fn compact(&self, progress: Progress<'_>) -> Result<()> {
        self.writable_view()?; // not in a fork, nor after a failed sync
        self.while_alone(|| Ok(()))?;
        self.sweep_all()?;
        self.finish_purges(&mut |_, _| Ok(()))?;
        let copy = self.folder.join(COPY_FILE);
        let written = self.write_anew(&copy, progress);
        if written.is_err() {
            // What is left of it is removed by the next open.
            let _ = std::fs::remove_file(&copy);
        }
        written
    }

    fn write_anew(&self, copy: &Path, progress: Progress<'_>) -> Result<()> {
        let mut copied = self.engine.head()?;
        self.engine.copy_to(copy, progress)?;
        let _turn = self.queue.turn()?;
        let head = self.engine.head()?;
        if head != copied {
            copied = head;
            self.engine.copy_to(copy, progress)?;
        }
        self.while_alone(|| {
            if self.engine.head()? != copied {
                return Err(shared());
            }
            self.engine.replace(|| {
                std::fs::rename(copy, self.folder.join(DATA_FILE))
                    .and_then(|()| std::fs::File::open(&self.folder)?.sync_all())
                    .map_err(|cause| refused(&cause))
            })
        })
    }

    /// Runs `work` while no other process has the store open; an error if one has.
    fn while_alone<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let done = match self._lock.try_lock() {
            Ok(()) => work(),
            Err(_) => Err(shared()),
        };
        // Also after it was not given: asking lets go of what was held.
        self._lock.lock_shared().map_err(|cause| refused(&cause))?;
        done
    }
}

fn shared() -> Error {
    let what = "another process has the store open: close it there, or compact it from there while \
                this one is closed";
    Error::new("locked", what)
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
