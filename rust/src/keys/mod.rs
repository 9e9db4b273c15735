//! Root, epoch and namespace keys, and the file that holds them.
//!
//! A key provider, outside this crate, wraps the root key; the root wraps all others in
//! `keys.sealed`, a small file rewritten whole and never in LMDB, whose free pages keep what was
//! deleted.

mod keyring;
mod passphrase;
mod wrap;

pub use keyring::{Change, FILE_NAME, Keyring, Locked, SPARES, read, size_bytes, write};
pub use passphrase::{unwrap_with_passphrase, wrap_with_passphrase};
pub use wrap::{unwrap, wrap};

use crate::error::Result;
use crate::seal::random;
use std::fmt;
use zeroize::Zeroizing;

/// 256 bits that are wiped when dropped and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// A fresh random key.
    pub fn random() -> Result<Self> {
        Ok(Key(Zeroizing::new(random()?)))
    }

    /// A key of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Key(Zeroizing::new(bytes))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Keeps the key that wraps root keys; implemented outside, for one store.
pub trait Provider: Send + Sync {
    /// Seals a root key, under a fresh key where the provider can.
    fn wrap(&self, root: &Key) -> Result<Vec<u8>>;
    /// Opens what [`Provider::wrap`] gave.
    fn unwrap(&self, wrapped: &[u8]) -> Result<Key>;
    /// Destroys the provider's keys but the one that `wrapped` is sealed under; false if it cannot
    /// replace its key.
    fn retire(&self, wrapped: &[u8]) -> Result<bool>;
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}
