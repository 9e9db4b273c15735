//! What carries the nodes: immutable nodes by id, and one head replaced by compare-and-set.
//!
//! Any engine that can do this can carry a store. An engine knows neither keys nor formats; it
//! keeps bytes, and is not trusted: everything read is proved above it.

pub mod lmdb;

use crate::error::Result;
use crate::seal::NodeId;
use std::sync::Arc;

/// The first byte of ids tells what grows together, which an engine may keep apart: from here on,
/// nodes of plain maps, most of which go soon.
pub const FIRST_OF_MAPS: u8 = 0x80;
/// And from here on, what is numbered: ledger entries, tiles, records of garbage. All below are nodes
/// of states.
pub const FIRST_NUMBERED: u8 = 0xf0;

/// Whether this is the id of a node of a plain map.
pub fn is_of_map(id: NodeId) -> bool {
    id.0.first().is_some_and(|first| (FIRST_OF_MAPS..FIRST_NUMBERED).contains(first))
}

/// Sealed nodes on their way to disk, in a few large buffers.
#[derive(Debug, Default)]
pub struct Batch {
    /// Where each node lies: its id, and its range in the buffer.
    parts: Vec<(NodeId, usize, usize)>,
    buffer: Vec<u8>,
    /// Reserved when the first node is added: growing by doubling touches fresh memory twice.
    expected_bytes: usize,
}

impl Batch {
    /// For about this many bytes of envelopes.
    pub fn expecting(expected_bytes: usize) -> Self {
        Batch { expected_bytes, ..Batch::default() }
    }

    /// Appends what `seal` writes as the node `id`.
    pub fn add(&mut self, id: NodeId, seal: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        let start = self.buffer.len();
        seal(&mut self.buffer)?;
        self.parts.push((id, start, self.buffer.len()));
        Ok(())
    }

    /// Appends what `seal` writes as the node `id`, if it says that it wrote something.
    pub fn add_if(
        &mut self,
        id: NodeId,
        seal: impl FnOnce(&mut Vec<u8>) -> Result<bool>,
    ) -> Result<()> {
        let start = self.buffer.len();
        self.buffer.reserve(self.expected_bytes.saturating_sub(start));
        if seal(&mut self.buffer)? {
            self.parts.push((id, start, self.buffer.len()));
        }
        Ok(())
    }

    /// Takes nodes out again.
    pub fn drop_nodes(&mut self, ids: &std::collections::HashSet<NodeId>) {
        self.parts.retain(|(id, _, _)| !ids.contains(id));
    }

    /// The nodes in the order they were added.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &[u8])> {
        let part = |&(id, start, end): &(NodeId, usize, usize)| {
            (id, self.buffer.get(start..end).unwrap_or_default())
        };
        self.parts.iter().map(part)
    }

    /// How many nodes.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// How many bytes of envelopes.
    pub fn size_bytes(&self) -> usize {
        self.parts.iter().map(|(_, start, end)| end - start).sum()
    }
}

/// What one commit writes.
#[derive(Debug)]
pub struct Write {
    /// New nodes.
    pub batches: Vec<Arc<Batch>>,
    /// Nodes to delete.
    pub dead: Vec<NodeId>,
    /// The head from now on.
    pub head: Vec<u8>,
}

/// Works out what to write over the newest head; None for nothing.
pub type Make<'a> = &'a mut dyn FnMut(Option<&[u8]>) -> Result<Option<Write>>;

/// A place for nodes and a head.
pub trait Engine: Send + Sync {
    /// The head's bytes; None in a new store.
    fn head(&self) -> Result<Option<Vec<u8>>>;
    /// Hands the bytes of one node to `read`; false if there is no such node.
    fn node(&self, id: NodeId, read: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool>;
    /// Calls `each` with every node's id and bytes, ascending.
    fn scan(&self, each: &mut dyn FnMut(NodeId, &[u8]) -> Result<()>) -> Result<()>;
    /// Calls `make` with the newest head and writes what it gives, all or nothing; returned means
    /// on disk. Nobody else commits in between: an engine with a lock holds it, one that replaces
    /// the head by compare-and-set calls `make` again when it lost. `make` may read nodes.
    fn commit(&self, make: Make<'_>) -> Result<()>;
}
