//! The core of dachi_fast: a forest of authenticated, encrypted, copy-on-write maps in LMDB.
//!
//! Each layer knows only those above it in this list.

pub mod error;
pub mod wire;

pub mod codec;
pub mod embed;
pub mod engine;
pub mod keys;
pub mod learn;
pub mod ledger;
pub mod seal;
pub mod state;
pub mod store;
pub mod tree;
pub mod vector;
pub mod witness;

#[cfg(feature = "python")]
mod py;
