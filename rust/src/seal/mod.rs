//! The envelope of one node: compressed where it pays, padded, encrypted, bound to its place.
//!
//! Envelope, all integers little endian:
//!
//! | bytes | field |
//! |---|---|
//! | 1 | version, 1 |
//! | 1 | kind of node |
//! | 4 | key epoch |
//! | 24 | salt, random |
//! | n + 16 | AES-256-GCM ciphertext and tag, nonce zero |
//!
//! PRK = HKDF-SHA256-Extract(salt = epoch key, input = namespace key); node key =
//! HKDF-Expand(PRK, salt ‖ kind, 32). One key a node, so the nonce never repeats under a key
//! (NIST SP 800-38D section 8.2 does not bind). Associated data: `dachi_fast` ‖ version ‖ store id ‖
//! namespace id ‖ kind ‖ node id ‖ epoch.
//!
//! Plaintext: flags u8 (1: compressed), varint raw length, varint body length, body, zeros up to a
//! multiple of 64 bytes, so that a length tells less.

mod compress;
mod digest;
mod envelope;
mod epochs;
mod sign;
mod stretch;

pub use compress::{Scratch, with_scratch};
pub use digest::{hmac, same_secret, sha256};
pub use envelope::{
    Committed, Context, Mark, NodeId, Place, Sealer, StoreId, epoch_of, hash_kind, mark, random,
};
pub use epochs::{Epoch, Epochs, Generation, Generations};
pub use sign::{Signer, is_signed};
pub use stretch::{Cost, stretch};

/// What a node is; part of its hash, its key and its associated data.
pub mod kind {
    /// The mutable head of the store.
    pub const HEAD: u8 = 1;
    /// A namespace's root record.
    pub const ROOT: u8 = 2;
    /// A leaf of a plain map.
    pub const LEAF: u8 = 3;
    /// An inner node of a map.
    pub const BRANCH: u8 = 4;
    /// The keys of a state leaf.
    pub const KEYS: u8 = 5;
    /// The values of a state leaf.
    pub const VALUES: u8 = 6;
    /// A piece of a large value.
    pub const CHUNK: u8 = 7;
    /// References to the pieces of a large value.
    pub const INDEX: u8 = 8;
    /// One ledger entry.
    pub const LEDGER: u8 = 9;
    /// The body of the key file.
    pub const KEY_FILE: u8 = 10;
    /// A key wrapped by a key provider.
    pub const WRAPPED: u8 = 11;
    /// Hashes of the ledger's tree.
    pub const TILE: u8 = 12;
    /// What a ledger entry says that is not for everybody.
    pub const DETAIL: u8 = 13;
    /// Nodes that a commit lost.
    pub const GARBAGE: u8 = 20;
    /// What lies in a pack of an archive.
    pub const PACK: u8 = 21;
    /// A backup: which nodes of which packs it consists of.
    pub const MANIFEST: u8 = 22;
}
