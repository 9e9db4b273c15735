//! Nodes of one namespace, out of the engine and opened.

use super::Store;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::seal::{Committed, NodeId, Place, Sealer, kind, with_scratch};
use crate::tree::{Hash, Nodes, check};

/// Opens the nodes of one namespace.
pub struct Opened<'a> {
    /// Where they lie.
    pub store: &'a Store,
    /// The namespace's keys.
    pub sealer: &'a Sealer,
}

impl Store {
    /// Hands a node to `open`; false if there is none. What another process has sealed anew since
    /// this one looked needs a key that it has made since.
    pub(super) fn opened_node(
        &self,
        id: NodeId,
        open: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<bool> {
        match self.engine.node(id, open) {
            Err(error) if error.slug() == "wrong-context" && self.newest_keys().is_ok() => {
                self.engine.node(id, open)
            }
            found => found,
        }
    }
}

impl Opened<'_> {
    /// Proves a piece of a value; gives how long it is.
    pub fn prove_chunk(&self, hash: &Hash, id: NodeId) -> Result<u64> {
        let place = Place { kind: kind::CHUNK, id };
        let mut size_bytes = 0;
        self.read(place, &mut |sealed| {
            with_scratch(|scratch| {
                self.sealer.open_with(scratch, place, sealed, |plain| {
                    size_bytes = plain.len() as u64;
                    check(kind::CHUNK, plain, hash, id)
                })
            })
        })?;
        Ok(size_bytes)
    }

    fn read(&self, place: Place, read: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if self.store.opened_node(place.id, read)? {
            return Ok(());
        }
        Err(Error::new("missing", "a node that the head leads to is not in the store")
            .with("node", place.id.to_string())
            .with("kind", u64::from(place.kind)))
    }
}

impl Nodes for Opened<'_> {
    fn open(&self, kind: u8, id: NodeId) -> Result<Vec<u8>> {
        let place = Place { kind, id };
        let mut plain = Vec::new();
        self.read(place, &mut |sealed| {
            plain = with_scratch(|s| self.sealer.open(s, place, Committed::No, sealed))?;
            Ok(())
        })?;
        Ok(plain)
    }

    fn open_into(&self, kind: u8, id: NodeId, out: &mut [u8]) -> Result<()> {
        let place = Place { kind, id };
        self.read(place, &mut |sealed| {
            with_scratch(|scratch| self.sealer.open_into(scratch, place, sealed, out))
        })
    }
}
