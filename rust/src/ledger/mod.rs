//! What happened, in order: a hash chain of entries and an RFC 6962 tree over them.
//!
//! An entry is hashed as RFC 8785 JSON of `detail_commitment`, `operation`, `prev`, `seq`,
//! `timestamp`; `hash = "sha256:" + hex(SHA-256(that JSON))`, and `prev` is the hash before. The
//! detail (agent, memory type, justification, root) is sealed under its namespace's key, and the
//! entry holds only `SHA-256(salt ‖ JSON of the detail)`: a forgotten namespace leaves a log that
//! still verifies, and nobody can guess a detail from its hash.
//!
//! The envelope of a detail holds salt (16), agent, memory type, justification and root (each varint
//! length, text), version, count and the clock's lag (varints).
//!
//! A record on disk: seq u64, operation (varint length, text), created u64 (ns), prev (32),
//! commitment (32), namespace id (16), the envelope of salt and detail to the end. It is itself
//! sealed under the store's key as the node `ff*8 ‖ seq` (big endian). Tiles of the tree lie beside
//! them, see [`Tile`].

mod entry;
mod frontier;
mod json;
mod proof;
mod tile;

pub use entry::{
    Detail, Entry, GENESIS, decode, encode, hex, node_id, seal_detail, tagged, timestamp,
};
pub use frontier::{Frontier, leaf_hash};
pub use proof::{Tree, continues, included};
pub use tile::{Hash, Source, Tile, WIDTH, count as tile_count, fold, grown, grown_row};
