//! Nodes of one namespace, out of the engine and opened.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::seal::{Committed, NodeId, Place, Sealer, kind, with_scratch};
use crate::tree::{Hash, Nodes, check};

/// Opens the nodes of one namespace.
pub struct Opened<'a> {
    engine: &'a dyn Engine,
    sealer: &'a Sealer,
}

impl<'a> Opened<'a> {
    /// Over an engine, with a namespace's keys.
    pub fn new(engine: &'a dyn Engine, sealer: &'a Sealer) -> Self {
        Opened { engine, sealer }
    }

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
        if self.engine.node(place.id, read)? {
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
