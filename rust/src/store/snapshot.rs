//! Reads that outlive what they read.
//!
//! A read holds a commit, not a transaction of the engine: each node is a transaction of its own. A
//! node that a later commit no longer needs stays for [`GRACE_NS`], so that a read has so long; only
//! what is forgotten or purged goes at once. A read that finds a node, or a key, gone for one of
//! these reasons says that. It is told from damage by the newest head, which is proved: whoever
//! deletes nodes can make a slow read fail this way, but no read of the newest commit.

use super::Store;
use super::garbage::GRACE_NS;
use super::nodes::Opened;
use super::view::View;
use crate::error::{Error, Result};
use crate::seal::{NodeId, Sealer};
use crate::tree::Nodes;
use std::collections::HashSet;
use std::sync::Arc;

/// What a read of an outdated commit gives.
pub(super) const EXPIRED: &str = "snapshot-expired";

impl Store {
    /// Reads from the newest commit on disk.
    pub(super) fn reading<T>(&self, read: impl FnOnce(&Arc<View>) -> Result<T>) -> Result<T> {
        let view = self.view()?;
        read(&view).map_err(|error| self.outlived(&view, error))
    }

    /// Why a read of `held` failed: as `error` says, or because what it needs was deleted.
    pub(super) fn outlived(&self, held: &View, error: Error) -> Error {
        if !matches!(error.slug(), "missing" | "keyring" | "wrong-context") {
            return error;
        }
        let Ok(newest) = self.view() else { return error };
        let passed_ns = newest.head.created_ns.saturating_sub(held.head.created_ns);
        let what = if newest.head.commit == held.head.commit {
            return error;
        } else if passed_ns >= GRACE_NS {
            "this took longer than the ten minutes for which what nothing needs any more is kept, \
             and the store has moved on: do it again"
        } else if self.has_forgotten(held, &newest).unwrap_or(false) {
            "something was forgotten while this read it: do it again to see what is left"
        } else if newest.head.key_generation > held.head.key_generation {
            "something was purged while this read it: do it again to see what is left"
        } else {
            return error;
        };
        Error::new(EXPIRED, what)
            .with("commit", held.head.commit)
            .with("newest_commit", newest.head.commit)
    }

    fn has_forgotten(&self, held: &View, newest: &View) -> Result<bool> {
        let left: HashSet<_> = self.namespaces(newest)?.into_iter().collect();
        Ok(self.namespaces(held)?.iter().any(|namespace| !left.contains(namespace)))
    }
}

/// Nodes of one namespace for a read that goes on after the call that began it.
pub(super) struct Pinned<'a> {
    pub(super) store: &'a Store,
    pub(super) view: &'a View,
    pub(super) sealer: &'a Sealer,
}

impl Pinned<'_> {
    fn read<T>(&self, read: impl FnOnce(&Opened<'_>) -> Result<T>) -> Result<T> {
        let opened = self.store.nodes(self.sealer);
        read(&opened).map_err(|error| self.store.outlived(self.view, error))
    }
}

impl Nodes for Pinned<'_> {
    fn open(&self, kind: u8, id: NodeId) -> Result<Vec<u8>> {
        self.read(|nodes| nodes.open(kind, id))
    }

    fn open_into(&self, kind: u8, id: NodeId, out: &mut [u8]) -> Result<()> {
        self.read(|nodes| nodes.open_into(kind, id, out))
    }
}
