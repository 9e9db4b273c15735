//! The core of dachi_fast: a forest of authenticated, encrypted, copy-on-write maps in LMDB.
//!
//! Each layer knows only those above it in this list.

pub mod error;
pub mod wire;

pub mod codec;
pub mod state;
pub mod keys;
pub mod seal;
pub mod engine;
pub mod tree;
pub mod ledger;
pub mod witness;
pub mod store;

#[cfg(feature = "python")]
mod py;
