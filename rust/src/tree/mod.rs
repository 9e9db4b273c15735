//! Ordered maps as copy-on-write Merkle trees of sealed nodes.
//!
//! A node's hash is BLAKE3 over its kind and its *content*: keys, values and children's hashes,
//! never ids. Content (A) and ids (B) stand apart in a node: varint length of A, A, B.
//!
//! | node | A | B |
//! |---|---|---|
//! | leaf | varint count; for each entry its key and value | ids of blobs |
//! | keys | varint count; for each entry its key | |
//! | values | varint count; for each entry its value | ids of blobs |
//! | branch | u8 height, u8 packed, varint count; for each child its last key, hash, if packed and of height 1 the hash of its keys, varint entries, varint bytes | for each child its id and, where its keys have a hash, their id |
//! | index | varint count; for each piece or index below varint bytes and hash | ids |
//! | chunk | the bytes (no frame) | |
//!
//! Key: varint bytes shared with the key before, varint length of the rest, the rest. Value: varint
//! length of the inline part times two, plus one if a blob follows; the inline part; of a blob its
//! varint length, a u8 (levels of indexes times two, plus one if it was cut by content) and its hash.
//! A *packed* map splits each leaf into keys and values, because the keys of a state rarely change
//! while its values do.

mod blob;
mod branch;
mod cut;
mod diff;
mod edit;
mod ends;
mod keys;
mod known;
mod leaf;
mod map;
mod packed;
mod writer;

pub use blob::{Blob, check, write as write_blob};
pub use cut::Cut;
pub use diff::{changed, changed_in, unshared};
pub use known::known_of;
pub use leaf::{Entry, MAX_INLINE_BYTES, Value, put_value, take_value};
pub use map::{Edit, Edits, Map, Node, Order, Range, entries, get, refs, visit};
pub use packed::{Shape, write_state};
pub use writer::{Ids, Known, Writer, Written};

use crate::error::Result;
use crate::seal::NodeId;
use crate::wire::Take;
use std::sync::Arc;

/// BLAKE3 of kind and content.
pub type Hash = [u8; 32];

/// Opens sealed nodes; implemented by the store over an engine and a namespace's keys.
pub trait Nodes: Sync {
    /// The plaintext of a node.
    fn open(&self, kind: u8, id: NodeId) -> Result<Vec<u8>>;
    /// The plaintext of a framed node, whose content is proved to have this hash.
    fn proved(&self, kind: u8, hash: &Hash, id: NodeId) -> Result<Arc<Vec<u8>>> {
        let plain = self.open(kind, id)?;
        check(kind, Take::new(&plain).bytes()?, hash, id)?;
        Ok(Arc::new(plain))
    }
    /// The plaintext of a chunk, straight into `out`, which it fills.
    fn open_into(&self, kind: u8, id: NodeId, out: &mut [u8]) -> Result<()>;
}
